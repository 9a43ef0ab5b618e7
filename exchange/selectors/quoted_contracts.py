"""Contracts side by side: their best prices, and what a quantity would cost in each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from exchange.selectors.market import ContractView, list_contracts
from exchange.selectors.quotes import NO_QUOTES, Purchase, Quote, Quotes, best_quotes
from ledger.money import MICROS_PER_UNIT, div_ceil


@dataclass(frozen=True, slots=True)
class QuoteView:
    """The best price of a side."""

    price_ticks: int
    tick_micros: int
    lots: int


@dataclass(frozen=True, slots=True)
class PurchaseView:
    """Buying at once. `price_micros` is the average per million contract tokens, rounded up; fees are extra."""

    lots: int
    tick_micros: int
    price_micros: int
    limit_ticks: int
    notional_micros: int


@dataclass(frozen=True, slots=True)
class QuotedContract:
    """A contract with its quotes, which belong to one instant."""

    contract: ContractView
    sequence: int
    bid: QuoteView | None
    ask: QuoteView | None
    last_price_ticks: int | None
    asked_lots: int
    buy: PurchaseView | None

    @property
    def tick_micros(self) -> int:
        return self.contract.tick_micros


def list_quoted_contracts(ids: Collection[int], *, lots: int = 1) -> list[QuotedContract]:
    """By start of delivery; `buy` is what buying `lots` would take, None where fewer are asked."""
    quotes = best_quotes(ids, lots=lots)
    return [_quoted(contract, quotes.get(contract.id, NO_QUOTES)) for contract in list_contracts(ids=ids)]


def _quoted(contract: ContractView, quotes: Quotes) -> QuotedContract:
    return QuotedContract(
        contract=contract,
        sequence=quotes.book_seq,
        bid=_quote(contract, quotes.bid),
        ask=_quote(contract, quotes.ask),
        last_price_ticks=quotes.last_price_ticks,
        asked_lots=quotes.asked_lots,
        buy=purchase_view(contract, quotes.buy),
    )


def _quote(contract: ContractView, quote: Quote | None) -> QuoteView | None:
    return None if quote is None else QuoteView(quote.price_ticks, contract.tick_micros, quote.lots)


def purchase_view(contract: ContractView, buy: Purchase | None) -> PurchaseView | None:
    """A purchase in money."""
    if buy is None:
        return None
    return PurchaseView(
        lots=buy.lots,
        tick_micros=contract.tick_micros,
        price_micros=div_ceil(buy.tick_lots * contract.tick_micros, buy.lots),
        limit_ticks=buy.limit_ticks,
        notional_micros=buy.tick_lots * contract.tick_micros * contract.lot_tokens // MICROS_PER_UNIT,
    )
