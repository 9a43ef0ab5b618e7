"""What a statement follows on: the chain of a party's statements in a currency."""

from __future__ import annotations

from dataclasses import dataclass

from settlement.models import ClosingBalance, SettlementRun, StatedCore, Statement


@dataclass(frozen=True, slots=True)
class Link:
    """A statement of the chain, and the closing balance that it states."""

    sequence: int
    core_digest: bytes
    closing: ClosingBalance


def link_before(run: SettlementRun, party_id: int) -> Link | None:
    """The last link of a party's chain in the run's currency, leaving out the run's own; None before the first.

    What is stated counts, signed or not; statements of the first form have no stated core.
    """
    chain = {"party_id": party_id, "currency_id": run.currency_id, "sequence__isnull": False}
    core = StatedCore.objects.filter(**chain).exclude(run=run).order_by("-sequence").first()
    if core is not None and core.sequence is not None:
        return Link(core.sequence, bytes(core.digest), _closing(core.run_id, party_id))
    statement = Statement.objects.filter(**chain, stated__isnull=True).order_by("-sequence").first()
    if statement is not None and statement.sequence is not None:
        return Link(statement.sequence, bytes(statement.core_digest), _closing(statement.run_id, party_id))
    return None


def _closing(run_id: int, party_id: int) -> ClosingBalance:
    return ClosingBalance.objects.get(run_id=run_id, party_id=party_id)
