"""What an offer would place, window by window, before it is posted or changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.clearing.terms import lot_tick_micros
from exchange.models import Contract, Offer, Product, ProductTerms
from exchange.offer_orders import PlacedOrder, check_prices, covered_contracts, obstacle, read_orders
from exchange.offer_schedule import Schedule
from exchange.selectors.quotes import NO_QUOTES, Quotes, best_quotes
from exchange.terms import ProductTerms as Terms
from ledger.chart import AccountKey, Role
from ledger.journal import load_accounts


@dataclass(frozen=True, slots=True)
class PreviewWindow:
    """One listed window: `lots` would be open in it, `free_lots` could be, `standing_lots` are now (at which price).

    `note` says in words why there would be no order at once.
    """

    symbol: str
    delivery_start: datetime
    delivery_end: datetime
    gate_close: datetime
    price_ticks: int
    lots: int
    free_lots: int
    standing_lots: int
    standing_ticks: int | None
    bond_per_lot_micros: int
    note: str
    quotes: Quotes

    @property
    def bond_micros(self) -> int:
        return self.lots * self.bond_per_lot_micros

    @property
    def is_too_much(self) -> bool:
        return self.lots > self.free_lots


@dataclass(frozen=True, slots=True)
class OfferPreview:
    """The windows of an offer, how many more of it are not listed yet, and what it comes to.

    `taken_back` counts the windows that lose the order they have.
    """

    windows: Sequence[PreviewWindow]
    unlisted: int
    taken_back: int
    free_cash_micros: int
    currency: str
    lot_tokens: int
    tick_micros: int

    @property
    def lots(self) -> int:
        return sum(window.lots for window in self.windows)

    @property
    def tokens(self) -> int:
        return self.lots * self.lot_tokens

    @property
    def value_micros(self) -> int:
        """If all is taken at the prices asked."""
        return sum(
            window.lots * window.price_ticks * lot_tick_micros(self.lot_tokens, self.tick_micros)
            for window in self.windows
        )

    @property
    def further_bond_micros(self) -> int:
        """What would be held of the provider's cash beyond what is held for the offer already."""
        further = sum((each.lots - each.standing_lots) * each.bond_per_lot_micros for each in self.windows)
        return max(0, further)

    @property
    def too_much(self) -> list[PreviewWindow]:
        """Windows whose orders would be refused, as capacity stands."""
        return [window for window in self.windows if window.is_too_much]

    @property
    def lacks_cash(self) -> bool:
        return self.further_bond_micros > self.free_cash_micros


def preview_offer(
    provider_id: int, product: Product, schedule: Schedule, lots: int, *, now: datetime, offer: Offer | None = None
) -> OfferPreview:
    """Of a new offer, or of an own one that is changed. Raises `PriceOutOfBand` as posting it would."""
    latest = ProductTerms.objects.filter(product=product).latest("version")
    terms = Terms.from_json(latest.terms)
    ahead = [
        contract
        for contract in covered_contracts(schedule, Offer(product=product, terms=latest))
        if contract.gate_close > now
    ]
    contracts = [contract for contract in ahead if schedule.price_at(contract.delivery_start) is not None]
    check_prices(schedule, contracts)
    own: dict[int, list[PlacedOrder]] = {}
    for order in read_orders([offer.id])[offer.id] if offer else ():
        own.setdefault(order.contract_id, []).append(order)
    cash = AccountKey(provider_id, product.currency_id, Role.CASH)
    obligations = [AccountKey(provider_id, each.asset_id, Role.OBLIGATION) for each in contracts]
    accounts = load_accounts([cash, *obligations])
    free = {key.asset_id: max(0, account.available or 0) for key, account in accounts.items()}
    quotes = best_quotes([contract.id for contract in contracts])
    listed = {contract.delivery_start for contract in ahead}
    left_out = {contract.id for contract in ahead} - {contract.id for contract in contracts}
    return OfferPreview(
        windows=[
            _window(
                contract,
                schedule.price_at(contract.delivery_start) or 0,
                lots,
                own.get(contract.id, []),
                free_lots=free.get(contract.asset_id, 0) // terms.lot_tokens,
                quotes=quotes.get(contract.id, NO_QUOTES),
                now=now,
            )
            for contract in contracts
        ],
        unlisted=sum(start > now and start not in listed for start in schedule.starts()),
        taken_back=sum(any(order.is_live for order in own.get(contract_id, ())) for contract_id in left_out),
        free_cash_micros=free.get(product.currency_id, 0),
        currency=terms.currency,
        lot_tokens=terms.lot_tokens,
        tick_micros=terms.tick_micros,
    )


def _window(
    contract: Contract,
    price_ticks: int,
    lots: int,
    own: Sequence[PlacedOrder],
    *,
    free_lots: int,
    quotes: Quotes,
    now: datetime,
) -> PreviewWindow:
    live = next((order for order in own if order.is_live), None)
    standing = live.lots - live.sold_lots if live else 0
    return PreviewWindow(
        symbol=contract.symbol,
        delivery_start=contract.delivery_start,
        delivery_end=contract.delivery_end,
        gate_close=contract.gate_close,
        price_ticks=price_ticks,
        lots=max(0, lots - sum(order.sold_lots for order in own)),
        free_lots=free_lots + standing,
        standing_lots=standing,
        standing_ticks=live.price_ticks if live else None,
        bond_per_lot_micros=contract.bond_per_lot,
        note=obstacle(contract, price_ticks, now),
        quotes=quotes,
    )
