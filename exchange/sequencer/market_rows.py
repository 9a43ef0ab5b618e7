"""What a batch did to its contracts' markets, as rows: figures, and the delta of each book that moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec.json import Encoder
from psycopg.types.numeric import Int8

from exchange.clearing.fills import FillRecord
from exchange.matching.types import ContractId, Side
from exchange.sequencer.outcome import MovedBook, Outcome, Reversal
from ledger.packing import Outbox, pack_documents, pack_int8, pack_int8_or_null

_to_json = Encoder().encode


def write_markets(outbox: Outbox, outcome: Outcome, *, batch_no: int, now: datetime) -> None:
    """The next number of each book that moved, with what moved."""
    if not outcome.moved_books:
        return
    trades: dict[ContractId, list[FillRecord]] = defaultdict(list)
    for fill in outcome.fills:
        trades[fill.contract_id].append(fill)
    moved = list(outcome.moved_books.values())
    for each in moved:
        each.contract.book_seq += 1
    live = [each.contract for each in moved]
    ids, seqs = pack_int8([each.id for each in live]), pack_int8([each.book_seq for each in live])
    outbox.execute(
        _WRITE_MARKETS,
        [
            ids,
            seqs,
            pack_int8([each.last_trade_no for each in live]),
            pack_int8_or_null([each.last_price_ticks for each in live]),
            pack_int8([each.traded_lots for each in live]),
        ],
    )
    documents = pack_documents([_to_json(_delta(each, trades[each.contract.id], outcome.reversals)) for each in moved])
    outbox.execute(_INSERT_DELTAS, [Int8(batch_no), now, ids, seqs, documents])


_WRITE_MARKETS = """
    INSERT INTO exchange_contractmarket (contract_id, book_seq, last_trade_no, last_price_ticks, traded_lots)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
    ON CONFLICT (contract_id) DO UPDATE
       SET book_seq = excluded.book_seq, last_trade_no = excluded.last_trade_no,
           last_price_ticks = excluded.last_price_ticks, traded_lots = excluded.traded_lots
"""
_INSERT_DELTAS = """
    INSERT INTO exchange_bookdelta (batch_no, moved_at, contract_id, seq, content)
    SELECT %s::bigint, %s::timestamptz, delta.* FROM unnest(%s::bigint[], %s::bigint[], %s::jsonb[]) AS delta
"""


def _delta(moved: MovedBook, fills: Iterable[FillRecord], reversals: Sequence[Reversal]) -> dict[str, list[Any]]:
    """The levels that moved as they are now, best first, what traded, and which trades were taken back, if any."""
    levels: dict[Side, list[tuple[int, int, int]]] = {Side.BUY: [], Side.SELL: []}
    for side, price_ticks in moved.levels:
        book = moved.contract.book.side(side)
        level = book.levels.get(price_ticks * book.sign)
        levels[side].append((price_ticks, 0, 0) if level is None else (price_ticks, level.lots, level.count))
    delta: dict[str, list[Any]] = {
        "bids": sorted(levels[Side.BUY], reverse=True),
        "asks": sorted(levels[Side.SELL]),
        "trades": [(fill.trade_no, fill.price_ticks, fill.lots, fill.taker_side) for fill in fills],
    }
    if reversals:
        delta["busted"] = [each.fill.trade_no for each in reversals if each.fill.contract_id == moved.contract.id]
    return delta
