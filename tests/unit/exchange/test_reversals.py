"""Which accounts a fill that is taken back moves, and which of them give."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from itertools import count

import pytest

from exchange.clearing.fills import FillRecord, clear
from exchange.clearing.reversals import draft_reversal, reversal_accounts
from exchange.clearing.terms import ContractTerms
from exchange.matching.book import Book
from exchange.matching.engine import place
from exchange.matching.types import Side
from ledger.chart import AccountKey
from tests.unit.exchange.terms import HOUSE, TERMS, order, terms

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


def fills_of(given: ContractTerms, overage_permille: int) -> tuple[FillRecord, ...]:
    book, fee_ppm = Book(given.contract_id), given.buyer_fee_ppm
    events = [*place(book, order(1, 6, Side.SELL, 400, 3)), *place(book, order(2, 7, Side.SELL, 410, 3))]
    buys = order(
        3, 5, Side.BUY, 410, 5, overage_permille=overage_permille, maker_fee_ppm=fee_ppm, taker_fee_ppm=fee_ppm
    )
    events += place(book, buys)
    return clear(given, events, fill_ids=count(1), trade_nos=count(1)).fills


@pytest.mark.parametrize("overage_permille", [0, 100])
@pytest.mark.parametrize("given", [TERMS, terms(bond_per_lot_micros=0), terms(buyer_fee_ppm=0)])
def test_they_are_those_of_the_postings(given: ContractTerms, overage_permille: int) -> None:
    fills = fills_of(given, overage_permille)
    assert len(fills) == 2
    room: dict[AccountKey, int] = defaultdict(int)
    for fill in fills:
        draft = draft_reversal(given, fill, house_id=HOUSE, now=NOW)
        for leg in draft.legs:
            room[leg.account] += leg.amount
        for hold in draft.holds:
            room[hold.account] -= hold.delta
    giving, taking = reversal_accounts(given, fills, house_id=HOUSE)
    assert giving == {account for account, change in room.items() if change < 0}
    assert taking == {account for account, change in room.items() if change > 0}
    assert reversal_accounts(given, (), house_id=HOUSE) == (set(), set())
