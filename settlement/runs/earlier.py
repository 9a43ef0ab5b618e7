"""What was posted of a contract before a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from settlement.disputes.credits import SettledDispute
from settlement.models import Dispute, PositionSettlement, RunContract, RunKind, SettlementRun
from settlement.runs.frozen import portable
from settlement.selectors.disputes import frozen_dispute

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


def settled_disputes(
    run: SettlementRun, contract_id: int, codes: Mapping[int, str]
) -> dict[tuple[int, int], tuple[SettledDispute, ...]]:
    """The disputes of each position, by buyer and provider, that runs before settled, in the order of these."""
    runs = SettlementRun.objects.filter(contracts__contract_id=contract_id, kind=RunKind.DISPUTED_FINAL, id__lt=run.pk)
    numbers = {each.dispute_id: each.pk for each in runs if each.dispute_id is not None}
    found: dict[tuple[int, int], tuple[SettledDispute, ...]] = {}
    for dispute in sorted(Dispute.objects.filter(id__in=numbers), key=lambda dispute: numbers[dispute.pk]):
        pair = (dispute.buyer_id, dispute.provider_id)
        rows = PositionSettlement.objects.filter(run_id=numbers[dispute.pk], contract_id=contract_id)
        since = rows.filter(buyer_id=pair[0], provider_id=pair[1]).values_list("outcome", flat=True).first()
        if since is not None:
            settled = SettledDispute(frozen_dispute(dispute.pk), portable(since, codes))
            found[pair] = (*found.get(pair, ()), settled)
    return found
