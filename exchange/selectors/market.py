"""The public market: contracts, books and trades. Anonymous: no party is named here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from exchange.clearing.terms import ContractTerms
from exchange.matching.book import DepthLevel
from exchange.matching.types import Lots, PriceTicks, Side
from exchange.models import Contract, ContractMarket, Fill, FillReversal
from exchange.rows import contract_terms, find_contract, product_terms
from exchange.windows import length_between

MAX_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class ContractView:
    """A contract with its market figures. Prices in ticks of `tick_micros` micros per million contract tokens."""

    id: int
    symbol: str
    product_code: str
    state: str
    state_reason: str
    delivery_start: datetime
    delivery_end: datetime
    gate_open: datetime
    gate_close: datetime
    currency: str
    lot_tokens: int
    tick_micros: int
    listing_price_ticks: int
    band_low_ticks: int
    band_high_ticks: int
    bond_per_lot_micros: int
    terms_hash: str
    book_seq: int
    last_trade_no: int
    last_price_ticks: int | None
    traded_lots: int
    reference_price_micros: int | None
    reference_step: str
    obligations_hash: str | None

    @property
    def window_seconds(self) -> int:
        """What the window's length is known by: its seconds, a nominal 30 days for a calendar month."""
        return length_between(self.delivery_start, self.delivery_end)


@dataclass(frozen=True, slots=True)
class BookView:
    """The best levels of both sides, best first, after the change numbered `book_seq`; `complete` if they are all."""

    symbol: str
    state: str
    tick_micros: int
    book_seq: int
    bids: tuple[DepthLevel, ...]
    asks: tuple[DepthLevel, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class TradeView:
    """A trade as the public sees it. `trade_no` numbers a contract's trades without gaps; `reversed`: taken back."""

    symbol: str
    trade_no: int
    price_ticks: int
    tick_micros: int
    lots: int
    taker_side: Side
    executed_at: datetime
    reversed: bool


def list_contracts(
    *,
    product_code: str | None = None,
    states: Collection[str] | None = None,
    delivery_from: datetime | None = None,
    delivery_until: datetime | None = None,
    ids: Collection[int] | None = None,
) -> list[ContractView]:
    """Contracts by start of delivery; `delivery_from` ≤ start < `delivery_until`."""
    rows = Contract.objects.select_related("product__currency", "terms").order_by("delivery_start", "symbol")
    if product_code is not None:
        rows = rows.filter(product__code=product_code)
    if states is not None:
        rows = rows.filter(state__in=states)
    if delivery_from is not None:
        rows = rows.filter(delivery_start__gte=delivery_from)
    if delivery_until is not None:
        rows = rows.filter(delivery_start__lt=delivery_until)
    if ids is not None:
        rows = rows.filter(id__in=ids)
    found = list(rows)
    figures = {row.contract_id: row for row in ContractMarket.objects.filter(contract_id__in=[row.id for row in found])}
    return [_view(row, figures.get(row.id)) for row in found]


def get_contract(symbol: str) -> ContractView:
    """Raises `UnknownContract`."""
    contract = find_contract(symbol)
    return _view(contract, ContractMarket.objects.filter(contract_id=contract.id).first())


def get_contract_terms(symbol: str) -> ContractTerms:
    """The figures that prices and quantities are parsed and checked against. Raises `UnknownContract`."""
    return contract_terms(find_contract(symbol))


def get_book(symbol: str, depth: int = 20) -> BookView:
    """At most `depth` levels of each side, all at one instant. Raises `UnknownContract`."""
    contract = find_contract(symbol)
    with connection.cursor() as cursor:  # one statement, so that levels, number and state belong together
        cursor.execute(
            """
            WITH level AS (
                SELECT side, price_ticks, sum(remaining_lots)::bigint AS lots, count(*) AS orders
                  FROM exchange_order WHERE contract_id = %(contract)s AND status = 'open' GROUP BY side, price_ticks
            ), best AS (
                (SELECT * FROM level WHERE side = 'buy' ORDER BY price_ticks DESC LIMIT %(depth)s + 1)
                UNION ALL (SELECT * FROM level WHERE side = 'sell' ORDER BY price_ticks LIMIT %(depth)s + 1)
            )
            SELECT coalesce((SELECT book_seq FROM exchange_contractmarket WHERE contract_id = %(contract)s), 0),
                   contract.state, side, price_ticks, lots, orders
              FROM exchange_contract AS contract LEFT JOIN best ON true
             WHERE contract.id = %(contract)s
            """,
            {"contract": contract.id, "depth": depth},
        )
        rows = cursor.fetchall()
    sides: dict[str, list[DepthLevel]] = {Side.BUY: [], Side.SELL: []}
    for _, _, side, price_ticks, lots, orders in rows:
        if side is not None:
            sides[side].append(DepthLevel(PriceTicks(price_ticks), Lots(lots), orders))
    bids = sorted(sides[Side.BUY], key=lambda level: -level.price_ticks)
    asks = sorted(sides[Side.SELL], key=lambda level: level.price_ticks)
    return BookView(
        symbol=symbol,
        state=rows[0][1],
        tick_micros=product_terms(contract).tick_micros,
        book_seq=rows[0][0],
        bids=tuple(bids[:depth]),
        asks=tuple(asks[:depth]),
        complete=len(bids) <= depth and len(asks) <= depth,
    )


def list_trades(symbol: str, *, before: int | None = None, limit: int = 100) -> list[TradeView]:
    """The latest trades of a contract, newest first; `before` a trade number, to page on. Raises `UnknownContract`."""
    contract = find_contract(symbol)
    tick_micros = product_terms(contract).tick_micros
    fills = Fill.objects.filter(contract_id=contract.id).order_by("-trade_no")
    if before is not None:
        fills = fills.filter(trade_no__lt=before)
    page = list(fills[: min(limit, MAX_PAGE)])
    reversals = FillReversal.objects.filter(fill_id__in=[fill.id for fill in page])
    taken_back = set(reversals.values_list("fill_id", flat=True))
    return [
        TradeView(
            symbol=symbol,
            trade_no=fill.trade_no,
            price_ticks=fill.price_ticks,
            tick_micros=tick_micros,
            lots=fill.lots,
            taker_side=Side(fill.taker_side),
            executed_at=fill.executed_at,
            reversed=fill.id in taken_back,
        )
        for fill in page
    ]


def _view(contract: Contract, figures: ContractMarket | None) -> ContractView:
    terms = product_terms(contract)
    return ContractView(
        id=contract.id,
        symbol=contract.symbol,
        product_code=contract.product.code,
        state=contract.state,
        state_reason=contract.state_reason,
        delivery_start=contract.delivery_start,
        delivery_end=contract.delivery_end,
        gate_open=contract.gate_open,
        gate_close=contract.gate_close,
        currency=terms.currency,
        lot_tokens=terms.lot_tokens,
        tick_micros=terms.tick_micros,
        listing_price_ticks=contract.listing_price_ticks,
        band_low_ticks=contract.band_low_ticks,
        band_high_ticks=contract.band_high_ticks,
        bond_per_lot_micros=contract.bond_per_lot,
        terms_hash=bytes(contract.terms.terms_hash).hex(),
        book_seq=figures.book_seq if figures else 0,
        last_trade_no=figures.last_trade_no if figures else 0,
        last_price_ticks=figures.last_price_ticks if figures else None,
        traded_lots=figures.traded_lots if figures else 0,
        reference_price_micros=contract.reference_price_micros,
        reference_step=contract.reference_step,
        obligations_hash=bytes(contract.obligations_hash).hex() if contract.obligations_hash else None,
    )
