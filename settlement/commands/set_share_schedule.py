"""Set how a provider's income from a product is shared out, from the next gate closure on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from exchange.rows import find_product
from ledger.actions import record_action
from ledger.errors import NotFound
from ledger.models import Party, PartyKind
from settlement.models import ShareSchedule
from settlement.share_record import parse_schedule


@dataclass(frozen=True, slots=True)
class SetShareSchedule:
    """`weights` by role: `{"compute": {"ppm": 700000, "party": ""}, "model": {"ppm": 300000, "party": "lab"}}`.

    Parts per million that sum to 1,000,000. Compute without a party is the provider's own; any other share without one
    is held until its owner is known.
    """

    provider_id: int
    product_code: str
    weights: Mapping[str, Mapping[str, Any]]


@transaction.atomic
def set_share_schedule(command: SetShareSchedule, *, actor: str, now: datetime) -> ShareSchedule:
    """Write the next version of a schedule. Contracts whose gate has closed keep the one they had.

    Raises `NotFound`, `UnknownProduct` and `InvalidSplitSchedule`.
    """
    providers = Party.objects.select_for_update().filter(kind=PartyKind.PROVIDER)  # one version at a time
    provider = providers.filter(id=command.provider_id).first()
    if provider is None:
        raise NotFound(f"There is no provider {command.provider_id}.", provider=str(command.provider_id))
    product = find_product(command.product_code)
    weights = {role: dict(part) for role, part in command.weights.items()}
    named = {part["party"] for part in weights.values() if isinstance(part.get("party"), str)}
    # The house is paid by fees; no statement would cover a share of its own.
    holders = Party.objects.filter(code__in=named).exclude(kind=PartyKind.HOUSE)
    known = dict(holders.values_list("code", "id"))
    version = ShareSchedule.objects.filter(provider=provider, product=product).count() + 1
    parse_schedule(version, weights, provider.code, known)
    schedule = ShareSchedule.objects.create(
        provider=provider, product=product, version=version, weights=weights, created_at=now, created_by=actor
    )
    record_action(
        actor=actor,
        action="set_share_schedule",
        subject=f"party:{provider.code}",
        now=now,
        details={"product": product.code, "version": version},
    )
    return schedule
