"""`make demo` on a very small trace, with real processes: from the first offer to the last verified statement."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from config.catalogue import BUYERS, PROVIDERS
from config.demo.__main__ import main
from config.demo.generated import generate_trace
from config.demo.trace import Request, write_azure
from config.environment import CHECKOUT
from config.postgres import Cluster, Status
from tests.accounting import (
    NO_HLEDGER,
    beancount_balances,
    beancount_faults,
    beancount_transactions,
    has_hledger,
    hledger_balances,
    hledger_faults,
)

TOKENS_FACTOR = 5  # a few requests that need some lots
SECONDS = 120


def small_day() -> list[Request]:
    """Two windows with a hundred-odd large requests each."""
    minute = generate_trace(11, scale_percent=2).requests[::3]
    large = [replace(each, input_tokens=each.input_tokens * TOKENS_FACTOR) for each in minute]
    return large + [replace(each, at=each.at + timedelta(minutes=10)) for each in large]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    Cluster("demo", tmp_path / "home").remove()


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "small.csv"
    path.write_text(write_azure(small_day()))
    return path


def start_demo(home: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "config.demo", *map(str, arguments)],
        cwd=CHECKOUT,
        env=os.environ | {"TOKENBOURSE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def working_below(home: Path) -> list[str]:
    """Processes that were told of this home."""
    return [
        " ".join(process.info["cmdline"] or [])
        for process in psutil.process_iter(["environ", "cmdline"])
        if (process.info["environ"] or {}).get("TOKENBOURSE_HOME") == str(home)
    ]


def assert_nothing_is_left(home: Path) -> None:
    assert working_below(home) == []
    assert Cluster("demo", home).status is Status.ABSENT


@pytest.mark.timeout(SECONDS)
def test_a_small_day(home: Path, trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    demo = start_demo(home, "--trace", trace, "--out", out, "--seed", 3)
    printed, _ = demo.communicate(timeout=SECONDS)
    assert demo.returncode == 0, printed
    assert "One trading day on small.csv" in printed
    assert_nothing_is_left(home)

    report = json.loads((out / "report.json").read_text())
    requests = small_day()
    assert report["raw_tokens"] == {
        "input": sum(request.input_tokens for request in requests),
        "output": sum(request.output_tokens for request in requests),
    }
    tokens, micros, events = report["contract_tokens"], report["micros"], report["usage_events"]
    assert tokens["delivered"] + tokens["unused"] + tokens["short"] == tokens["sold"] == report["lots_traded"] * 100_000
    assert tokens["delivered"] > 0
    assert tokens["unmatched"] == 0
    assert micros["paid_to_providers"] + micros["refunded"] == micros["notional"] > 0
    metering, injected = report["metering"], report["metering"]["faults"]
    windows, meters = 2, len(BUYERS) + len(PROVIDERS)
    told = 4 * len(requests) - injected["lost_ends"]["injected"]  # both meters, start and end
    assert told < events["accepted"] <= told + windows * meters * 3  # a watermark a meter and contract
    assert events["sent"] == events["accepted"] + events["duplicates"]
    for name in ("duplicates", "late", "lost_ends", "reasoning_inflation"):
        assert injected[name]["injected"] == injected[name]["caught"] > 0, name
    shaving = injected["shaving"]
    assert shaving["caught"] + shaving["inside_tolerance"] == shaving["requests"] > 0
    assert (metering["money_error_micros"], metering["rollup_differences"], metering["quarantined"]) == (0, 0, 0)
    assert metering["cases"]["figures_differ"] > 0
    assert metering["signed_events"] > 0
    assert set(report["left_over"].values()) == {0}
    assert report["ledger"]["unbalanced"] == 0
    assert report["orders"] > report["fills"] > 0

    files = sorted(out.glob("statements/*.jws.json"))
    assert len(files) == report["statements"]["issued"] == report["statements"]["verified"] > 0
    jwks = out / "statements" / "jwks.json"
    verifier = [sys.executable, "-m", "settlement.statements.verify", str(files[0]), "--jwks", str(jwks)]
    assert subprocess.run(verifier, cwd=CHECKOUT, capture_output=True, check=False).returncode == 0
    assert_settled(report, out)
    closing = assert_journal_balances(out / "journal.csv", report["ledger"]["entries"])
    assert_accounting_tools_agree(out, closing, report["ledger"]["transactions"])


def assert_settled(report: dict[str, Any], out: Path) -> None:
    """Four runs, a dispute, payments; others agree with every statement, and the final run is computed anew."""
    assert list(report["runs"]) == ["indicative", "initial", "final", "disputed_final"]
    assert sum(run["statements"] for run in report["runs"].values()) == report["statements"]["issued"]
    assert report["runs"]["disputed_final"]["contracts"] == 1
    dispute, payments, others = report["dispute"], report["payments"], report["second_opinions"]
    assert dispute["settled"] == 1
    assert 0 < dispute["decided_micros"] <= dispute["disputed_micros"]
    assert payments["confirmed"] == payments["instructed"] > 0
    assert payments["net_micros"] < payments["gross_micros"]
    assert list(out.glob("payments-*.xml"))
    for tool in ("openssl", "jwcrypto"):
        assert others[tool] == (None if tool in others["absent"] else report["statements"]["issued"])
    assert others["hledger_differences"] == (None if "hledger" in others["absent"] else 0)
    assert report["recomputed"]["faults"] == 0
    again = [sys.executable, "-m", "settlement.recompute", str(out / "bundle.zip"), "--jwks", str(out / "keys.json")]
    assert subprocess.run(again, cwd=CHECKOUT, capture_output=True, check=False).returncode == 0


def assert_accounting_tools_agree(out: Path, closing: list[Decimal], transactions: int) -> None:
    """Both tools find nothing wrong, and add up the same balances."""
    journal = out / "journal.beancount"
    assert beancount_faults(journal) == []
    assert len(beancount_transactions(journal)) == transactions
    assert sorted(beancount_balances(journal).values()) == closing
    if not has_hledger():
        pytest.skip(f"all but one check held, and {NO_HLEDGER}")
    assert hledger_faults(out / "journal.hledger") == ""
    assert sorted(hledger_balances(out / "journal.hledger").values()) == closing


def assert_journal_balances(journal: Path, entries: int) -> list[Decimal]:
    """Every running balance follows from the amounts; returns the last one of each account, sorted."""
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    balances: dict[tuple[str, ...], Decimal] = {}
    with journal.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == entries
    for row in rows:
        sums[row["transaction"], row["asset"]] += Decimal(row["amount"])
        account = (row["party"], row["role"], row["qualifier"], row["asset"])
        balances[account] = balances.get(account, Decimal(0)) + Decimal(row["amount"])
        assert balances[account] == Decimal(row["balance_after"])
    assert set(sums.values()) == {Decimal(0)}
    for (_, role, _, _), balance in balances.items():
        assert role not in {"escrow", "entitlement", "obligation"} or balance == 0
    return sorted(balances.values())


@pytest.mark.timeout(SECONDS)
def test_ctrl_c_takes_everything_down(home: Path, tmp_path: Path) -> None:
    demo = start_demo(home, "--scale", 5, "--out", tmp_path)
    deadline = time.monotonic() + SECONDS / 2
    while not any("run_sequencer" in command for command in working_below(home)):
        assert time.monotonic() < deadline
        assert demo.poll() is None
        time.sleep(0.05)
    demo.send_signal(signal.SIGINT)
    printed, _ = demo.communicate(timeout=SECONDS / 2)
    assert demo.returncode == 130, printed
    assert "Traceback" not in printed
    assert_nothing_is_left(home)
    assert not (tmp_path / "report.json").exists()


def test_a_broken_trace_line_changes_nothing(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with trace.open("a", encoding="utf-8") as file:
        file.write("2026-12-01 10:13:00.0,12\n")
    assert main(["--trace", str(trace), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "broken_trace_line" in told
    assert f"Line {len(small_day()) + 2} " in told
    assert not (tmp_path / "out").exists()


def test_two_demos_of_a_checkout_do_not_meet(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    with (home / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        demo = start_demo(home, "--scale", 1, "--out", tmp_path / "out")
        printed, _ = demo.communicate(timeout=SECONDS)
    assert demo.returncode == 1
    assert "running already" in printed
