"""Offers and their orders, as they stand and as the line will leave them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from exchange import trading_rules as rules
from exchange.clearing.prices import format_price
from exchange.errors import OfferNotFound
from exchange.matching.lifecycle import OrderStatus
from exchange.models import (
    OPEN_STATES,
    Contract,
    ContractState,
    Intake,
    IntakeKind,
    Offer,
    OfferOrder,
    Order,
    SequencerState,
)
from exchange.offer_schedule import Schedule, curve_of, unpack_weekdays
from exchange.rows import contract_terms
from exchange.sequencer.intake import waiting_commands


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order of an offer as it stands, or as it was sent while it waits for the sequencer.

    `waiting`: kinds of commands about it that are not decided.
    """

    order_id: int
    contract_id: int
    price_ticks: int
    lots: int
    sold_lots: int
    status: OrderStatus
    close_reason: str
    replaceable: bool
    waiting: frozenset[IntakeKind]

    @property
    def is_live(self) -> bool:
        return self.status in (OrderStatus.PENDING, OrderStatus.OPEN)

    @property
    def is_leaving(self) -> bool:
        return self.is_live and IntakeKind.CANCEL_ORDER in self.waiting


def lock_offer(offer_id: int, provider_id: int) -> Offer:
    """A provider's own offer, kept from other commands until the transaction ends. Raises `OfferNotFound`."""
    offer = (
        Offer.objects.select_for_update(of=("self",))
        .select_related("product", "terms")
        .filter(id=offer_id, provider_id=provider_id)
        .first()
    )
    if offer is None:
        raise OfferNotFound(f"There is no offer {offer_id}.", offer_id=str(offer_id))
    return offer


def schedule_of(offer: Offer) -> Schedule:
    curve = curve_of(offer.price_ticks) if offer.hourly_ticks is None else tuple(offer.hourly_ticks)
    weekdays = unpack_weekdays(offer.weekdays)
    return Schedule(offer.window_seconds, offer.first_delivery, offer.last_delivery, weekdays, curve)


def read_orders(offer_ids: Collection[int]) -> dict[int, list[PlacedOrder]]:
    """All orders of these offers by offer, oldest first."""
    own = list(OfferOrder.objects.filter(offer_id__in=offer_ids).order_by("order_id"))
    # First how far the line is done, then the line, then the orders: what is decided in between is seen twice, and
    # not missed.
    cursors = dict(SequencerState.objects.values_list("shard", "cursor"))
    waiting = _waiting(own)
    rows = Order.objects.in_bulk([each.order_id for each in own])
    sent = Intake.objects.in_bulk([each.order_id for each in own if each.order_id not in rows])
    orders: dict[int, list[PlacedOrder]] = defaultdict(list)
    for each in own:
        about = frozenset(waiting[each.order_id])
        row = rows.get(each.order_id)
        order = _decided(each, row, about) if row else _undecided(each, sent[each.order_id], about, cursors)
        orders[each.offer_id].append(order)
    return orders


def covered_contracts(schedule: Schedule, offer: Offer) -> list[Contract]:
    """Listed contracts between an offer's first and last window whose gates are not closed, in order.

    Those listed under newer terms than the offer's, or with another lot or tick, were not what it meant.
    """
    rows = Contract.objects.select_related("product", "terms").filter(
        product_id=offer.product_id,
        state__in=OPEN_STATES,
        delivery_start__gte=schedule.first,
        delivery_start__lte=schedule.last,
        terms__version__lte=offer.terms.version,
    )
    return [
        contract
        for contract in rows.order_by("delivery_start")
        if schedule.is_window(contract.delivery_start, contract.delivery_end)
        and all(contract.terms.terms[name] == offer.terms.terms[name] for name in ("lot_tokens", "tick_micros"))
    ]


def check_prices(schedule: Schedule, contracts: Iterable[Contract]) -> None:
    """Raises `PriceOutOfBand` for the first window that cannot take its price."""
    for contract in contracts:
        price_ticks = schedule.price_at(contract.delivery_start)
        if price_ticks is not None:
            rules.check_price(contract_terms(contract), price_ticks)


def obstacle(contract: Contract, price_ticks: int, now: datetime) -> str:
    """Why a contract takes no order at this price now, in words; empty when it does."""
    if now >= contract.gate_close or contract.state not in OPEN_STATES:
        return "The gate has closed."
    terms = contract_terms(contract)
    if not terms.band_low_ticks <= price_ticks <= terms.band_high_ticks:
        low, high = (format_price(terms.tick_micros, each) for each in (terms.band_low_ticks, terms.band_high_ticks))
        return f"The price is outside the band from {low} to {high}."
    if contract.state == ContractState.LISTED or now < contract.gate_open:
        return f"Placed when the gate opens, {contract.gate_open:%Y-%m-%d %H:%M} UTC."
    return "Placed when trading goes on; it is halted." if contract.state == ContractState.HALTED else ""


def _waiting(own: Collection[OfferOrder]) -> dict[int, set[IntakeKind]]:
    """Which kinds of commands about each order are not decided."""
    kinds: dict[int, set[IntakeKind]] = defaultdict(set)
    numbers = {each.order_id for each in own}
    providers = set(Offer.objects.filter(id__in={each.offer_id for each in own}).values_list("provider_id", flat=True))
    about = (IntakeKind.AMEND_ORDER, IntakeKind.CANCEL_ORDER)
    for command in waiting_commands().filter(party_id__in=providers, kind__in=about):
        if command.payload["order_id"] in numbers:
            kinds[command.payload["order_id"]].add(IntakeKind(command.kind))
    return kinds


def _decided(own: OfferOrder, row: Order, waiting: frozenset[IntakeKind]) -> PlacedOrder:
    return PlacedOrder(
        order_id=own.order_id,
        contract_id=own.contract_id,
        price_ticks=row.price_ticks,
        lots=row.lots,
        sold_lots=row.lots - row.remaining_lots,
        status=OrderStatus(row.status),
        close_reason=row.close_reason,
        replaceable=own.replaceable,
        waiting=waiting,
    )


def _undecided(
    own: OfferOrder, command: Intake, waiting: frozenset[IntakeKind], cursors: Mapping[int, int]
) -> PlacedOrder:
    set_aside = command.seq <= cursors[command.shard]
    return PlacedOrder(
        order_id=own.order_id,
        contract_id=own.contract_id,
        price_ticks=command.payload["price_ticks"],
        lots=command.payload["lots"],
        sold_lots=0,
        status=OrderStatus.REJECTED if set_aside else OrderStatus.PENDING,
        close_reason="",
        replaceable=own.replaceable,
        waiting=waiting,
    )
