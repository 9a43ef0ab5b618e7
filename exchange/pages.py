"""The public market: products, contracts, books and trades. Anonymous, as the book is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from exchange.charts import Chart
from exchange.errors import UnknownContract, UnknownProduct
from exchange.market_data.intervals import Interval
from exchange.models import ContractState, OfferState
from exchange.offer_schedule import describe_curve
from exchange.page_rows import (
    ContractRow,
    book_chart,
    candle_row,
    candles_chart,
    contract_row,
    curve_row,
    day_figures,
    forward_curve,
    is_trading,
    ladder,
    quotes_of,
)
from exchange.selectors.candles import CandleView, get_statistics, list_candles
from exchange.selectors.market import ContractView, get_book, get_contract, list_contracts, list_trades
from exchange.selectors.offers import list_offers
from exchange.selectors.products import ProductView, get_product, list_products
from exchange.selectors.quotes import NO_QUOTES, Quotes, best_quotes
from exchange.windows import format_length
from exchange.wording import price_writer
from ledger.clock import get_clock
from ledger.web import render_page

OPEN_STATES = (ContractState.LISTED, ContractState.TRADING, ContractState.HALTED)
ROWS_ON_MARKET = 8
PAST_SHOWN = timedelta(days=2)
ROWS_OF_PAST = 24
CURVE_WINDOWS = 24
CHART_LEVELS = 100
CANDLES_SHOWN = 60
CURVE_LOTS = (1, 10, 100)
TRADES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ProductSection:
    """A product on the market page: its next contracts, prices over delivery windows, and the next book to close."""

    product: ProductView
    rows: Sequence[ContractRow]
    open_count: int
    curve: Chart | None
    next_to_close: ContractView | None
    depth: Chart | None


@require_safe
def market(request: HttpRequest) -> HttpResponse:
    """What can be bought now, and for how much."""
    now = get_clock().now()
    contracts = [contract for contract in list_contracts(states=OPEN_STATES) if contract.gate_close > now]
    quotes = best_quotes([contract.id for contract in contracts])
    sections = [
        _section(product, [each for each in contracts if each.product_code == product.code], quotes)
        for product in list_products()
    ]
    trading = [contract for contract in contracts if is_trading(contract)]
    return render_page(
        request,
        "exchange/market.html",
        {
            "section": "market",
            "sections": sections,
            "trading_count": len(trading),
            "traded_lots": sum(contract.traded_lots for contract in contracts),
            "next_gate": min(trading, key=lambda contract: contract.gate_close, default=None),
        },
    )


@require_safe
def product(request: HttpRequest, code: str) -> HttpResponse:
    """A product's terms in words, its contracts, and the offers that stand."""
    try:
        found = get_product(code)
    except UnknownProduct as error:
        raise Http404 from error
    contracts = list_contracts(product_code=code, delivery_from=get_clock().now() - PAST_SHOWN)
    open_contracts = [contract for contract in contracts if contract.state in OPEN_STATES]
    lots = next((lots for lots in CURVE_LOTS if request.GET.get("lots") == str(lots)), CURVE_LOTS[0])
    quotes = best_quotes([contract.id for contract in open_contracts], lots=lots)
    lengths = sorted({contract.window_seconds for contract in open_contracts})
    length = next(
        (each for each in lengths if request.GET.get("window") == format_length(each)), min(lengths, default=0)
    )
    curve = [contract for contract in open_contracts if contract.window_seconds == length][:CURVE_WINDOWS]
    rows = [contract_row(contract, quotes.get(contract.id, NO_QUOTES)) for contract in contracts]
    write = price_writer(found.terms.tick_micros)
    offers = list_offers(product_code=code, state=OfferState.OPEN)
    return render_page(
        request,
        "exchange/product.html",
        {
            "section": "market",
            "product": found,
            "weights": sorted(found.terms.weights.items()),
            "rows": [row for row in rows if row.contract.state in OPEN_STATES],
            "curve": forward_curve(curve, quotes, with_buy=True),
            "curve_rows": [curve_row(contract, quotes.get(contract.id, NO_QUOTES)) for contract in curve],
            "lots": lots,
            "lots_choices": CURVE_LOTS,
            "window": format_length(length) if length else "",
            "window_choices": [(format_length(each), each) for each in lengths],
            "past_rows": [row for row in reversed(rows) if row.contract.state not in OPEN_STATES][:ROWS_OF_PAST],
            "offers": [(offer, describe_curve(offer.curve, write)) for offer in offers if offer.open_orders],
        },
    )


@require_safe
def contract(request: HttpRequest, symbol: str) -> HttpResponse:
    """One contract: its ladder, the depth of its book, candles, its trades and its terms."""
    interval = next((each for each in Interval if request.GET.get("interval") == each), Interval.FIVE_MINUTES)
    try:
        found, book = get_contract(symbol), get_book(symbol, CHART_LEVELS)
        statistics = get_statistics(symbol, get_clock().now())
    except UnknownContract as error:
        raise Http404 from error
    write = price_writer(found.tick_micros)
    candles = _latest_candles(symbol, interval)
    return render_page(
        request,
        "exchange/contract.html",
        {
            "section": "market",
            "contract": found,
            "product": get_product(found.product_code),
            "row": contract_row(found, quotes_of(book)),
            "ladder": ladder(book),
            "depth": book_chart(book),
            "day": day_figures(statistics),
            "interval": interval,
            "intervals": [(each.value, each.seconds) for each in Interval],
            "as_table": request.GET.get("candles") == "table",
            "candles": [candle_row(candle) for candle in candles],
            "candle_chart": candles_chart(candles, interval),
            "trades": [(trade, write(trade.price_ticks)) for trade in list_trades(symbol, limit=TRADES_SHOWN)],
            "band": (write(found.band_low_ticks), write(found.band_high_ticks)),
            "listing_price": write(found.listing_price_ticks),
        },
    )


def _latest_candles(symbol: str, interval: Interval) -> Sequence[CandleView]:
    """The last candles, newest first, of so many intervals as a chart has room for."""
    candles = list_candles(symbol, interval, limit=CANDLES_SHOWN).candles
    if not candles:
        return ()
    span = timedelta(seconds=interval.seconds * CANDLES_SHOWN)
    return [candle for candle in candles if candle.starts_at > candles[0].starts_at - span]


def _section(product: ProductView, contracts: Sequence[ContractView], quotes: dict[int, Quotes]) -> ProductSection:
    next_to_close = next((contract for contract in contracts if is_trading(contract)), None)
    lengths = {contract.window_seconds for contract in contracts}
    shortest = [contract for contract in contracts if contract.window_seconds == min(lengths)]
    return ProductSection(
        product=product,
        rows=[contract_row(contract, quotes.get(contract.id, NO_QUOTES)) for contract in contracts[:ROWS_ON_MARKET]],
        open_count=len(contracts),
        curve=forward_curve(shortest[:CURVE_WINDOWS], quotes),
        next_to_close=next_to_close,
        depth=book_chart(get_book(next_to_close.symbol, CHART_LEVELS)) if next_to_close else None,
    )
