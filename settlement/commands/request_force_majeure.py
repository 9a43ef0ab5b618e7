"""An operator asks that a provider owes no damages for a time; nothing is excused before another one confirms it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction

from exchange.rows import find_product
from ledger.actions import record_action
from ledger.errors import NotFound, ReasonMissing
from ledger.models import Party, PartyKind
from ledger.texts import check_text
from settlement.errors import InvalidPeriod
from settlement.models import ForceMajeure

LONGEST = timedelta(days=366)
MAX_REASON = 2_000


@dataclass(frozen=True, slots=True)
class RequestForceMajeure:
    """From `starts_at` to before `ends_at`, in whole UTC minutes, of one product, or of all without a code.

    `reason` is read by the provider, by who confirms it and by the auditor.
    """

    provider_id: int
    starts_at: datetime
    ends_at: datetime
    reason: str
    product_code: str = ""


@transaction.atomic
def request_force_majeure(command: RequestForceMajeure, *, actor: str, now: datetime) -> ForceMajeure:
    """Write the request down. Runs that are frozen after its confirmation excuse what was refused in the time.

    Raises `NotFound`, `UnknownProduct`, `ReasonMissing`, `InvalidText` and `InvalidPeriod`.
    """
    reason = command.reason.strip()
    if not reason:
        raise ReasonMissing("Force majeure needs a reason.", field="reason")
    check_text(reason, "reason", MAX_REASON)
    _check_span(command.starts_at, command.ends_at)
    provider = Party.objects.filter(id=command.provider_id, kind=PartyKind.PROVIDER).first()
    if provider is None:
        raise NotFound(f"There is no provider {command.provider_id}.", provider=str(command.provider_id))
    product = find_product(command.product_code) if command.product_code else None
    asked = ForceMajeure.objects.create(
        provider=provider,
        product=product,
        starts_at=command.starts_at,
        ends_at=command.ends_at,
        reason=reason,
        requested_by=actor,
        requested_at=now,
    )
    record_action(
        actor=actor,
        action="request_force_majeure",
        subject=f"force_majeure:{asked.pk}",
        reason=reason,
        now=now,
        details={
            "provider": provider.code,
            "product": command.product_code,
            "starts_at": command.starts_at.astimezone(UTC).isoformat(),
            "ends_at": command.ends_at.astimezone(UTC).isoformat(),
        },
    )
    return asked


def _check_span(starts_at: datetime, ends_at: datetime) -> None:
    for field, at in (("starts_at", starts_at), ("ends_at", ends_at)):
        if at.second or at.microsecond:
            raise InvalidPeriod("Force majeure is told in whole UTC minutes.", field=field)
    if not timedelta(0) < ends_at - starts_at <= LONGEST:
        raise InvalidPeriod(f"It ends after it starts, and within {LONGEST.days} days.", field="ends_at")
