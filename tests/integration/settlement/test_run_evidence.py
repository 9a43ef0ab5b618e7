"""What a run settles by the meters' word, and what of it stands in the signed statements."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.keys.ring import public_jwks
from settlement.commands.decide_ruling import confirm_ruling
from settlement.commands.propose_ruling import ProposeRuling, propose_ruling
from settlement.metering.reconcile_queue import LAG
from settlement.metering.reconciling import reconcile_contract
from settlement.metering.records import Ruling
from settlement.models import (
    BiasDecision,
    BiasStep,
    DiscrepancyCase,
    EventKind,
    PositionSettlement,
    RunKind,
    SettlementRun,
    Statement,
)
from settlement.statements.jws import records_file, statement_file
from settlement.statements.readable_metering import read_metering
from settlement.statements.verify import verify
from tests.integration.settlement.trading_day import END, START, TradingDay
from tests.integration.settlement.usage_rows import UsageRows

PROVIDER, BUYER = "meter/provider-1", "meter/buyer-1"


@pytest.fixture
def rows(day: TradingDay) -> UsageRows:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.clock.at = END + LAG
    return UsageRows(day)


def evidence(run: SettlementRun) -> dict[str, Any]:
    content: dict[str, Any] = PositionSettlement.objects.get(run=run).evidence
    return content


def settled(run: SettlementRun) -> int:
    """In raw tokens of visible output, which weigh 4 contract tokens each."""
    return int(evidence(run)["settled_millitokens"]) // 4_000


def input_digest(run: SettlementRun) -> bytes:
    return bytes(run.input_digest or b"")


def test_the_statements_carry_what_the_meters_said(day: TradingDay, rows: UsageRows) -> None:
    rows.both("matched", 100, 100)
    rows.both("close", 1_005, 1_000)
    rows.both("far", 300, 200)
    rows.sign(rows.keep(PROVIDER, "alone", output_visible=10, output_reasoning=7))
    rows.keep(BUYER, "alone", kind=EventKind.STARTED)
    rows.keep(BUYER, "again", output_visible=9, event_id="wrong")
    rows.keep(BUYER, "again", output_visible=8, replaces="wrong")
    rows.watermark(PROVIDER)
    run = day.settle()
    meters = evidence(run)["meters"]
    assert meters["buckets"] == {
        "output_visible": {
            "provider": "1415",
            "buyer": "1308",
            "difference": "107",
            "settled": str(100 + 1_005 + 200 + 10 + 8),
            "tolerance": str(1 + 5),  # of those that agree within it
            "trust": "recomputable",
        },
        "output_reasoning": {
            "provider": "7", "buyer": "0", "difference": "7", "settled": "7", "tolerance": "0", "trust": "asserted",
        },
    }  # fmt: skip
    assert meters["verdicts"] == {
        "matched": "1", "within_tolerance": "1", "provider_only": "1", "buyer_only": "1", "conflict": "1",
    }  # fmt: skip
    assert meters["lost_ends"] == {"buyer": "1"}
    assert meters["open_cases"] == [{"kind": "figures_differ", "requests": "1"}]
    assert meters["completeness"] == {"provider": "complete", "buyer": "open"}
    assert meters["signed_events"] == {"provider": "1"}
    assert (meters["corrections"], meters["tolerance"], meters["rulings"]) == ("1", "standard", {})

    for party in ("buyer-1", "provider-1"):
        statement = Statement.objects.get(run=run, party=day.parties[party])
        file = b"".join(records_file(statement))
        records = [json.loads(line) for line in file.splitlines()]
        (figure,) = [each["body"] for each in records if each["record"] == "metering"]
        assert {name: figure[name] for name in meters} == meters
        assert verify(statement_file(statement), json.dumps(public_jwks()).encode(), records=file).ok
        (readable,) = (read_metering(each["body"]) for each in records if each["record"] == "metering")
        assert readable.open_cases == "figures differ: 1"


def test_a_pair_without_tolerance_settles_at_the_lesser_figure(day: TradingDay, rows: UsageRows) -> None:
    rows.both("close", 1_005, 1_000)
    BiasDecision.objects.create(
        provider_id=day.parties["provider-1"].id,
        buyer_id=day.parties["buyer-1"].id,
        product_id=day.product.id,
        step=BiasStep.ZEROED,
        effective_from=START,
        decided_at=START,
        decided_by="tests",
    )
    run = day.settle()
    assert settled(run) == 1_000
    meters = evidence(run)["meters"]
    assert (meters["tolerance"], meters["buckets"]["output_visible"]["tolerance"]) == ("zero", "0")
    assert meters["verdicts"] == {"conflict": "1"}


def test_a_tolerance_that_was_taken_later_leaves_the_window_alone(day: TradingDay, rows: UsageRows) -> None:
    rows.both("close", 1_005, 1_000)
    BiasDecision.objects.create(
        provider_id=day.parties["provider-1"].id,
        buyer_id=day.parties["buyer-1"].id,
        product_id=day.product.id,
        step=BiasStep.ZEROED,
        effective_from=END,
        decided_at=END,
        decided_by="tests",
    )
    assert settled(day.settle()) == 1_005


def test_what_the_buyers_complete_meter_never_saw_does_not_settle(day: TradingDay, rows: UsageRows) -> None:
    rows.both("seen", 100, 100)
    rows.keep(PROVIDER, "unseen", output_visible=50)
    first = day.settle()
    assert settled(first) == 150
    rows.watermark(BUYER)
    final = day.settle(RunKind.FINAL)
    assert settled(final) == 100
    assert evidence(final)["meters"]["open_cases"] == [{"kind": "provider_alone", "requests": "1"}]
    assert input_digest(first) != input_digest(final)
    assert day.left_over() == []


def test_a_ruling_between_the_runs_is_paid_by_the_final_one(day: TradingDay, rows: UsageRows) -> None:
    rows.both("far", 300, 200)
    first = day.settle()
    assert settled(first) == 200
    reconcile_contract(day.contract.id, now=day.clock.at)
    case = DiscrepancyCase.objects.get()
    propose_ruling(ProposeRuling(case.pk, Ruling.PROVIDER, "Recounted."), actor="one", now=day.clock.at)
    confirm_ruling(case.pk, actor="two", now=day.clock.at)
    final = day.settle(RunKind.FINAL)
    assert settled(final) == 300
    meters = evidence(final)["meters"]
    assert (meters["open_cases"], meters["rulings"]) == ([], {"figures_differ": "provider"})
    assert day.left_over() == []


def test_a_watermark_alone_changes_what_a_run_follows_from(day: TradingDay, rows: UsageRows) -> None:
    rows.both("matched", 100, 100)
    first = day.settle()
    rows.watermark(PROVIDER)
    final = day.settle(RunKind.FINAL)
    assert settled(first) == settled(final)
    assert input_digest(first) != input_digest(final)


def test_of_a_position_that_nobody_used_there_is_nothing_to_tell(day: TradingDay, rows: UsageRows) -> None:
    meters = evidence(day.settle())["meters"]
    assert (meters["buckets"], meters["verdicts"], meters["open_cases"], meters["completeness"]) == ({}, {}, [], {})
