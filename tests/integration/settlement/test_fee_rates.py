"""Fills of one position at different rates: what is paid out is charged what each fill says."""

from __future__ import annotations

from exchange.commands.set_fee_schedule import SetFeeSchedule, set_fee_schedule
from exchange.fee_schedule import Basis, FeeSchedule, Rates, Tier
from exchange.models import Fill
from exchange.selectors.positions import list_positions
from ledger.chart import Role
from settlement.models import PositionSettlement, RunKind
from settlement.selectors.runs import run_totals
from tests.audits import audit, findings, tamper
from tests.conftest import DatabaseUrls
from tests.integration.settlement.test_worked_examples import OPENING, check_statements, legs_of
from tests.integration.settlement.trading_day import ACTOR, CODE, NOW, TradingDay, refusal, requests


def charge(buyer_ppm: int, provider_ppm: int) -> None:
    """From now on these rates of the notional, whoever waits in the book."""
    tiers = (Tier(0, Rates(buyer_ppm, buyer_ppm), Rates(provider_ppm, provider_ppm)),)
    command = SetFeeSchedule("CNY", CODE, FeeSchedule(Basis.NOTIONAL, tiers), NOW, "for tests")
    set_fee_schedule(command, actor=ACTOR, now=NOW)


def test_a_position_pays_the_rates_of_its_fills(day: TradingDay) -> None:
    """Example 2, its dearer fill traded by parties of a better tier: 84,200 at 20/30 bp, 128,100 at 5/10 bp."""
    day.sell("provider-1", 2, 421)
    day.buy("buyer-1", 2, 427)
    charge(500, 1_000)
    day.sell("provider-1", 3, 427)
    day.buy("buyer-1", 3, 427)
    charge(0, 0)
    day.sell("provider-2", 1, 877)  # brings the contract's average price to 5.00
    day.buy("buyer-2", 1, 877)
    first, second, free = Fill.objects.order_by("id")
    assert (first.buyer_fee, second.buyer_fee, free.buyer_fee) == (168, 64, 0)
    assert [fill.provider_fee_ppm for fill in (first, second, free)] == [3_000, 1_000, 0]
    pooled = {position.provider_code: position for position in list_positions(contract_id=day.contract.id)}
    assert pooled["provider-1"].provider_fee_picos == 84_200 * 3_000 + 128_100 * 1_000
    assert pooled["provider-2"].provider_fee_picos == 0

    day.deliver()
    day.report_both("buyer-1", "provider-1", [*requests(33_333), refusal(1_111)])
    day.report_both("buyer-2", "provider-2", requests(10_000, buyer="buyer-2", provider="provider-2"))
    run = day.settle()

    assert run_totals(run.id).provider_fee_micros == 324  # 181,162 x 380.7 / 212,300, rounded down
    assert sum(legs_of("pay_provider")) == 181_162 + 87_700
    assert day.balance("house", Role.FEES) == 168 + 64 + 324
    assert day.balance("buyer-1") == OPENING - 212_300 - 168 - 64 + 4_717 + 26_421 + 3_196
    assert day.left_over() == []
    frozen = PositionSettlement.objects.get(provider_id=day.parties["provider-1"].id)
    assert frozen.evidence["provider_fee_picos"] == str(84_200 * 3_000 + 128_100 * 1_000)
    check_statements(run)

    final = day.settle(RunKind.FINAL)
    assert day.balance("house", Role.FEES) == 168 + 64 + 324
    check_statements(final)
    assert findings(audit()) == {}


def test_a_final_run_reads_figures_frozen_before_fills_had_rates_of_their_own(
    day: TradingDay, database: DatabaseUrls
) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", requests(80_000))
    day.settle()
    fees = day.balance("house", Role.FEES)
    tamper(database, "UPDATE settlement_positionsettlement SET evidence = evidence - 'provider_fee_picos'")
    check_statements(day.settle(RunKind.FINAL))
    assert day.balance("house", Role.FEES) == fees
