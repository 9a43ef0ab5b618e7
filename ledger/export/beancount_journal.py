"""The journal for Beancount (https://beancount.github.io/docs/beancount_language_syntax.html). The same journal, the
same bytes.

Balance directives carry `~ 0`, since their own tolerance would hide an error of a micro. In a transaction Beancount
tolerates half of the last digit, which is less than a micro and nothing for whole numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from functools import lru_cache
from typing import TextIO

from ledger.chart import AssetKind
from ledger.export.books import Days, Journal, about, book_type, end_line, opening_day
from ledger.selectors.journal import AccountBalance, JournalAccount, JournalTransaction

_HEAD = """\
Accounts are Type:Role:Party:Commodity, or Type:Role:Party:Qualifier:Commodity. Other signs than small letters, digits
and hyphens are written Z and two hexadecimal digits a byte. TOKENS-7 are the contract tokens of asset 7; the metadata
of its commodity directive has the symbol, that of an account's open directive what its name says.

Check with: bean-check FILE
"""
_OPENED = date(1970, 1, 1)  # before anything was posted
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_NOT_IN_COMPONENT = re.compile(r"[^a-z0-9-]|^[-z]", re.ASCII)
_QUOTED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_NAMES_KEPT = 10_000


def write_beancount(journal: Journal, file: TextIO) -> int:
    """Write a stretch of the journal; returns the number of entries."""
    file.writelines(f"; {line}".rstrip() + "\n" for line in (*about(journal), *_HEAD.splitlines()))
    _declare(journal.closing(), file)
    if journal.start is not None:
        _open(journal, opening_day(journal.start), file)
    days = Days(journal.start)
    transactions = entries = 0
    for posted in journal.transactions():
        file.write(_lines(posted, days))
        transactions += 1
        entries += len(posted.entries)
    file.write("\n")
    _assert(journal.closing(), days.last, file)
    file.write(f"\n; {end_line(transactions, entries)}\n")
    return entries


def account_name(account: JournalAccount) -> str:
    """ "Assets:Cash:Ada:USD": another name for every account, and none below another.

    Beancount asserts an account together with those below it, so the commodity comes last.
    """
    parts = [book_type(account.role).capitalize(), _component(account.role.replace("_", "-"))]
    parts.append(_component(account.party))
    if account.qualifier_asset_id is not None:
        parts.append(f"TOKENS-{account.qualifier_asset_id}")
    elif account.qualifier:
        parts.append(_component(account.qualifier))
    return ":".join([*parts, commodity_name(account)])


def commodity_name(account: JournalAccount) -> str:
    """A currency's code; made from the asset's number for the tokens of a contract, and for a code of other signs."""
    if account.asset_kind != AssetKind.CURRENCY:
        return f"TOKENS-{account.asset_id}"
    return account.asset if _CURRENCY.fullmatch(account.asset) else f"CURRENCY-{account.asset_id}"


def _component(text: str) -> str:
    """A name that begins with a capital or a digit; capitals elsewhere are only the Z of an escaped byte."""
    escaped = _NOT_IN_COMPONENT.sub(lambda found: "".join(f"Z{byte:02x}" for byte in found[0].encode()), text)
    return escaped[0].upper() + escaped[1:]


def _quote(text: str) -> str:
    return '"' + "".join(_QUOTED.get(sign, sign) for sign in text) + '"'


@lru_cache(_NAMES_KEPT)
def _names(account: JournalAccount) -> tuple[str, str]:
    return account_name(account), commodity_name(account)


def _declare(balances: Iterable[AccountBalance], file: TextIO) -> None:
    """Every account, each asset before the first account of it."""
    seen: set[int] = set()
    for balance in balances:
        account = balance.account
        name, commodity = _names(account)
        if account.asset_id not in seen:
            seen.add(account.asset_id)
            file.write(f"\n{_OPENED} commodity {commodity}\n  symbol: {_quote(account.asset)}\n")
        file.write(f'\n{_OPENED} open {name} {commodity} "STRICT"\n  id: {account.id}\n')
        file.write(f"  party: {_quote(account.party)}\n  role: {_quote(account.role)}\n")
        if account.qualifier:
            file.write(f"  qualifier: {_quote(account.qualifier)}\n")


def _open(journal: Journal, day: date, file: TextIO) -> None:
    """The balances that a stretch begins with as a transaction, and as assertions at the end of its day."""
    opened = False
    for balance in journal.opening():
        if not opened:
            file.write(f'\n{day} * "opening balances"\n')
            opened = True
        name, commodity = _names(balance.account)
        file.write(f"  {name}  {balance.account.format(balance.balance)} {commodity}\n")
    file.write("\n")
    _assert(journal.opening(), day, file)


def _assert(balances: Iterable[AccountBalance], day: date, file: TextIO) -> None:
    """Assert balances at the end of a day, which is the start of the next."""
    for balance in balances:
        name, commodity = _names(balance.account)
        whole = balance.account.format(balance.balance)
        file.write(f"{day + timedelta(days=1)} balance {name}  {whole} ~ 0 {commodity}\n")


def _lines(posted: JournalTransaction, days: Days) -> str:
    lines = [
        f"\n{days.of(posted)} * {_quote(posted.kind)}",
        f"  transaction: {posted.number}",
        f"  source: {_quote(posted.source)}",
        f"  reference: {_quote(posted.reference)}",
        f"  actor: {_quote(posted.actor)}",
        f'  effective: "{posted.effective_at.isoformat()}"',
        f'  posted: "{posted.posted_at.isoformat()}"',
        f"  batch: {posted.batch_no}",
    ]
    if posted.reverses is not None:
        lines.append(f"  reverses: {posted.reverses}")
    for entry in posted.entries:
        name, commodity = _names(entry.account)
        lines.append(f"  {name}  {entry.account.format(entry.amount)} {commodity}")
        if entry.ref:
            lines.append(f"    ref: {_quote(entry.ref)}")
    return "\n".join(lines) + "\n"
