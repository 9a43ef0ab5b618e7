from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from config.demo.report import (
    ContractTokens,
    Disputed,
    Evidence,
    Fault,
    InjectedFaults,
    Ledger,
    LeftOver,
    Metering,
    Micros,
    Payments,
    RawTokens,
    Recomputed,
    Report,
    Run,
    Seconds,
    Shaving,
    Statements,
    UsageEvents,
    as_table,
)
from config.demo.second_opinions import SecondOpinions
from config.demo.shortfalls import faults

INJECTED = InjectedFaults(
    duplicates=Fault(1, 1),
    late=Fault(2, 2),
    lost_ends=Fault(3, 3),
    shaving=Shaving(40, 41, 30, 10, inside_tolerance_micros=77, pairs=2, caught_pairs=2),
    reasoning_inflation=Fault(5, 5),
)
METERING = Metering(INJECTED, 0, 0, 6, {"figures_differ": 4}, 2, 0, 0)
GOOD = Report(
    trace="small.csv",
    seed=7,
    raw_tokens=RawTokens(1_000, 200),
    orders=9,
    fills=4,
    lots_traded=3,
    usage_events=UsageEvents(sent=21, accepted=20, duplicates=1),
    metering=METERING,
    contract_tokens=ContractTokens(300, 250, 40, 10, 5, 6, 0),
    micros=Micros(1_234_500, 1_000_000, 234_500, 10, 20, 30),
    left_over=LeftOver(0, 0, 0, 0),
    ledger=Ledger(50, 120, 0),
    runs={"initial": Run(2, 5, 4), "final": Run(2, 5, 4)},
    dispute=Disputed(100_000, 90_000, 50_000, 1),
    payments=Payments(1, 6, 2_000_000, 1_500_000, 250_000, 3, 3, 1_400_000),
    statements=Statements(8, 8),
    second_opinions=SecondOpinions(8, 8, 5, 0, ()),
    recomputed=Recomputed(4, 20, 0),
    evidence=Evidence(27, 0, 2, 2),
    seconds=Seconds(1.5, 2.25, 3.0, 9.0),
)


def metered(**changes: Any) -> Report:
    return replace(GOOD, metering=replace(METERING, **changes))


def test_the_keys_of_the_report() -> None:
    report = GOOD.to_json()
    assert list(report) == [
        "trace", "seed", "raw_tokens", "orders", "fills", "lots_traded", "usage_events", "metering",
        "contract_tokens", "micros", "left_over", "ledger", "runs", "dispute", "payments", "statements",
        "second_opinions", "recomputed", "evidence", "seconds",
    ]  # fmt: skip
    assert report["usage_events"] == {"sent": 21, "accepted": 20, "duplicates": 1}
    assert list(report["contract_tokens"]) == [
        "sold", "delivered", "unused", "short", "overage", "excess", "unmatched",
    ]  # fmt: skip
    assert list(report["micros"]) == ["notional", "paid_to_providers", "refunded", "damages", "overage", "fees"]
    assert list(report["metering"]) == [
        "faults", "quarantined", "conflicts", "signed_events", "cases", "zeroed_pairs", "rollup_differences",
        "money_error_micros",
    ]  # fmt: skip
    assert report["metering"]["faults"]["lost_ends"] == {"injected": 3, "caught": 3}
    assert list(report["seconds"]) == ["trading", "metering", "settlement", "total"]


def test_a_good_day_has_no_faults() -> None:
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    "wrong",
    [
        replace(GOOD, contract_tokens=replace(GOOD.contract_tokens, sold=301)),
        replace(GOOD, left_over=LeftOver(0, 1, 0, 0)),
        replace(GOOD, ledger=Ledger(50, 120, 1)),
        replace(GOOD, statements=Statements(8, 7)),
        replace(GOOD, runs={"initial": Run(2, 5, 4)}),
        replace(GOOD, left_over=LeftOver(0, 0, 0, 1)),
        replace(GOOD, dispute=Disputed(100_000, 90_000, 0, 0)),
        replace(GOOD, payments=replace(GOOD.payments, confirmed=2)),
        replace(GOOD, second_opinions=SecondOpinions(7, 8, 5, 0, ())),
        replace(GOOD, second_opinions=SecondOpinions(8, 7, 5, 0, ())),
        replace(GOOD, second_opinions=SecondOpinions(8, 8, 5, 1, ())),
        replace(GOOD, recomputed=Recomputed(4, 20, 1)),
        replace(GOOD, evidence=Evidence(27, 1, 2, 2)),
        replace(GOOD, evidence=Evidence(27, 0, 2, 1)),
        replace(GOOD, usage_events=UsageEvents(22, 20, 1)),
        metered(faults=replace(INJECTED, duplicates=Fault(2, 1))),
        metered(faults=replace(INJECTED, late=Fault(2, 1))),
        metered(faults=replace(INJECTED, lost_ends=Fault(4, 3))),
        metered(faults=replace(INJECTED, reasoning_inflation=Fault(5, 4))),
        metered(faults=replace(INJECTED, shaving=replace(INJECTED.shaving, caught=29))),
        metered(faults=replace(INJECTED, shaving=replace(INJECTED.shaving, pairs=3))),
        metered(zeroed_pairs=3),
        metered(quarantined=1),
        metered(conflicts=1),
        metered(rollup_differences=1),
        metered(money_error_micros=1),
    ],
)
def test_what_does_not_add_up_is_a_fault(wrong: Report) -> None:
    assert len(faults(wrong)) == 1


def test_a_missing_tool_is_no_fault_and_is_not_passed_over() -> None:
    alone = replace(GOOD, second_opinions=SecondOpinions(None, None, None, None, ("openssl", "jwcrypto", "hledger")))
    assert faults(alone) == []
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(as_table(alone, "USD"))
    shown = console.export_text()
    assert shown.count("not installed") == 4
    assert "openssl, jwcrypto, hledger" in shown


def test_the_table_shows_every_figure() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(as_table(GOOD, "USD"))
    shown = console.export_text()
    for text in (
        "small.csv",
        "seed 7",
        "1.234500",
        "1,000",
        "paid to providers",
        "duplicates",
        "9.0",
        "0.000077",
        "shaving: caught pairs",
        "shaving: inside tolerance, USD",
        "cases: figures differ",
        "initial: statements",
        "disputed, USD",
        "hledger accounts",
    ):
        assert text in shown
