from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from config.demo.report import (
    ContractTokens,
    Evidence,
    Ledger,
    LeftOver,
    Micros,
    RawTokens,
    Report,
    Seconds,
    Statements,
    UsageEvents,
    as_table,
    faults,
)

GOOD = Report(
    trace="small.csv",
    seed=7,
    raw_tokens=RawTokens(1_000, 200),
    orders=9,
    fills=4,
    lots_traded=3,
    usage_events=UsageEvents(sent=21, accepted=20, duplicates=1),
    contract_tokens=ContractTokens(300, 250, 40, 10, 5, 6, 0),
    micros=Micros(1_234_500, 1_000_000, 234_500, 10, 20, 30),
    left_over=LeftOver(0, 0, 0),
    ledger=Ledger(50, 120, 0),
    statements=Statements(8, 8),
    evidence=Evidence(27, 0, 2, 2),
    seconds=Seconds(1.5, 2.25, 3.0, 9.0),
)


def test_the_keys_of_the_report() -> None:
    report = GOOD.to_json()
    assert list(report) == [
        "trace", "seed", "raw_tokens", "orders", "fills", "lots_traded", "usage_events", "contract_tokens", "micros",
        "left_over", "ledger", "statements", "evidence", "seconds",
    ]  # fmt: skip
    assert report["usage_events"] == {"sent": 21, "accepted": 20, "duplicates": 1}
    assert list(report["contract_tokens"]) == [
        "sold", "delivered", "unused", "short", "overage", "excess", "unmatched",
    ]  # fmt: skip
    assert list(report["micros"]) == ["notional", "paid_to_providers", "refunded", "damages", "overage", "fees"]
    assert list(report["seconds"]) == ["trading", "metering", "settlement", "total"]


def test_a_good_day_has_no_faults() -> None:
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    "wrong",
    [
        replace(GOOD, contract_tokens=replace(GOOD.contract_tokens, sold=301)),
        replace(GOOD, left_over=LeftOver(0, 1, 0)),
        replace(GOOD, ledger=Ledger(50, 120, 1)),
        replace(GOOD, statements=Statements(8, 7)),
        replace(GOOD, evidence=Evidence(27, 1, 2, 2)),
        replace(GOOD, evidence=Evidence(27, 0, 2, 1)),
        replace(GOOD, usage_events=UsageEvents(22, 20, 1)),
    ],
)
def test_what_does_not_add_up_is_a_fault(wrong: Report) -> None:
    assert len(faults(wrong)) == 1


def test_the_table_shows_every_figure() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(as_table(GOOD, "USD"))
    shown = console.export_text()
    for text in ("small.csv", "seed 7", "1.234500", "1,000", "paid to providers", "duplicates", "9.0"):
        assert text in shown
