"""What a provider sees around an offer: the windows it could offer, and what became of each window it did offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from exchange.errors import OfferNotFound
from exchange.matching.lifecycle import OrderStatus
from exchange.models import (
    OPEN_STATES,
    CapacityAllocation,
    CapacityDeclaration,
    Contract,
    IntakeResult,
    Offer,
    OfferState,
)
from exchange.offer_orders import PlacedOrder, covered_contracts, obstacle, read_orders, schedule_of
from exchange.qualifications import in_force
from exchange.selectors.products import ProductView, list_products
from exchange.windows import length_between, window_at

DEFAULT_RANGE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class OfferSeries:
    """Windows of one length of one product, as a provider may offer them.

    `listed` of them wait for their gates to close; `first` is the start of the next one, `until` the end of the last,
    or a week on when none is listed. `band` is that of the next one, in ticks.
    """

    provider_id: int
    product_id: int
    product_code: str
    window_seconds: int
    currency: str
    lot_tokens: int
    tick_micros: int
    listed: int
    first: datetime
    until: datetime
    band: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class OfferedWindow:
    """What an offer has in one listed window: its latest order, and what it sold there in all.

    `order_id` is None when it has had no order; `status` is then `due` or `none`. `note` says in words why there is
    none, or why it was refused.
    """

    order_id: int | None
    symbol: str
    delivery_start: datetime
    delivery_end: datetime
    price_ticks: int
    lots: int
    sold_lots: int
    open_lots: int
    status: str
    note: str


def list_offer_series(provider_id: int, *, now: datetime) -> list[OfferSeries]:
    """What a provider may offer: of the products it is qualified for, the lengths that are listed or have capacity."""
    qualified = set(in_force(now).filter(provider_id=provider_id).values_list("product_id", flat=True))
    listed: dict[tuple[int, int], list[Contract]] = {}
    ahead = Contract.objects.filter(product_id__in=qualified, state__in=OPEN_STATES, gate_close__gt=now)
    for contract in ahead.order_by("delivery_start"):
        length = length_between(contract.delivery_start, contract.delivery_end)
        listed.setdefault((contract.product_id, length), []).append(contract)
    latest = CapacityDeclaration.objects.filter(site__provider_id=provider_id).order_by("site_id", "-id")
    allocated = CapacityAllocation.objects.filter(
        declaration_id__in=latest.distinct("site_id").values("id"), product_id__in=qualified
    ).values_list("product_id", "window_seconds")
    products = {product.id: product for product in list_products() if product.id in qualified}
    pairs = sorted({*listed, *allocated}, key=lambda pair: (products[pair[0]].code, pair[1]))
    return [_series(provider_id, products[pair[0]], pair[1], listed.get(pair, []), now) for pair in pairs]


def list_offered_windows(offer_id: int, *, now: datetime) -> list[OfferedWindow]:
    """The listed windows of an offer, those included that have no order yet. Raises `OfferNotFound`."""
    offer = Offer.objects.select_related("product", "terms").filter(id=offer_id).first()
    if offer is None:
        raise OfferNotFound(f"There is no offer {offer_id}.", offer_id=str(offer_id))
    schedule = schedule_of(offer)
    by_contract: dict[int, list[PlacedOrder]] = {}
    for order in read_orders([offer_id])[offer_id]:
        by_contract.setdefault(order.contract_id, []).append(order)
    refusals = _refusals([orders[-1].order_id for orders in by_contract.values() if not orders[-1].is_live])
    contracts = Contract.objects.select_related("product", "terms").in_bulk(by_contract)
    if offer.state != OfferState.WITHDRAWN:
        contracts |= {contract.id: contract for contract in covered_contracts(schedule, offer)}
    windows = []
    for contract in sorted(contracts.values(), key=lambda each: each.delivery_start):
        price_ticks, orders = schedule.price_at(contract.delivery_start), by_contract.get(contract.id, [])
        if orders:
            windows.append(_with_order(contract, orders, refusals.get(orders[-1].order_id, "")))
        elif price_ticks is not None:
            windows.append(_without_order(offer, contract, price_ticks, now))
    return windows


def count_unlisted_windows(offer_id: int, *, now: datetime) -> int:
    """How many windows of an offer are still ahead and not listed."""
    offer = Offer.objects.select_related("terms").get(id=offer_id)
    schedule = schedule_of(offer)
    listed = set(
        Contract.objects.filter(product_id=offer.product_id, delivery_start__gt=now).values_list(
            "delivery_start", "delivery_end"
        )
    )
    taken = {start for start, end in listed if schedule.is_window(start, end)}
    return sum(start > now and start not in taken for start in schedule.starts())


def _refusals(order_ids: Sequence[int]) -> dict[int, str]:
    results = IntakeResult.objects.filter(seq__in=order_ids).values_list("seq", "result")
    return {seq: str(result.get("message", "")) for seq, result in results}


def _with_order(contract: Contract, orders: Sequence[PlacedOrder], refusal: str) -> OfferedWindow:
    latest, sold_lots = orders[-1], sum(order.sold_lots for order in orders)
    return OfferedWindow(
        order_id=latest.order_id,
        symbol=contract.symbol,
        delivery_start=contract.delivery_start,
        delivery_end=contract.delivery_end,
        price_ticks=latest.price_ticks,
        lots=latest.lots + sold_lots - latest.sold_lots,
        sold_lots=sold_lots,
        open_lots=latest.lots - latest.sold_lots if latest.status is OrderStatus.OPEN else 0,
        status=latest.status.value,
        note=refusal,
    )


def _without_order(offer: Offer, contract: Contract, price_ticks: int, now: datetime) -> OfferedWindow:
    note = obstacle(contract, price_ticks, now)
    if offer.state == OfferState.PAUSED:
        note = note or "Placed when the offer is resumed."
    return OfferedWindow(
        order_id=None,
        symbol=contract.symbol,
        delivery_start=contract.delivery_start,
        delivery_end=contract.delivery_end,
        price_ticks=price_ticks,
        lots=offer.lots,
        sold_lots=0,
        open_lots=0,
        status="due" if contract.gate_close > now else "none",
        note=note,
    )


def _series(
    provider_id: int, product: ProductView, window_seconds: int, contracts: Sequence[Contract], now: datetime
) -> OfferSeries:
    first = contracts[0].delivery_start if contracts else window_at(now, window_seconds).end
    until = contracts[-1].delivery_end if contracts else window_at(first + DEFAULT_RANGE, window_seconds).end
    return OfferSeries(
        provider_id=provider_id,
        product_id=product.id,
        product_code=product.code,
        window_seconds=window_seconds,
        currency=product.terms.currency,
        lot_tokens=product.terms.lot_tokens,
        tick_micros=product.terms.tick_micros,
        listed=len(contracts),
        first=first,
        until=until,
        band=(contracts[0].band_low_ticks, contracts[0].band_high_ticks) if contracts else None,
    )
