"""The journal as a file: complete, in order, the same bytes every time, and the same figures whoever adds them up."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from pathlib import Path
from random import Random

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction

from ledger import journal
from ledger.chart import AccountKey, AssetKind, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.export.formats import WRITERS, write_file
from ledger.models import Account, Asset, Party, PartyKind
from ledger.parties.commands import register_currency, register_party
from ledger.selectors.journal import JournalTransaction, extract_journal, get_journal_totals
from tests.accounting import (
    beancount_balances,
    beancount_faults,
    beancount_transactions,
    hledger_balances,
    hledger_faults,
    needs_hledger,
)
from tests.conftest import DatabaseUrls

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 12, 2, tzinfo=UTC)
SYMBOL = "QWEN3-235B.CN-EAST.STD@20261201T14/1H"
SEED = 7
TRANSACTIONS = 60


def posted(*drafts: TransactionDraft, now: datetime) -> None:
    with transaction.atomic():
        journal.post(drafts, actor="user:op", now=now)


class Market:
    """Two parties, the house, a currency and a contract; and what they do over three days."""

    def __init__(self) -> None:
        self.house = register_party("house", "The house", PartyKind.HOUSE, actor="tests", now=NOON)
        self.ada = register_party("ada", "Ada", PartyKind.BUYER, actor="tests", now=NOON)
        self.acme = register_party("acme", "Acme", PartyKind.PROVIDER, actor="tests", now=NOON)
        self.money = register_currency("CNY", actor="tests", now=NOON)
        self.tokens = Asset.objects.create(code=SYMBOL, kind=AssetKind.CONTRACT, scale=0)
        self.random = Random(SEED)
        with transaction.atomic():
            sold = AccountKey(self.acme.id, self.tokens.id, Role.OBLIGATION)
            journal.set_floors({sold: -(10**12)}, actor="tests", reason="capacity", now=NOON)
        self.number = 0

    def deposit(self, micros: int, reference: str, now: datetime) -> None:
        legs = (
            Leg(AccountKey(self.house.id, self.money.id, Role.EXTERNAL), -micros, reference),
            Leg(self._of(self.ada, Role.CASH), micros, reference),
        )
        self._post("deposit", legs, (), now)

    def act(self, now: datetime) -> None:
        """A trade, a claim for a debt, or a hold alone, by chance."""
        micros, tokens = self.random.randrange(1, 3_000_000), self.random.randrange(1, 10**9)
        if (choice := self.random.randrange(3)) == 0:
            self._post("order", (), (HoldChange(self._of(self.ada, Role.CASH), 1, "o"),), now)
        elif choice == 1:
            legs: tuple[Leg, ...] = (
                Leg(self._of(self.ada, Role.CASH), -micros, f"f{self.number}"),
                Leg(AccountKey(self.acme.id, self.tokens.id, Role.OBLIGATION), -tokens),
                Leg(AccountKey(self.ada.id, self.tokens.id, Role.ENTITLEMENT), tokens),
                Leg(AccountKey(self.house.id, self.money.id, Role.ESCROW, SYMBOL), micros - micros // 9),
                Leg(self._of(self.house, Role.FEES), micros // 9, "费"),
            )
            self._post("trade", tuple(leg for leg in legs if leg.amount), (), now)
        else:
            legs = (
                Leg(self._of(self.ada, Role.DEBT), -micros),
                Leg(AccountKey(self.acme.id, self.money.id, Role.CLAIM, "ada/fees"), micros),
            )
            self._post("adjustment", legs, (), now)

    def _of(self, party: Party, role: Role) -> AccountKey:
        return AccountKey(party.id, self.money.id, role)

    def _post(self, kind: str, legs: tuple[Leg, ...], holds: tuple[HoldChange, ...], now: datetime) -> None:
        self.number += 1
        effective_at = now - self.random.randrange(2) * DAY
        draft = TransactionDraft(kind, "tests", f'no. {self.number}, "x"', effective_at, legs, holds)
        posted(draft, now=now)


@pytest.fixture
def market(database: DatabaseUrls) -> Market:
    return Market()


@pytest.fixture
def busy(market: Market) -> Market:
    """Three days of a market: some of each kind of transaction on each of them."""
    market.deposit(100_000_000, 'payment "0", with a comma', NOON)
    for step in range(TRANSACTIONS - 1):
        market.act(NOON + 2 * DAY * step / TRANSACTIONS)
    return market


def exported(*arguments: str) -> str:
    output = io.StringIO()
    call_command("export_journal", *arguments, stdout=output)
    return output.getvalue()


def export_to(folder: Path, name: str, *arguments: str) -> Path:
    path = folder / f"journal.{name}"
    call_command("export_journal", "--format", name, "--output", str(path), *arguments, stderr=io.StringIO())
    return path


def kept(role_and_asset: Callable[[Account], tuple[str, str]]) -> dict[tuple[str, str], Decimal]:
    """What the accounts say, by their name and commodity in a file."""
    used = Account.objects.select_related("party", "asset").filter(seq__gt=0)
    return {role_and_asset(each): Decimal(each.balance).scaleb(-each.asset.scale) for each in used}


def hledger_name(account: Account) -> tuple[str, str]:
    types = {Role.DEBT: "liabilities", Role.OBLIGATION: "liabilities", Role.EXTERNAL: "equity"}
    parts = [types.get(Role(account.role), "assets"), account.role, account.party.code]
    return ":".join(
        [*parts, *([account.qualifier] if account.qualifier else []), account.asset.code]
    ), account.asset.code


def test_balances_can_be_recomputed_from_the_csv(busy: Market) -> None:
    rows = list(csv.DictReader(io.StringIO(exported())))
    balances: defaultdict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for row in rows:
        account = (row["party"], row["role"], row["qualifier"], row["asset"])
        balances[account] += Decimal(row["amount"])
        assert balances[account] == Decimal(row["balance_after"])
    accounts = Account.objects.select_related("party", "asset").filter(seq__gt=0)
    assert dict(balances) == {
        (each.party.code, each.role, each.qualifier, each.asset.code): Decimal(each.balance).scaleb(-each.asset.scale)
        for each in accounts
    }
    order = [(int(row["transaction"]), int(row["leg"])) for row in rows]
    assert order == sorted(set(order))
    assert rows[0]["ref"] == 'payment "0", with a comma'
    assert rows[0]["posted_at"] == "2026-12-01T12:00:00+00:00"
    assert rows[0]["amount"] == "-100.000000"


@needs_hledger
def test_hledger_adds_up_what_the_accounts_say(busy: Market, tmp_path: Path) -> None:
    path = export_to(tmp_path, "hledger")
    assert hledger_faults(path) == ""
    assert hledger_balances(path) == kept(hledger_name)


def test_beancount_adds_up_what_the_accounts_say(busy: Market, tmp_path: Path) -> None:
    path = export_to(tmp_path, "beancount")
    assert beancount_faults(path) == []
    contract = f"TOKENS-{busy.tokens.id}"
    names = {
        (Role.EXTERNAL, "house"): "Equity:External:House:CNY",
        (Role.CASH, "ada"): "Assets:Cash:Ada:CNY",
        (Role.FEES, "house"): "Assets:Fees:House:CNY",
        (Role.ESCROW, "house"): f"Assets:Escrow:House:{contract}:CNY",
        (Role.DEBT, "ada"): "Liabilities:Debt:Ada:CNY",
        (Role.CLAIM, "acme"): "Assets:Claim:Acme:AdaZ2ffees:CNY",
        (Role.OBLIGATION, "acme"): f"Liabilities:Obligation:Acme:{contract}",
        (Role.ENTITLEMENT, "ada"): f"Assets:Entitlement:Ada:{contract}",
    }

    def name(account: Account) -> tuple[str, str]:
        full = names[Role(account.role), account.party.code]
        return full, full.rpartition(":")[2]

    assert beancount_balances(path) == kept(name)
    assert [each.meta["transaction"] for each in beancount_transactions(path)] == list(range(1, TRANSACTIONS + 1))


@pytest.mark.parametrize(
    ("name", "faults"), [pytest.param("hledger", hledger_faults, marks=needs_hledger), ("beancount", beancount_faults)]
)
def test_each_part_of_the_journal_stands_alone(
    busy: Market, tmp_path: Path, name: str, faults: Callable[[Path], object]
) -> None:
    at = "2026-12-02T15:00:00+08:00"
    for period in (["--until", "2026-12-02"], ["--from", "2026-12-02", "--until", at], ["--from", at]):
        assert not faults(export_to(tmp_path, name, *period)), period


def test_parts_that_meet_in_time_are_the_whole(busy: Market) -> None:
    def numbers(start: datetime | None, end: datetime | None) -> list[int]:
        return [each.number for each in extract_journal(start, end).transactions()]

    later = MIDNIGHT + DAY / 3
    parts = [numbers(None, MIDNIGHT), numbers(MIDNIGHT, later), numbers(later, None)]
    assert all(parts)
    assert list(chain(*parts)) == numbers(None, None) == list(range(1, TRANSACTIONS + 1))
    closing = [each for each in extract_journal(None, MIDNIGHT).closing() if each.balance]
    assert list(extract_journal(MIDNIGHT, None).opening()) == closing


def test_where_a_clock_goes_back_times_stay_and_parts_meet(market: Market) -> None:
    for seconds in (-2, 0, -1, 2):
        market.deposit(5, f"at {seconds}", MIDNIGHT + timedelta(seconds=seconds))

    def seconds_of(found: Iterator[JournalTransaction]) -> list[float]:
        return [(each.posted_at - MIDNIGHT).total_seconds() for each in found]

    assert seconds_of(extract_journal(None, MIDNIGHT).transactions()) == [-2]
    assert seconds_of(extract_journal(MIDNIGHT, None).transactions()) == [0, 0, 2]


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_the_file_is_the_same_every_time(busy: Market, tmp_path: Path, name: str) -> None:
    path = export_to(tmp_path, name)
    assert path.read_bytes().decode() == exported("--format", name) == exported("--format", name)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_period_that_is_over_gives_the_same_file_for_ever(busy: Market, name: str) -> None:
    period = ["--format", name, "--from", "2026-12-02", "--until", "2026-12-03T00:00:00Z"]
    before = exported(*period)
    busy.deposit(77, "later", MIDNIGHT + 3 * DAY)
    for step in range(5):
        busy.act(MIDNIGHT + 3 * DAY + step * DAY / 24)
    assert exported(*period) == before


def test_a_csv_of_a_period_begins_with_its_balances(busy: Market) -> None:
    rows = list(csv.DictReader(io.StringIO(exported("--from", "2026-12-02"))))
    balances: defaultdict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for row in rows:
        account = (row["party"], row["role"], row["qualifier"], row["asset"])
        balances[account] += Decimal(row["amount"])
        assert balances[account] == Decimal(row["balance_after"])
    opening = [row for row in rows if row["transaction"] == "0"]
    assert rows[: len(opening)] == opening
    assert {row["kind"] for row in opening} == {"opening_balance"}
    assert sum(Decimal(row["amount"]) for row in opening if row["asset"] == "CNY") == 0


def test_an_empty_journal_is_a_header(database: DatabaseUrls, tmp_path: Path) -> None:
    assert exported().count("\n") == 1
    assert beancount_faults(export_to(tmp_path, "beancount")) == []
    assert exported("--from", "2026-12-02").count("\n") == 1


def test_a_file_that_cannot_be_written_is_an_error(market: Market, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_journal", "--output", str(tmp_path / "missing" / "journal.csv"))


def test_a_file_that_is_not_complete_is_no_file(busy: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.csv"
    path.write_text("the one before")

    def half(*_: object) -> int:
        raise RuntimeError("the power went")

    monkeypatch.setitem(WRITERS, "csv", half)
    with pytest.raises(RuntimeError):
        write_file(extract_journal(), "csv", path)
    assert [each.name for each in tmp_path.iterdir()] == ["journal.csv"]
    assert path.read_text() == "the one before"


def test_a_device_is_written_to_and_not_replaced(busy: Market) -> None:
    path = Path("/dev/null")
    assert write_file(extract_journal(), "csv", path) > 0
    assert path.is_char_device()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from", "yesterday"],
        ["--from", "2026-12-01T10:00:00"],  # without an offset
        ["--until", "1969-12-31"],
        ["--from", "0001-01-01T00:00:00+14:00"],
        ["--from", "2026-12-02", "--until", "2026-12-02"],
        ["--from", "2026-12-02", "--until", "2026-12-02T07:00:00+08:00"],
    ],
)
def test_a_period_that_makes_no_sense_is_refused(market: Market, arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="must be"):
        exported(*arguments)


def test_totals(busy: Market) -> None:
    totals = get_journal_totals()
    entries = sum(len(each.entries) for each in extract_journal().transactions())
    assert (totals.transactions, totals.entries, totals.unbalanced) == (TRANSACTIONS, entries, 0)
