"""What the commands on discrepancy cases have in common: the row under its lock, and its next entry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from settlement.errors import CaseNotFound, WrongCaseState
from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.discrepancies import Discrepancy
from settlement.metering.verdicts import RequestVerdict
from settlement.models import CaseEntry, CaseEntryKind, CaseState, DiscrepancyCase

MAX_TEXT = 2_000


def lock_case(case_id: int) -> DiscrepancyCase:
    """A case, until the transaction ends. Raises `CaseNotFound`."""
    found = DiscrepancyCase.objects.select_for_update().filter(id=case_id).first()
    if found is None:
        raise CaseNotFound(f"There is no discrepancy case {case_id}.", case=str(case_id))
    return found


def require_state(case: DiscrepancyCase, *states: CaseState) -> None:
    """Raises `WrongCaseState` unless the case is in one of these states."""
    if case.state not in states:
        allowed = " or ".join(state.value for state in states)
        raise WrongCaseState(
            f"Case {case.pk} is {case.state}; this is for a case that is {allowed}.",
            case=str(case.pk),
            state=str(case.state),
        )


def touch(case: DiscrepancyCase, now: datetime) -> None:
    """It changed now. Clocks of two processes differ: what comes later in line is never told to have come earlier."""
    case.changed_at = max(case.changed_at, now)


def add_entry(
    case: DiscrepancyCase,
    kind: CaseEntryKind,
    *,
    actor: str,
    now: datetime,
    party_id: int | None = None,
    text: str = "",
    details: Mapping[str, Any] | None = None,
) -> CaseEntry:
    """Write the next entry of a case that is locked."""
    return CaseEntry.objects.create(
        case=case,
        sequence=case.entries.count() + 1,
        kind=kind,
        at=now,
        actor=actor,
        party_id=party_id,
        text=text,
        details=dict(details or {}),
    )


def found_details(found: Discrepancy) -> dict[str, Any]:
    """A discrepancy as an entry keeps it: integers as strings, buckets in which nobody says anything left out."""
    buckets = zip(SETTLED_BUCKETS, found.provider_tokens, found.buyer_tokens, strict=True)
    return {
        "requests": str(found.requests),
        "provider_millitokens": str(found.provider_millitokens),
        "buyer_millitokens": str(found.buyer_millitokens),
        "settled_millitokens": str(found.settled_millitokens),
        "buckets": {
            bucket.value: {"provider": str(provider), "buyer": str(buyer)}
            for bucket, provider, buyer in buckets
            if provider or buyer
        },
        "shown": [_shown(request) for request in found.shown],
    }


def _shown(request: RequestVerdict) -> dict[str, Any]:
    def said(millitokens: int | None) -> str | None:
        return None if millitokens is None else str(millitokens)

    return {
        "request_id": request.request_id,
        "accepted_at": request.accepted_at.isoformat(),
        "verdict": request.verdict.value,
        "provider_millitokens": said(request.provider_millitokens),
        "buyer_millitokens": said(request.buyer_millitokens),
        "settled_millitokens": str(request.settled_millitokens),
    }
