"""What changed in a book, change by change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.errors import BookSnapshotNeeded
from exchange.matching.book import DepthLevel
from exchange.matching.types import Lots, PriceTicks, Side
from exchange.models import BookDelta, ContractMarket
from exchange.rows import find_contract, product_terms


@dataclass(frozen=True, slots=True)
class DeltaTrade:
    """A trade of the change; prices in ticks of the delta's `tick_micros`."""

    trade_no: int
    price_ticks: int
    tick_micros: int
    lots: int
    taker_side: Side


@dataclass(frozen=True, slots=True)
class DeltaView:
    """One change of a book: the levels that moved, as they are after it (0 lots: gone), and what traded in it.

    `busted` are the numbers of earlier trades that were taken back with it.
    """

    sequence: int
    moved_at: datetime
    tick_micros: int
    bids: tuple[DepthLevel, ...]
    asks: tuple[DepthLevel, ...]
    trades: tuple[DeltaTrade, ...]
    busted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DeltasView:
    """Changes that follow each other without gaps; `book_seq` is that of the book as it is now."""

    symbol: str
    book_seq: int
    deltas: tuple[DeltaView, ...]


def list_deltas(symbol: str, *, after: int, limit: int) -> DeltasView:
    """The first `limit` changes after the one numbered `after`, oldest first.

    Raises `UnknownContract`, and `BookSnapshotNeeded` when the next change is not kept (any more), or `after` is ahead
    of the book.
    """
    contract = find_contract(symbol)
    tick_micros = product_terms(contract).tick_micros
    market = ContractMarket.objects.filter(contract_id=contract.id).first()
    book_seq = market.book_seq if market else 0
    rows = list(BookDelta.objects.filter(contract_id=contract.id, seq__gt=after).order_by("seq")[:limit])
    latest = max(book_seq, rows[-1].seq) if rows else book_seq
    if after > latest or (after < latest and (not rows or rows[0].seq != after + 1)):
        raise BookSnapshotNeeded(
            f"No change of the book follows {after} here; the book is at {latest}. Fetch it and go on from there.",
            after=str(after),
            sequence=str(latest),
        )
    return DeltasView(symbol, latest, tuple(_view(row, tick_micros) for row in rows))


def _view(row: BookDelta, tick_micros: int) -> DeltaView:
    return DeltaView(
        sequence=row.seq,
        moved_at=row.moved_at,
        tick_micros=tick_micros,
        bids=_levels(row.content["bids"]),
        asks=_levels(row.content["asks"]),
        trades=tuple(
            DeltaTrade(trade_no, price_ticks, tick_micros, lots, Side(taker_side))
            for trade_no, price_ticks, lots, taker_side in row.content["trades"]
        ),
        busted=tuple(row.content.get("busted", ())),
    )


def _levels(levels: Sequence[Sequence[int]]) -> tuple[DepthLevel, ...]:
    return tuple(DepthLevel(PriceTicks(price_ticks), Lots(lots), orders) for price_ticks, lots, orders in levels)
