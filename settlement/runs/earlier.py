"""What was posted of a contract before a run."""

from __future__ import annotations

from typing import Any

from settlement.models import PositionSettlement, RunContract, RunKind, SettlementRun

POSTED = frozenset(
    {RunKind.INITIAL, RunKind.FINAL, RunKind.TRUE_UP, RunKind.DISPUTED_FINAL}
)  # of the others nothing is


def last_posted_run(contract_id: int, *, before: int | None = None) -> int | None:
    """The last run that posted a contract; of those made before run `before`, if it is given."""
    covering = RunContract.objects.filter(contract_id=contract_id, run__kind__in=POSTED)
    if before is not None:
        covering = covering.filter(run_id__lt=before)
    return covering.order_by("-run_id").values_list("run_id", flat=True).first()


def basis_of(run: SettlementRun) -> SettlementRun:
    """The run whose time, usage and rules count: a disputed-final one reopens nothing that the run before it settled
    by, and any other is its own basis."""
    if run.kind != RunKind.DISPUTED_FINAL:
        return run
    same = RunContract.objects.filter(run=run).values("contract_id")
    before = RunContract.objects.filter(contract_id__in=same, run_id__lt=run.pk, run__kind__in=POSTED)
    last = before.exclude(run__kind=RunKind.DISPUTED_FINAL).select_related("run").order_by("-run_id").first()
    return run if last is None else last.run


def earlier_outcomes(run: SettlementRun, contract_id: int) -> dict[tuple[int, int], dict[str, Any]]:
    """The outcomes by buyer and provider that the last run before posted; an initial run follows none."""
    if run.kind in (RunKind.INDICATIVE, RunKind.INITIAL):
        return {}
    last = last_posted_run(contract_id, before=run.pk)
    rows = PositionSettlement.objects.filter(run_id=last, contract_id=contract_id)
    return {
        (buyer, provider): found for buyer, provider, found in rows.values_list("buyer_id", "provider_id", "outcome")
    }
