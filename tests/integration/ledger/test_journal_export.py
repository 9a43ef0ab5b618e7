"""The journal as a file: complete, in order, and the same bytes every time."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from ledger.models import Account, PartyKind
from ledger.parties.commands import register_currency, register_party
from ledger.selectors.journal import get_journal_totals
from ledger.transfers import deposit, withdraw
from tests.conftest import DatabaseUrls

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)


@pytest.fixture
def journal(database: DatabaseUrls) -> None:
    """A few deposits and a withdrawal, by a name that needs quoting."""
    register_party("house", "The house", PartyKind.HOUSE, actor="tests", now=NOW)
    currency = register_currency("CNY", actor="tests", now=NOW)
    buyer = register_party("buyer", "A buyer", PartyKind.BUYER, actor="tests", now=NOW)
    for number in range(3):
        reference = f'payment "{number}", with a comma'
        deposit(buyer.id, currency.id, 1_000_001 + number, reference=reference, actor="tests", now=NOW)
    withdraw(buyer.id, currency.id, 2_000_000, reference="out", actor="tests", now=NOW)


def exported() -> str:
    output = io.StringIO()
    call_command("export_journal", stdout=output)
    return output.getvalue()


def test_balances_can_be_recomputed_from_the_file(journal: None) -> None:
    rows = list(csv.DictReader(io.StringIO(exported())))
    assert [(int(row["transaction"]), int(row["leg"])) for row in rows] == [
        (t, leg) for t in range(1, 5) for leg in (1, 2)
    ]
    balances: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        balances[row["party"], row["role"]] += Decimal(row["amount"])
        assert balances[row["party"], row["role"]] == Decimal(row["balance_after"])
    kept = {(a.party.code, a.role): Decimal(a.balance) / 10**6 for a in Account.objects.select_related("party")}
    assert dict(balances) == kept
    assert rows[0]["ref"] == 'payment "0", with a comma'
    assert rows[0]["effective_at"] == "2026-12-01T10:00:00+00:00"
    assert rows[0]["amount"] == "-1.000001"


def test_the_file_is_the_same_every_time(journal: None, tmp_path: Path) -> None:
    path = tmp_path / "journal.csv"
    call_command("export_journal", "--format", "csv", "--output", str(path), stderr=io.StringIO())
    assert path.read_bytes().decode() == exported() == exported()


def test_an_empty_journal_is_a_header(database: DatabaseUrls) -> None:
    assert exported().count("\n") == 1


def test_a_file_that_cannot_be_written_is_an_error(journal: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        call_command("export_journal", "--output", str(tmp_path / "missing" / "journal.csv"))


def test_totals(journal: None) -> None:
    totals = get_journal_totals()
    assert (totals.transactions, totals.entries, totals.unbalanced) == (4, 8, 0)
