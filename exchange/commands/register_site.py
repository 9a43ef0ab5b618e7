"""Make a provider's site known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.errors import InvalidSite, SiteExists
from exchange.models import Site
from ledger.actions import record_action
from ledger.errors import NotFound
from ledger.models import Party, PartyKind


@dataclass(frozen=True, slots=True)
class RegisterSite:
    """A place where a provider turns power into tokens; its name is unique to the provider."""

    provider_id: int
    name: str
    region: str


@transaction.atomic
def register_site(command: RegisterSite, *, actor: str, now: datetime) -> Site:
    """Raises `InvalidSite`, `NotFound` for the provider, and `SiteExists`."""
    for field, longest in (("name", 80), ("region", 40)):
        if not 0 < len(getattr(command, field).strip()) <= longest:
            raise InvalidSite(f"A site's {field} has 1 to {longest} characters.", field=field)
    if not Party.objects.filter(id=command.provider_id, kind=PartyKind.PROVIDER).exists():
        raise NotFound(f"There is no provider {command.provider_id}.", provider=str(command.provider_id))
    site, created = Site.objects.get_or_create(
        provider_id=command.provider_id, name=command.name, defaults={"region": command.region}
    )
    if not created:
        raise SiteExists(f"There is a site {command.name!r} already.", site=command.name)
    record_action(actor=actor, action="register_site", subject=f"site:{site.id}", now=now)
    return site
