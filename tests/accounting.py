"""Other people's accounting tools, as judges of an exported journal: hledger where it is installed, and Beancount."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from beancount import loader
from beancount.core.data import Transaction

Balances = dict[tuple[str, str], Decimal]  # by account and commodity

NO_HLEDGER = "hledger is not installed (Debian and Ubuntu: apt install hledger): what it would say is unknown"


def has_hledger() -> bool:
    return shutil.which("hledger") is not None


needs_hledger = pytest.mark.skipif(not has_hledger(), reason=NO_HLEDGER)


def _hledger(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["hledger", "-f", str(path), *arguments],
        env=os.environ | {"LC_ALL": "C"},  # a file must not depend on the locale
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@cache
def _checks() -> list[list[str]]:
    """All checks by name, and the strict ones together: hledger 1.25 leaves out `balancednoautoconversion` when it is
    named with others, and then takes legs of two commodities that do not sum to 0 for an exchange at a price."""
    version = subprocess.run(["hledger", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)", version)
    assert found, version
    balanced = "balanced" if (int(found[1]), int(found[2])) >= (1, 31) else "balancednoautoconversion"
    return [["commodities", "accounts", balanced, "ordereddates"], ["-s", "ordereddates"]]


def hledger_faults(path: Path) -> str:
    """What hledger has to say against a file; empty when all its checks hold."""
    for checks in _checks():
        checked = _hledger(path, "check", *checks)
        if checked.returncode:
            return checked.stderr or "no reason given"
    return ""


def hledger_balances(path: Path) -> Balances:
    """Sums of all postings, by account and commodity, as hledger adds them up."""
    answer = _hledger(path, "balance", "--flat", "--empty", "--no-total", "--layout=bare", "-O", "csv")
    assert answer.returncode == 0, answer.stderr
    rows = csv.DictReader(io.StringIO(answer.stdout))
    return {(row["account"], row["commodity"]): Decimal(row["balance"]) for row in rows}


def hledger_tags(path: Path) -> list[dict[str, str]]:
    """The tags of each transaction, with those of its first posting, as hledger reads them."""
    answer = _hledger(path, "print", "-O", "json")
    assert answer.returncode == 0, answer.stderr
    return [
        dict(each["ttags"]) | dict(each["tpostings"][0]["ptags"] if each["tpostings"] else [])
        for each in json.loads(answer.stdout)
    ]


def beancount_faults(path: Path) -> list[str]:
    """What Beancount has to say against a file; what `bean-check` prints."""
    _, errors, _ = loader.load_string(path.read_text(encoding="utf-8"))
    return [error.message for error in errors]


def beancount_transactions(path: Path) -> list[Transaction]:
    entries, _, _ = loader.load_string(path.read_text(encoding="utf-8"))
    return [entry for entry in entries if isinstance(entry, Transaction)]


def beancount_balances(path: Path) -> Balances:
    """Sums of all postings, by account and commodity, of what Beancount read."""
    balances: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for transaction in beancount_transactions(path):
        for posting in transaction.postings:
            assert posting.units is not None
            assert posting.units.number is not None
            balances[posting.account, posting.units.currency] += posting.units.number
    return dict(balances)
