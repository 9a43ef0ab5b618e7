"""How the audit's work is cut: ranges of transactions, accounts and batches that two connections work off side by side.

A range is small enough for the work on it to stay in memory on both sides, however long the journal is. The ranges of a
kind touch each other, and the outermost are open, so that no row falls between or beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ledger.audit.snapshot import View

LOWEST, HIGHEST = -(2**63), 2**63 - 1
ENTRIES_A_RANGE = 25_000
ACCOUNTS_A_RANGE = 20_000
TRANSACTIONS_OF_BATCHES = 20_000


@dataclass(frozen=True, slots=True)
class Span:
    """A range of numbers, both ends included, and how many rows it has by what headers and accounts say."""

    first: int
    last: int
    rows: int


Stretch = tuple[int, int]
"""Rows up to a number: (that number, how many)."""

WHOLE = (Span(LOWEST, HIGHEST, 0),)


@dataclass(frozen=True, slots=True)
class Layout:
    """The ranges of one audit, and where it ends.

    `transactions` count their legs, `accounts` themselves, and `batches` their transactions. `full`: the audit begins
    at the first transaction.
    """

    full: bool
    last_transaction: int
    last_batch: int
    transactions: tuple[Span, ...]
    accounts: tuple[Span, ...]
    batches: tuple[Span, ...]

    @property
    def entries(self) -> int:
        return sum(span.rows for span in self.transactions)


def lay_out(view: View) -> Layout:
    """Cut what lies after the view's base; accounts are always all of them."""
    ((last_transaction, last_batch),) = view.rows(
        "SELECT coalesce((SELECT max(id) FROM ledger_transaction), 0), coalesce((SELECT max(no) FROM ledger_batch), 0)"
    )
    return Layout(
        full=view.full,
        last_transaction=last_transaction,
        last_batch=last_batch,
        transactions=cut_to_size(_transactions(view), ENTRIES_A_RANGE, after=view.base.transaction),
        accounts=cut_to_size(_accounts(view), ACCOUNTS_A_RANGE),
        batches=cut_to_size(_batches(view), TRANSACTIONS_OF_BATCHES, after=view.base.batch),
    )


def _transactions(view: View) -> Iterator[Stretch]:
    """None of the stretches is much larger than a range, unless a single transaction is."""
    blocks = view.rows(
        "SELECT min(id), max(id), sum(legs)::bigint FROM ledger_transaction WHERE id > %(after)s"
        " GROUP BY id / 1024 ORDER BY 1",
        {"after": view.base.transaction},
    )
    for first, last, legs in blocks:
        if legs <= ENTRIES_A_RANGE:
            yield last, legs
            continue
        yield from view.rows(
            "SELECT id, legs::bigint FROM ledger_transaction WHERE id BETWEEN %(first)s AND %(last)s ORDER BY id",
            {"first": first, "last": last},
        )


def _accounts(view: View) -> Iterator[Stretch]:
    yield from view.rows("SELECT max(id), count(*) FROM ledger_account GROUP BY id / 1024 ORDER BY 1")


def _batches(view: View) -> Iterator[Stretch]:
    yield from view.rows(
        'SELECT max(no), sum("count")::bigint FROM ledger_batch WHERE no > %(after)s GROUP BY no / 64 ORDER BY 1',
        {"after": view.base.batch},
    )


def cut_to_size(stretches: Iterable[Stretch], size: int, *, after: int = 0) -> tuple[Span, ...]:
    """Join stretches to ranges of about `size` rows, from beyond `after` on; the outermost are open."""
    spans: list[Span] = []
    first, rows = (LOWEST if after == 0 else after + 1), 0
    for last, more in stretches:
        rows += more
        if rows >= size:
            spans.append(Span(first, last, rows))
            first, rows = last + 1, 0
    return (*spans, Span(first, HIGHEST, rows))
