"""Reading runs, their jobs and what they came to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, QuerySet

from ledger.errors import NotFound
from settlement.models import JobState, PositionSettlement, SettlementJob, SettlementRun


@dataclass(frozen=True, slots=True)
class Progress:
    """How many jobs a run has, and how many of them are done or failed in their last attempt."""

    total: int
    done: int
    failed: int


def list_runs() -> QuerySet[SettlementRun]:
    """All runs, the latest first."""
    return SettlementRun.objects.select_related("currency").order_by("-id")


def progress_of(run_ids: Collection[int]) -> dict[int, Progress]:
    """The jobs of some runs, counted."""
    counted = (
        SettlementJob.objects.filter(run_id__in=list(run_ids)).values_list("run_id", "state").annotate(Count("id"))
    )
    jobs: dict[int, dict[str, int]] = {run_id: {} for run_id in run_ids}
    for run_id, state, count in counted:
        jobs[run_id][state] = count
    return {
        run_id: Progress(sum(states.values()), states.get(JobState.DONE, 0), states.get(JobState.FAILED, 0))
        for run_id, states in jobs.items()
    }


def get_run(run_id: int) -> SettlementRun:
    """Raises `NotFound`."""
    run = list_runs().filter(id=run_id).first()
    if run is None:
        raise NotFound(f"There is no settlement run {run_id}.", run=str(run_id))
    return run


def list_jobs(run_id: int | None = None) -> QuerySet[SettlementJob]:
    """Jobs of a run, or of all."""
    jobs = SettlementJob.objects.select_related("run__currency").order_by("id")
    return jobs if run_id is None else jobs.filter(run_id=run_id)


def list_position_settlements(run_id: int) -> QuerySet[PositionSettlement]:
    """What a run found for positions: cumulative figures (`outcome`), and what the meters said (`evidence`)."""
    rows = PositionSettlement.objects.filter(run_id=run_id).select_related("run__currency")
    return rows.order_by("contract_id", "buyer_id", "provider_id")


@dataclass(frozen=True, slots=True)
class RunTotals:
    """All positions of a run together: cumulative tokens, and micros. sold = delivered + unused + short."""

    positions: int
    sold_tokens: int
    delivered_tokens: int
    unused_tokens: int
    short_tokens: int
    overage_tokens: int
    excess_tokens: int
    unmatched_tokens: int
    notional_micros: int
    delivered_micros: int
    take_or_pay_micros: int
    refund_unused_micros: int
    refund_short_micros: int
    damages_micros: int
    overage_micros: int
    overage_fee_micros: int
    provider_fee_micros: int

    @property
    def paid_to_providers_micros(self) -> int:
        """Out of escrow, before the provider's fee and shares."""
        return self.delivered_micros + self.take_or_pay_micros

    @property
    def refunded_micros(self) -> int:
        return self.refund_unused_micros + self.refund_short_micros


_SUMS = {
    "sold_tokens": "evidence->>'tokens'",
    "delivered_tokens": "outcome->>'delivered_tokens'",
    "unused_tokens": "outcome->>'unused_tokens'",
    "short_tokens": "outcome->>'short_tokens'",
    "overage_tokens": "outcome->>'overage_tokens'",
    "excess_tokens": "outcome->>'excess_tokens'",
    "notional_micros": "evidence->>'notional_micros'",
    "delivered_micros": "outcome->>'delivered_micros'",
    "take_or_pay_micros": "outcome->>'take_or_pay_micros'",
    "refund_unused_micros": "outcome->>'refund_unused_micros'",
    "refund_short_micros": "outcome->>'refund_short_micros'",
    "damages_micros": "outcome->>'damages_micros'",
    "overage_micros": "outcome->'overage'->>'gross_micros'",
    "overage_fee_micros": "outcome->>'overage_fee_micros'",
}
_FEES = ("outcome->'pay'->>'fee_micros'", "outcome->'overage'->>'fee_micros'")


def run_totals(run_id: int) -> RunTotals:
    """What a run came to over all its contracts."""
    sums = {name: f"sum(({path})::numeric)" for name, path in _SUMS.items()}
    sums["provider_fee_micros"] = " + ".join(f"sum(({path})::numeric)" for path in _FEES)
    columns = ", ".join(f"coalesce({expression}, 0)" for expression in sums.values())
    query = f"SELECT count(*), {columns} FROM settlement_positionsettlement WHERE run_id = %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(query, [run_id])
        positions, *figures = cursor.fetchone()
        cursor.execute("SELECT coalesce(sum(tokens), 0) FROM settlement_unmatchedusage WHERE run_id = %s", [run_id])
        (unmatched,) = cursor.fetchone()
    found = dict(zip(sums, map(int, figures), strict=True))
    return RunTotals(positions=positions, unmatched_tokens=int(unmatched), **found)
