"""Both worked examples from fills and usage events to ledger figures and verified statements."""

from __future__ import annotations

import json
from typing import Any

from exchange.models import ContractState
from ledger.chart import Role
from ledger.keys.ring import public_jwks
from ledger.models import Entry, Party, Transaction
from settlement.models import RunState, SettlementRun, Statement
from settlement.selectors.runs import run_totals
from settlement.statements.jws import records_file, statement_file
from settlement.statements.verify import verify
from tests.integration.settlement.trading_day import TradingDay, refusal, requests

OPENING = 100_000_000


def legs_of(ref: str) -> list[int]:
    """The positive amounts of all entries that settlement made for something, the largest first."""
    numbers = Transaction.objects.filter(kind="settle").values("id")
    entries = Entry.objects.filter(transaction_id__in=numbers, ref=ref, amount__gt=0)
    return sorted(entries.values_list("amount", flat=True), reverse=True)


def check_statements(run: SettlementRun) -> None:
    """Every statement of the run verifies, also against the one before it."""
    jwks = json.dumps(public_jwks()).encode()
    statements = Statement.objects.filter(run=run)
    assert statements.exists()
    for statement in statements:
        assert statement.sequence is not None
        before = Statement.objects.filter(
            party=statement.party, currency=statement.currency, sequence=statement.sequence - 1
        ).first()
        report = verify(
            statement_file(statement),
            jwks,
            records=b"".join(records_file(statement)),
            previous=None if before is None else statement_file(before),
        )
        assert report.ok, report.text()


def lines_of(run: SettlementRun, party: Party) -> list[dict[str, Any]]:
    """The lines of a party's statement of a run, as its file of records has them."""
    file = b"".join(records_file(Statement.objects.get(run=run, party=party)))
    records = [json.loads(line) for line in file.splitlines()]
    return [record["body"] for record in records if record["record"] == "line"]


def test_example_1(day: TradingDay) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", [*requests(80_000), refusal(5_000)])
    run = day.settle()

    assert run.state == RunState.PUBLISHED
    day.contract.refresh_from_db()
    assert day.contract.state == ContractState.SETTLED
    assert day.contract.reference_price_micros == 4_200_000
    totals = run_totals(run.id)
    assert (totals.sold_tokens, totals.delivered_tokens, totals.unused_tokens, totals.short_tokens) == (
        100_000,
        80_000,
        15_000,
        5_000,
    )
    assert (totals.delivered_micros, totals.take_or_pay_micros) == (336_000, 37_800)
    assert (totals.refund_unused_micros, totals.refund_short_micros) == (25_200, 21_000)
    assert (totals.damages_micros, totals.provider_fee_micros) == (10_500, 1_121)
    assert legs_of("pay_provider") == [260_875, 74_536, 37_268, 1_121]
    assert day.balance("buyer-1") == OPENING - 420_000 - 840 + 25_200 + 21_000 + 10_500
    assert day.balance("provider-1") == OPENING - 10_500
    assert [day.balance(code) for code in ("grid-compute", "model-lab", "power-works")] == [260_875, 74_536, 37_268]
    assert day.balance("house", Role.FEES) == 840 + 1_121
    assert day.left_over() == []
    assert day.held("provider-1") == 10 * 100_000 - 10_500  # the rest of the bond stays until the final run
    check_statements(run)


def test_example_2(day: TradingDay) -> None:
    day.sell("provider-1", 2, 421)
    day.sell("provider-1", 3, 427)
    day.buy("buyer-1", 5, 427)
    day.sell("provider-2", 1, 877)  # brings the contract's average price to 5.00
    day.buy("buyer-2", 1, 877)
    day.deliver()
    day.report_both("buyer-1", "provider-1", [*requests(33_333), refusal(1_111)])
    day.report_both("buyer-2", "provider-2", requests(10_000, buyer="buyer-2", provider="provider-2"))
    run = day.settle()

    day.contract.refresh_from_db()
    assert day.contract.reference_price_micros == 5_000_000
    assert day.balance("buyer-1") == OPENING - 212_300 - 424 + 4_717 + 26_421 + 3_196
    assert day.balance("provider-1") == OPENING - 3_196
    assert legs_of("pay_provider")[:1] == [126_433 + 61_206]  # and of the other provider
    position = run.positions.get(buyer_id=day.parties["buyer-1"].id)
    assert position.outcome["delivered_micros"] == "141531"
    assert position.outcome["take_or_pay_micros"] == "39631"
    assert position.outcome["pay"]["fee_micros"] == "543"
    assert [share["micros"] for share in position.outcome["pay"]["shares"]] == ["126433", "36124", "18062"]
    assert day.left_over() == []
    check_statements(run)


def test_use_above_the_position_is_overage_up_to_the_cap_and_then_excess(day: TradingDay) -> None:
    day.sell("provider-1", 1, 400)
    day.buy("buyer-1", 1, 400, overage_permille=100)
    day.deliver()
    day.report_both("buyer-1", "provider-1", requests(12_500))
    held = day.held("buyer-1")
    run = day.settle()

    totals = run_totals(run.id)
    assert (totals.delivered_tokens, totals.overage_tokens, totals.excess_tokens) == (10_000, 1_000, 1_500)
    assert (totals.overage_micros, totals.overage_fee_micros) == (4_000, 8)
    assert day.balance("buyer-1") == OPENING - 40_000 - 80 - 4_008
    assert day.held("buyer-1") == held - 4_008
    assert day.left_over() == []
    check_statements(run)


def test_usage_without_a_position_is_stated_and_moves_no_money(day: TradingDay) -> None:
    day.deliver()
    day.report("provider-1", requests(5_000))
    run = day.settle()

    assert run.state == RunState.PUBLISHED
    assert not Transaction.objects.filter(source="settlement").exists()
    assert run_totals(run.id).unmatched_tokens == 5_000
    (line,) = lines_of(run, day.parties["buyer-1"])
    assert (line["kind"], line["tokens"], line["amount"]) == ("unmatched", "5000", "0.000000")
    check_statements(run)


def test_a_run_over_nothing_is_published_at_once(day: TradingDay) -> None:
    day.deliver()
    Statement.objects.all()
    run = day.settle()
    assert run.state == RunState.PUBLISHED
    again = day.settle()
    assert again.id == run.id
