"""The journal for hledger (https://hledger.org/hledger.html, "Journal format"). The same journal, the same bytes.

Every posting asserts its account's running balance as the ledger recorded it, and a last transaction asserts all
balances once more. A file is ASCII: hledger refuses anything else where the locale is not UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import TextIO

from ledger.chart import AssetKind
from ledger.export.books import Days, Journal, about, book_type, end_line, opening_day
from ledger.selectors.journal import AccountBalance, JournalAccount, JournalEntry, JournalTransaction

_HEAD = """\
Accounts are type:role:party:asset, or type:role:party:qualifier:asset. A transaction's code is its number, its date
the day of posting and, after =, the effective day where that is another; its tags have the exact times, in UTC.
Bytes that hledger would read as something of its own are written %XX.

Check with: hledger -f FILE check -s ordereddates
"""
_TYPES = """\
decimal-mark .
account assets  ; type: A
account liabilities  ; type: L
account equity  ; type: E
"""
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9._@/+-]")
_NOT_IN_TEXT = re.compile(r"[^ -~]|[%,;|\[\]]|^ | $")  # commas end a tag, brackets make a date
_BARE_COMMODITY = re.compile(r"[A-Za-z]+", re.ASCII)
_NAMES_KEPT = 10_000


def write_hledger(journal: Journal, file: TextIO) -> int:
    """Write a stretch of the journal; returns the number of entries."""
    file.writelines(f"; {line}".rstrip() + "\n" for line in (*about(journal), *_HEAD.splitlines()))
    file.write("\n" + _TYPES)
    _declare(journal.closing(), file)
    if journal.start is not None:
        _open(journal.opening(), opening_day(journal.start), file)
    days = Days(journal.start)
    transactions = entries = 0
    for posted in journal.transactions():
        file.write(_head_lines(posted, days))
        file.writelines(map(_posting, posted.entries))
        transactions += 1
        entries += len(posted.entries)
    _close(journal.closing(), days.last, file)
    file.write(f"\n; {end_line(transactions, entries)}\n")
    return entries


def account_name(account: JournalAccount) -> str:
    """ "assets:cash:ada:USD": another name for every account, also where a qualifier has signs of its own."""
    parts = [account.role, account.party, account.qualifier, account.asset]
    return ":".join([book_type(account.role), *(_escape(_NOT_IN_NAME, part) for part in parts if part)])


def commodity_name(code: str) -> str:
    """As it stands behind an amount: in quotes unless it is letters only."""
    return code if _BARE_COMMODITY.fullmatch(code) else f'"{_escape(_NOT_IN_NAME, code)}"'


def _escape(forbidden: re.Pattern[str], text: str) -> str:
    return forbidden.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


@lru_cache(_NAMES_KEPT)
def _names(account: JournalAccount) -> tuple[str, str]:
    return account_name(account), commodity_name(account.asset)


def _declare(balances: Iterable[AccountBalance], file: TextIO) -> None:
    """Every account, each asset before the first account of it."""
    seen: set[int] = set()
    for balance in balances:
        account = balance.account
        name, commodity = _names(account)
        if account.asset_id not in seen:
            seen.add(account.asset_id)
            digits = "1.000000" if account.asset_kind == AssetKind.CURRENCY else "1."
            file.write(f"commodity {digits} {commodity}\n")
        file.write(f"account {name}  ; id: {account.id}\n")


def _open(balances: Iterable[AccountBalance], day: date, file: TextIO) -> None:
    opened = False
    for balance in balances:
        if not opened:
            file.write(f"\n{day} opening balances\n")
            opened = True
        file.write(_posting(JournalEntry(0, balance.account, balance.balance, balance.balance, "")))


def _close(balances: Iterable[AccountBalance], day: date, file: TextIO) -> None:
    opened = False
    for balance in balances:
        if not opened:
            file.write(f"\n{day} closing balances\n")
            opened = True
        account = balance.account
        name, commodity = _names(account)
        nothing, whole = account.format(0), account.format(balance.balance)
        file.write(f"    {name}  {nothing} {commodity} == {whole} {commodity}\n")


def _head_lines(posted: JournalTransaction, days: Days) -> str:
    day, effective_day = days.of(posted), posted.effective_at.date()
    dates = f"{day}" if day == effective_day else f"{day}={effective_day}"
    tags = {
        "source": _escape(_NOT_IN_TEXT, posted.source),
        "reference": _escape(_NOT_IN_TEXT, posted.reference),
        "actor": _escape(_NOT_IN_TEXT, posted.actor),
        "effective": posted.effective_at.isoformat(),
        "posted": posted.posted_at.isoformat(),
        "batch": str(posted.batch_no),
    }
    if posted.reverses is not None:
        tags["reverses"] = str(posted.reverses)
    lines = [f"\n{dates} ({posted.number}) {_escape(_NOT_IN_TEXT, posted.kind)}\n"]
    return "".join(lines + [f"    ; {name}: {value}\n" for name, value in tags.items()])


def _posting(entry: JournalEntry) -> str:
    account = entry.account
    name, commodity = _names(account)
    amount, after = account.format(entry.amount), account.format(entry.balance_after)
    ref = f"  ; ref: {_escape(_NOT_IN_TEXT, entry.ref)}" if entry.ref else ""
    return f"    {name}  {amount} {commodity} = {after} {commodity}{ref}\n"
