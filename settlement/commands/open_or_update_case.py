"""Bring a discrepancy case to what the last reconciliation found: open it, open it again, update or resolve it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from settlement.metering.cases import add_entry, found_details, touch
from settlement.metering.discrepancies import Discrepancy
from settlement.metering.records import CaseKind
from settlement.models import CaseEntryKind, CaseState, DiscrepancyCase

_FIGURES = ("requests", "provider_millitokens", "buyer_millitokens", "settled_millitokens")


@dataclass(frozen=True, slots=True)
class OpenOrUpdateCase:
    """What was found of a kind in a pair of a contract; None: nothing."""

    contract_id: int
    buyer_id: int
    provider_id: int
    kind: CaseKind
    found: Discrepancy | None


@transaction.atomic
def open_or_update_case(command: OpenOrUpdateCase, *, actor: str, now: datetime) -> DiscrepancyCase | None:
    """The case as it is afterwards; None if there is none and nothing was found.

    One call at a time for a pair: the caller holds the contract. The same again changes nothing. A decided case stays
    decided, and only its figures follow.
    """
    case = (
        DiscrepancyCase.objects.select_for_update()
        .filter(
            contract_id=command.contract_id,
            buyer_id=command.buyer_id,
            provider_id=command.provider_id,
            kind=command.kind.value,
        )
        .first()
    )
    if command.found is None:
        return None if case is None else _resolve(case, actor, now)
    if case is None:
        return _open(command, command.found, actor, now)
    return _update(case, command.found, actor, now)


def _open(command: OpenOrUpdateCase, found: Discrepancy, actor: str, now: datetime) -> DiscrepancyCase:
    case = DiscrepancyCase.objects.create(
        contract_id=command.contract_id,
        buyer_id=command.buyer_id,
        provider_id=command.provider_id,
        kind=command.kind.value,
        opened_at=now,
        changed_at=now,
        **_figures(found),
    )
    add_entry(case, CaseEntryKind.FOUND, actor=actor, now=now, details=found_details(found))
    return case


def _update(case: DiscrepancyCase, found: Discrepancy, actor: str, now: datetime) -> DiscrepancyCase:
    figures = _figures(found)
    if case.state != CaseState.RESOLVED and all(getattr(case, name) == figures[name] for name in _FIGURES):
        return case
    if case.state == CaseState.RESOLVED:
        case.state = CaseState.OPEN
    for name in _FIGURES:
        setattr(case, name, figures[name])
    touch(case, now)
    case.save(update_fields=["state", "changed_at", *_FIGURES])
    add_entry(case, CaseEntryKind.FOUND, actor=actor, now=now, details=found_details(found))
    return case


def _resolve(case: DiscrepancyCase, actor: str, now: datetime) -> DiscrepancyCase:
    if case.state in (CaseState.RESOLVED, CaseState.DECIDED):
        return case
    touch(case, now)
    case.state = CaseState.RESOLVED
    case.ruling = case.proposed_by = ""
    for name in _FIGURES:
        setattr(case, name, 0)
    case.save(update_fields=["state", "changed_at", "ruling", "proposed_by", *_FIGURES])
    add_entry(case, CaseEntryKind.RESOLUTION, actor=actor, now=now)
    return case


def _figures(found: Discrepancy) -> dict[str, int]:
    return {name: getattr(found, name) for name in _FIGURES}
