"""Qualify a provider for a product, and take that back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.db import transaction

from exchange.errors import InvalidQualification, ProviderInDefault
from exchange.models import ProviderDefault, Qualification
from exchange.qualifications import lock_provider
from exchange.rows import find_product
from exchange.unqualified_orders import cancel_unqualified_orders
from ledger.actions import record_action
from ledger.errors import NotFound
from ledger.models import Party, PartyKind

TEXTS = {"endpoint_url": 200, "model_name": 120, "access": 4_000, "entitlement_attested_by": 120}


@dataclass(frozen=True, slots=True)
class QualifyProvider:
    """A provider may sell a product from `valid_from` until `valid_until`.

    `endpoint_url`, `model_name` and `access` are what its buyers learn at the gate; `entitlement_attested_by` says
    who attests that the provider may sell the model; `probe_evidence` what was measured.
    """

    provider_id: int
    product_code: str
    endpoint_url: str
    model_name: str
    access: str
    entitlement_attested_by: str
    valid_from: datetime
    valid_until: datetime
    probe_evidence: str = ""


@dataclass(frozen=True, slots=True)
class RevokeQualification:
    """The provider may sell the product no more: its orders leave the book. What it has sold, it still owes."""

    qualification_id: int
    reason: str


@transaction.atomic
def qualify_provider(command: QualifyProvider, *, actor: str, now: datetime) -> Qualification:
    """Raises `UnknownProduct`, `NotFound` for the provider, `ProviderInDefault` and `InvalidQualification`."""
    product = find_product(command.product_code)
    if not Party.objects.filter(id=command.provider_id, kind=PartyKind.PROVIDER).exists():
        raise NotFound(f"There is no provider {command.provider_id}.", provider=str(command.provider_id))
    lock_provider(command.provider_id)
    if ProviderDefault.objects.filter(provider_id=command.provider_id).exists():
        raise ProviderInDefault("The provider's default was declared.", provider=str(command.provider_id))
    for field, longest in TEXTS.items():
        if not 0 < len(getattr(command, field).strip()) <= longest:
            raise InvalidQualification(f"{field} has 1 to {longest} characters.", field=field)
    _check_address(command.endpoint_url)
    if command.valid_from >= command.valid_until:
        raise InvalidQualification("valid_from must be before valid_until.", field="valid_until")
    qualification = Qualification.objects.create(
        provider_id=command.provider_id,
        product=product,
        endpoint_url=command.endpoint_url,
        model_name=command.model_name,
        access=command.access,
        entitlement_attested_by=command.entitlement_attested_by,
        probe_evidence=command.probe_evidence,
        valid_from=command.valid_from,
        valid_until=command.valid_until,
    )
    record_action(
        actor=actor,
        action="qualify_provider",
        subject=f"party:{command.provider_id}",
        now=now,
        details={"product": command.product_code, "qualification": qualification.id},
    )
    return qualification


@transaction.atomic
def revoke_qualification(command: RevokeQualification, *, actor: str, now: datetime) -> None:
    """Raises `NotFound` unless there is such a qualification in force, and `InvalidQualification` without a reason."""
    if not command.reason.strip():
        raise InvalidQualification("Revoking needs a reason.", field="reason")
    in_force = Qualification.objects.filter(id=command.qualification_id, revoked_at=None)
    if not in_force.update(revoked_at=now):
        raise NotFound("There is no such qualification in force.", qualification=str(command.qualification_id))
    record_action(
        actor=actor,
        action="revoke_qualification",
        subject=f"qualification:{command.qualification_id}",
        reason=command.reason,
        now=now,
    )
    cancel_unqualified_orders(actor=actor, now=now)


def _check_address(text: str) -> None:
    try:
        url = urlsplit(text)
        good = url.scheme in ("http", "https") and bool(url.hostname)
    except ValueError:  # such as an unfinished IPv6 address
        good = False
    if not good:
        raise InvalidQualification("endpoint_url must be an http or https address.", field="endpoint_url")
