"""The journal as text for hledger and Beancount: what both tools read back, and that neither takes a forged file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TextIO
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.windows import format_symbol, window_at
from ledger.chart import AssetKind, Role
from ledger.export import beancount_journal, hledger_journal
from ledger.export.beancount_journal import write_beancount
from ledger.export.books import Journal
from ledger.export.hledger_journal import write_hledger
from ledger.money import MAX_AMOUNT
from ledger.selectors.journal import JournalAccount
from tests.accounting import (
    beancount_balances,
    beancount_faults,
    beancount_transactions,
    hledger_balances,
    hledger_faults,
    hledger_tags,
    needs_hledger,
)
from tests.unit.ledger.made_journal import (
    ADA,
    BOUGHT,
    CLAIM,
    DEBT,
    ESCROW,
    EXTERNAL,
    NOON,
    PLAIN_CLAIM,
    SOLD,
    SYMBOL,
    Draft,
    MadeJournal,
    post,
)

Faults = Callable[[Path], object]
DAY = timedelta(days=1)
TRADE = Draft([(ADA, -4_000_003, ""), (SOLD, -100_000, "f1"), (BOUGHT, 100_000, "f1"), (ESCROW, 4_000_003, "")])
JOURNAL = MadeJournal(
    post(
        [
            Draft([(EXTERNAL, -20_000_000, "pay"), (ADA, 20_000_000, "pay")], kind="deposit"),
            TRADE,
            Draft([], kind="period_seal"),
            Draft([(ADA, -1_500_000, ""), (CLAIM, 1_500_000, ""), (DEBT, -7, ""), (PLAIN_CLAIM, 7, "")], at=NOON + DAY),
            Draft([(EXTERNAL, 2_000_000, "out"), (ADA, -2_000_000, "out")], kind="withdrawal", at=NOON + DAY),
        ]
    )
)

TOOLS = [
    pytest.param(write_hledger, hledger_faults, id="hledger", marks=needs_hledger),
    pytest.param(write_beancount, beancount_faults, id="beancount"),
]
both_tools = pytest.mark.parametrize(("write", "faults"), TOOLS)
Write = Callable[[Journal, TextIO], int]


def text_of(write: Write, journal: Journal) -> str:
    file = io.StringIO()
    write(journal, file)
    return file.getvalue()


def judged(faults: Faults, text: str, folder: Path) -> object:
    path = folder / "journal"
    path.write_text(text, encoding="utf-8")
    return faults(path)


def balances_of(journal: MadeJournal) -> dict[int, Decimal]:
    return {each.account.id: Decimal(each.account.format(each.balance)) for each in journal.closing()}


@needs_hledger
def test_hledger_adds_up_what_the_ledger_has(tmp_path: Path) -> None:
    path = tmp_path / "journal.hledger"
    path.write_text(text_of(write_hledger, JOURNAL))
    assert hledger_faults(path) == ""
    assert hledger_balances(path) == {
        ("equity:external:house:CNY", "CNY"): Decimal(-18),
        ("assets:cash:ada:CNY", "CNY"): Decimal("12.499997"),
        (f"assets:escrow:house:{SYMBOL}:CNY", "CNY"): Decimal("4.000003"),
        (f"liabilities:obligation:acme:{SYMBOL}", SYMBOL): Decimal(-100_000),
        (f"assets:entitlement:ada:{SYMBOL}", SYMBOL): Decimal(100_000),
        ("assets:claim:acme:ada/held_share:CNY", "CNY"): Decimal("1.5"),
        ("assets:claim:acme:CNY", "CNY"): Decimal("0.000007"),
        ("liabilities:debt:ada:CNY", "CNY"): Decimal("-0.000007"),
    }


def test_beancount_adds_up_what_the_ledger_has(tmp_path: Path) -> None:
    path = tmp_path / "journal.beancount"
    path.write_text(text_of(write_beancount, JOURNAL))
    assert beancount_faults(path) == []
    assert beancount_balances(path) == {
        ("Equity:External:House:CNY", "CNY"): Decimal(-18),
        ("Assets:Cash:Ada:CNY", "CNY"): Decimal("12.499997"),
        ("Assets:Escrow:House:TOKENS-12:CNY", "CNY"): Decimal("4.000003"),
        ("Liabilities:Obligation:Acme:TOKENS-12", "TOKENS-12"): Decimal(-100_000),
        ("Assets:Entitlement:Ada:TOKENS-12", "TOKENS-12"): Decimal(100_000),
        ("Assets:Claim:Acme:AdaZ2fheldZ5fshare:CNY", "CNY"): Decimal("1.5"),
        ("Assets:Claim:Acme:CNY", "CNY"): Decimal("0.000007"),
        ("Liabilities:Debt:Ada:CNY", "CNY"): Decimal("-0.000007"),
    }
    numbers = [each.meta["transaction"] for each in beancount_transactions(path)]
    assert numbers == [1, 2, 3, 4, 5]


def amount_digits(text: str) -> Iterator[int]:
    """Where the digits of all amounts are: of postings, running balances, balance assertions."""
    for line in re.finditer(r"^(?: {2,4}[AaEeLl]\w+:|\d{4}-\d\d-\d\d balance ).*$", text, re.MULTILINE):
        for amount in re.finditer(r"(?<= )-?[0-9][0-9.]*(?= )", line[0]):
            if not line[0][: amount.start()].endswith("~ "):
                yield from (line.start() + at for at in range(*amount.span()) if line[0][at].isdigit())


@both_tools
def test_another_digit_in_any_amount_is_refused(write: Write, faults: Faults, tmp_path: Path) -> None:
    text = text_of(write, JOURNAL)
    assert not judged(faults, text, tmp_path)
    places = list(amount_digits(text))
    assert len(places) > 100
    step = 7 if faults is hledger_faults else 1  # a process each
    for place in places[::step]:
        forged = text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]
        assert judged(faults, forged, tmp_path), forged[place - 60 : place + 20]


@both_tools
def test_a_posting_that_is_missing_is_refused(write: Write, faults: Faults, tmp_path: Path) -> None:
    lines = text_of(write, JOURNAL).splitlines(keepends=True)
    postings = [at for at, line in enumerate(lines) if re.match(r" {2,4}[AaEeLl]\w+:\w+:(?!.* == )", line)]
    assert len(postings) == 12
    for at in postings:
        assert judged(faults, "".join(lines[:at] + lines[at + 1 :]), tmp_path), lines[at]


@both_tools
def test_a_transaction_that_is_missing_is_refused(write: Write, faults: Faults, tmp_path: Path) -> None:
    blocks = text_of(write, JOURNAL).split("\n\n")
    numbers = [at for at, block in enumerate(blocks) if re.search(r"\(\d+\) |transaction: \d", block)]
    assert len(numbers) == 5
    for at in numbers:
        if "period_seal" not in blocks[at]:  # which moved nothing
            assert judged(faults, "\n\n".join(blocks[:at] + blocks[at + 1 :]), tmp_path), blocks[at]


@both_tools
def test_a_transaction_too_many_is_refused(write: Write, faults: Faults, tmp_path: Path) -> None:
    blocks = text_of(write, JOURNAL).split("\n\n")
    at = next(at for at, block in enumerate(blocks) if "withdrawal" in block)
    assert judged(faults, "\n\n".join([*blocks[:at], blocks[at], *blocks[at:]]), tmp_path)


@both_tools
def test_another_commodity_on_an_account_is_refused(write: Write, faults: Faults, tmp_path: Path) -> None:
    """Two legs that cancel in a declared commodity, on accounts that never had it."""
    text = text_of(write, JOURNAL)
    other = "TOKENS-12" if write is write_beancount else f'"{SYMBOL}"'
    ada, outside = (name(account) for account in (ADA, EXTERNAL) for name in [name_of(write)])
    legs = f"    {ada}  5 {other}\n    {outside}  -5 {other}\n"
    day = (NOON + DAY).date()
    head = f'{day} * "forged"\n' if write is write_beancount else f"{day} forged\n"
    forged = re.sub(r"(?=^2026-12-0\d (?:closing|balance ))", head + legs + "\n", text, count=1, flags=re.MULTILINE)
    assert forged != text
    assert judged(faults, forged, tmp_path)


def name_of(write: Write) -> Callable[[JournalAccount], str]:
    return beancount_journal.account_name if write is write_beancount else hledger_journal.account_name


@both_tools
def test_a_transaction_that_is_off_by_a_micro_is_refused(write: Write, faults: Faults, tmp_path: Path) -> None:
    """Although everything else is made to fit: the running balances and the closing ones are those of the forgery."""
    forged = MadeJournal(post([Draft([(EXTERNAL, -20_000_000, ""), (ADA, 20_000_001, "")])]))
    assert judged(faults, text_of(write, forged), tmp_path)
    tokens = MadeJournal(post([Draft([(SOLD, -100_000, ""), (BOUGHT, 100_001, "")])]))
    assert judged(faults, text_of(write, tokens), tmp_path)


@both_tools
def test_legs_that_would_balance_at_a_price_are_refused(write: Write, faults: Faults, tmp_path: Path) -> None:
    forged = MadeJournal(post([Draft([(ADA, -4_000_000, ""), (BOUGHT, 100_000, "")])]))
    assert judged(faults, text_of(write, forged), tmp_path)


@needs_hledger
def test_two_errors_that_cancel_are_found_by_the_running_balances(tmp_path: Path) -> None:
    text = text_of(write_hledger, JOURNAL)
    first = text.replace("-20.000000 CNY =", "-20.000001 CNY =").replace(" 20.000000 CNY =", " 20.000001 CNY =")
    both = first.replace(" 2.000000 CNY =", " 2.000001 CNY =").replace("-2.000000 CNY =", "-2.000001 CNY =")
    assert text not in (first, both)
    assert "assertion" in str(judged(hledger_faults, both, tmp_path))


@both_tools
def test_a_stretch_stands_alone(write: Write, faults: Faults, tmp_path: Path) -> None:
    journal = MadeJournal(JOURNAL.posted, after=3, start=(NOON + DAY).replace(hour=0), end=NOON + 2 * DAY)
    text = text_of(write, journal)
    assert not judged(faults, text, tmp_path)
    assert "2026-12-01" in text  # the opening balances, on the day before
    path = tmp_path / "journal"
    read = beancount_balances(path) if write is write_beancount else hledger_balances(path)
    assert {name[0]: each for name, each in read.items()} == {
        name_of(write)(each.account): Decimal(each.account.format(each.balance)) for each in journal.closing()
    }
    for place in list(amount_digits(text))[::9]:
        forged = text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]
        assert judged(faults, forged, tmp_path), forged[place - 60 : place + 20]


@both_tools
def test_journals_without_transactions_are_good(write: Write, faults: Faults, tmp_path: Path) -> None:
    assert not judged(faults, text_of(write, MadeJournal([])), tmp_path)
    nothing_before = MadeJournal([], start=NOON, end=NOON + DAY)
    assert not judged(faults, text_of(write, nothing_before), tmp_path)
    nothing_new = MadeJournal(JOURNAL.posted, after=5, start=NOON + 2 * DAY)
    assert not judged(faults, text_of(write, nothing_new), tmp_path)
    seals_alone = MadeJournal(post([Draft([], kind="period_seal")]))
    assert not judged(faults, text_of(write, seals_alone), tmp_path)


@both_tools
def test_a_clock_that_goes_back_over_midnight_breaks_no_order(write: Write, faults: Faults, tmp_path: Path) -> None:
    midnight = datetime(2026, 12, 2, tzinfo=UTC)
    legs = [(EXTERNAL, -1, ""), (ADA, 1, "")]
    journal = MadeJournal(post([Draft(legs, at=midnight), Draft(legs, at=midnight - timedelta(seconds=1))]))
    assert not judged(faults, text_of(write, journal), tmp_path)


@both_tools
def test_every_symbol_that_the_market_makes_can_be_written(write: Write, faults: Faults, tmp_path: Path) -> None:
    drafts = []
    lengths = [60, 600, 1800, 3600, 6 * 3600, 12 * 3600, 86_400]
    codes = ["A", "7", "QWEN3-235B.CN-EAST.STD", "E5", "1E5.0", "X" * 48, "X-" * 23 + "Y"]
    symbols = [format_symbol(code, window_at(NOON, seconds)) for code in codes for seconds in lengths]
    assert len(set(symbols)) == len(symbols)
    for number, symbol in enumerate(symbols):
        sold = JournalAccount(100 + number, "acme", Role.OBLIGATION, "", number, symbol, AssetKind.CONTRACT, None)
        bought = JournalAccount(200 + number, "ada", Role.ENTITLEMENT, "", number, symbol, AssetKind.CONTRACT, None)
        drafts.append(Draft([(sold, -MAX_AMOUNT, ""), (bought, MAX_AMOUNT, "")]))
    journal = MadeJournal(post(drafts))
    assert not judged(faults, text_of(write, journal), tmp_path)


def test_the_same_journal_gives_the_same_bytes() -> None:
    for write in (write_hledger, write_beancount):
        assert text_of(write, JOURNAL) == text_of(write, MadeJournal(list(JOURNAL.posted)))


def test_the_last_line_tells_a_file_that_was_cut_off() -> None:
    for write in (write_hledger, write_beancount):
        assert text_of(write, JOURNAL).endswith("\n; End of the journal: 5 transactions, 12 entries.\n")


# Texts as the database may hold them: anything but NUL and half characters.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20) | st.sampled_from(
    [
        "a, date:2020-01-01", "[2020-01-01]", "x ; y", "a|b", '"', "\\", "\n2026-12-01 * (9) x\n", "2026-12-01",
        "  two  ", "type: L", "%41", "^link #tag", "付款 3", "\r\n", "\x1a", "= 5 CNY", "\\n", "'", "{}", "*", "!",
    ]
)  # fmt: skip
texted = st.lists(
    st.builds(
        Draft,
        legs=texts.map(lambda ref: [(EXTERNAL, -5, ref), (ADA, 5, ref)]),
        kind=texts,
        effective_at=st.just(NOON - 40 * DAY),
        source=texts,
        reference=texts.filter(bool),
        actor=texts,
        reverses=st.just(3),
    ),
    min_size=1,
    max_size=15,
)
many = settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])


@needs_hledger
@many
@given(texted)
def test_no_text_changes_what_hledger_reads(tmp_path: Path, drafts: list[Draft]) -> None:
    text = text_of(write_hledger, MadeJournal(post(drafts)))
    assert text.isascii()
    assert judged(hledger_faults, text, tmp_path) == ""
    assert hledger_balances(tmp_path / "journal")["assets:cash:ada:CNY", "CNY"] == len(drafts) * Decimal("0.000005")
    for draft, tags in zip(drafts, hledger_tags(tmp_path / "journal"), strict=False):  # the closing one has none
        read = {name: unquote(tags.get(name, "")) for name in ("source", "reference", "actor", "ref")}
        ref = draft.legs[0][2]
        assert read == {"source": draft.source, "reference": draft.reference, "actor": draft.actor, "ref": ref}


@settings(many, max_examples=30)
@given(texted)
def test_beancount_reads_every_text_back(tmp_path: Path, drafts: list[Draft]) -> None:
    text = text_of(write_beancount, MadeJournal(post(drafts)))
    assert judged(beancount_faults, text, tmp_path) == []
    for draft, read in zip(drafts, beancount_transactions(tmp_path / "journal"), strict=True):
        assert (read.narration, read.meta["source"]) == (draft.kind, draft.source)
        assert (read.meta["reference"], read.meta["actor"]) == (draft.reference, draft.actor)
        assert [(posting.meta or {}).get("ref", "") for posting in read.postings] == [ref for _, _, ref in draft.legs]
        assert read.meta["effective"] == "2026-10-22T12:00:00+00:00"
        assert read.meta["reverses"] == 3


def account(party: str, role: Role, qualifier: str, currency: tuple[int, str]) -> JournalAccount:
    return JournalAccount(0, party, role, qualifier, *currency, AssetKind.CURRENCY, None)


confusable = st.text("aAzZ7-%: /é2d.", min_size=1, max_size=4) | st.sampled_from(["-", "z2d", "Z2d", "%2D", "2d", "z"])
accounts = st.lists(
    st.builds(
        account,
        confusable,
        st.sampled_from([Role.CASH, Role.CLAIM, Role.ESCROW, Role.DEBT]),
        st.just("") | confusable | st.sampled_from(["CNY", "cny", "C", "T", "TOKENS-2"]),
        st.sampled_from([(1, "CNY"), (2, "cny"), (3, "TRUE")]),
    ),
    min_size=2,
    max_size=60,
    unique=True,
)


@settings(max_examples=50)
@given(accounts)
def test_two_accounts_never_share_a_name(named: list[JournalAccount]) -> None:
    for name_of in (hledger_journal.account_name, beancount_journal.account_name):
        assert len({name_of(each) for each in named}) == len(named)


@given(accounts)
def test_no_account_of_beancount_lies_below_another(named: list[JournalAccount]) -> None:
    """It would be asserted together with those below it."""
    names = {beancount_journal.account_name(each) for each in named}
    assert not names & {name[:at] for name in names for at in range(len(name)) if name[at] == ":"}


@both_tools
@many
@given(named=accounts)
def test_every_account_can_be_written(
    write: Write, faults: Faults, tmp_path: Path, named: list[JournalAccount]
) -> None:
    drafts = []
    for number, each in enumerate(named):
        outside = replace(each, id=1000 + each.asset_id, party="house", role=Role.EXTERNAL, qualifier="")
        drafts.append(Draft([(replace(each, id=number), 10 + number, ""), (outside, -10 - number, "")]))
    assert not judged(faults, text_of(write, MadeJournal(post(drafts))), tmp_path)
