"""The day's figures, read back from what the exchange recorded; nothing here comes from the trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Sum
from django.db.models.functions import Abs

from config.demo.closing import Settled
from config.demo.report import ContractTokens, Disputed, Ledger, LeftOver, Micros, RawTokens, Run
from exchange.models import Fill, Order
from exchange.windows import Window
from ledger.chart import Role
from ledger.models import Account
from ledger.selectors.journal import get_journal_totals
from ledger.selectors.parties import get_house_id
from settlement.models import Dispute, DisputeState, MeterSide, SettlementRun
from settlement.selectors.runs import run_totals
from settlement.selectors.usage import raw_tokens


@dataclass(frozen=True, slots=True)
class Trading:
    """Orders of both sides (an offer is one in each window), fills, and lots that changed hands."""

    orders: int
    fills: int
    lots: int


def read_trading() -> Trading:
    lots: int | None = Fill.objects.aggregate(lots=Sum("lots"))["lots"]
    return Trading(Order.objects.count(), Fill.objects.count(), lots or 0)


def read_raw_tokens(windows: Sequence[Window]) -> RawTokens:
    """What the buyers' meters reported of all distinct requests; the providers' of those whose end the buyers' lost."""
    found = raw_tokens((MeterSide.BUYER, MeterSide.PROVIDER), start=windows[0].start, end=windows[-1].end)
    return RawTokens(found.input_tokens, found.output_tokens)


def read_contract_tokens(settled: Settled) -> ContractTokens:
    """As the final run has them: its figures are cumulative."""
    totals = run_totals(settled.final)
    return ContractTokens(
        sold=totals.sold_tokens,
        delivered=totals.delivered_tokens,
        unused=totals.unused_tokens,
        short=totals.short_tokens,
        overage=totals.overage_tokens,
        excess=totals.excess_tokens,
        unmatched=totals.unmatched_tokens,
    )


def read_micros(settled: Settled) -> Micros:
    """As the final run has them; fees as they lie on the house's account."""
    totals = run_totals(settled.final)
    return Micros(
        notional=totals.notional_micros,
        paid_to_providers=totals.paid_to_providers_micros,
        refunded=totals.refunded_micros,
        damages=totals.damages_micros,
        overage=totals.overage_micros,
        fees=_whole(Role.FEES, party_id=get_house_id()),
    )


def read_runs() -> dict[str, Run]:
    """All runs of the day by kind, in the order they were made."""
    return {
        run.kind: Run(run.contracts.count(), run.positions.count(), run.statements.count())
        for run in SettlementRun.objects.order_by("id")
    }


def read_dispute(settled: Settled) -> Disputed:
    dispute = Dispute.objects.get(id=settled.dispute)
    return Disputed(
        disputed_micros=dispute.disputed_micros,
        suspended_micros=dispute.suspended_micros,
        decided_micros=dispute.decided_micros or 0,
        settled=int(dispute.state == DisputeState.SETTLED),
    )


def read_left_over() -> LeftOver:
    """Sums of amounts whatever their sign, so that nothing hides behind its opposite."""
    return LeftOver(*(_whole(role) for role in (Role.ESCROW, Role.ENTITLEMENT, Role.OBLIGATION, Role.SUSPENSE)))


def read_ledger() -> Ledger:
    totals = get_journal_totals()
    return Ledger(totals.transactions, totals.entries, totals.unbalanced)


def _whole(role: Role, **narrowed: int) -> int:
    whole: int | None = Account.objects.filter(role=role, **narrowed).aggregate(whole=Sum(Abs("balance")))["whole"]
    return int(whole or 0)
