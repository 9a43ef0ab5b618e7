"""Post a provider's offer over a range of windows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange import trading_rules as rules
from exchange.errors import ContractClosed, InvalidOffer
from exchange.models import OPEN_STATES, Contract, Offer, Product, ProductTerms
from exchange.offer_alignment import align
from exchange.offer_orders import check_prices, covered_contracts
from exchange.offer_schedule import EVERY_DAY, Prices, Schedule, curve_of, lowest, pack_weekdays
from exchange.qualifications import lock_provider, require_qualified
from exchange.rows import find_product
from exchange.windows import format_symbol, window_at
from ledger.actions import record_action


@dataclass(frozen=True, slots=True)
class PostOffer:
    """Sell `lots` at the price or better in each window from `first_delivery` to `last_delivery`.

    Both are starts of windows, and both are included. `price_ticks` is one price, or 24 by the UTC hour in which a
    window starts (None: not offered); `weekdays` are those of the starts in UTC, 0 is Monday.
    """

    provider_id: int
    product_code: str
    window_seconds: int
    first_delivery: datetime
    last_delivery: datetime
    lots: int
    price_ticks: Prices
    weekdays: frozenset[int] = EVERY_DAY


@dataclass(frozen=True, slots=True)
class OfferedOrder:
    """The sell order of one window: `seq` is its id and where its result is found."""

    symbol: str
    seq: int


@dataclass(frozen=True, slots=True)
class PostedOffer:
    offer_id: int
    orders: tuple[OfferedOrder, ...]


@transaction.atomic
def post_offer(command: PostOffer, *, actor: str, now: datetime) -> PostedOffer:
    """List the offer and put one sell order into the line for every window whose gate is open, all or none.

    Windows that are not listed yet, or not open, get theirs later (`place_due_offer_orders`). Raises
    `InvalidQuantity`, `UnknownProduct`, `NotQualified`, `InvalidWindow`, `InvalidOffer`, `ContractClosed` when no
    window is left to offer, and `PriceOutOfBand` for the first listed one that cannot take its price. Capacity and bond
    are judged by the sequencer, window by window.
    """
    rules.check_lots(command.lots)
    product = find_product(command.product_code)
    lock_provider(command.provider_id)
    require_qualified(command.provider_id, product, now)
    curve = curve_of(command.price_ticks)
    schedule = Schedule(command.window_seconds, command.first_delivery, command.last_delivery, command.weekdays, curve)
    _require_open_window(product, schedule, now)
    offer = Offer.objects.create(
        provider_id=command.provider_id,
        product=product,
        terms=ProductTerms.objects.filter(product=product).latest("version"),
        window_seconds=command.window_seconds,
        first_delivery=command.first_delivery,
        last_delivery=command.last_delivery,
        weekdays=pack_weekdays(command.weekdays),
        lots=command.lots,
        price_ticks=lowest(curve),
        hourly_ticks=None if isinstance(command.price_ticks, int) else list(curve),
        created_at=now,
        created_by=actor,
    )
    check_prices(schedule, [each for each in covered_contracts(schedule, offer) if each.gate_close > now])
    orders = [OfferedOrder(sent.symbol, sent.seq) for sent in align(offer, actor=actor, now=now)]
    record_action(
        actor=actor,
        action="post_offer",
        subject=f"offer:{offer.id}",
        now=now,
        details={"product": product.code, "windows": len(orders), "lots": command.lots},
    )
    return PostedOffer(offer.id, tuple(orders))


def _require_open_window(product: Product, schedule: Schedule, now: datetime) -> None:
    """Some window must be listed and its gate not closed, or be listed yet."""
    starts = list(schedule.starts())
    if not starts:
        raise InvalidOffer("No window of the range is on these weekdays and hours.", field="weekdays")
    listed = Contract.objects.filter(
        product=product, delivery_start__gte=schedule.first, delivery_start__lte=schedule.last
    )
    closed = {
        contract.delivery_start
        for contract in listed
        if schedule.is_window(contract.delivery_start, contract.delivery_end)
        and (contract.gate_close <= now or contract.state not in OPEN_STATES)
    }
    if all(start <= now or start in closed for start in starts):
        symbol = format_symbol(product.code, window_at(starts[-1], schedule.window_seconds))
        raise ContractClosed(f"The gates of all windows up to {symbol} have closed.", contract=symbol)
