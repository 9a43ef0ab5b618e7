"""What must go into the line so that the book shows what an offer says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from exchange.matching.types import Side, TimeInForce
from exchange.models import Contract, ContractState, IntakeKind, Offer, OfferOrder
from exchange.offer_orders import PlacedOrder, covered_contracts, obstacle, read_orders, schedule_of
from exchange.offer_schedule import Schedule
from exchange.order_stamps import read_stamps
from exchange.rows import contract_terms
from exchange.sequencer.intake import MAX_BUNDLE, Submission, Submitted, lock_line, submit_bundle


@dataclass(frozen=True, slots=True)
class Sent:
    """A command of an offer in the line: `seq` is where its result is found and, of a new order, its id."""

    kind: IntakeKind
    symbol: str
    seq: int


def align(offer: Offer, *, actor: str, now: datetime) -> list[Sent]:
    """Place, amend and take back until every window whose gate is open has what the offer says, less what it sold.

    In a halted contract, which takes no other price, a wrong order is taken back. Whatever cannot be placed yet (a gate
    is not open, a halt, an order on its way out that may still sell) is for `place_missing`. The caller has locked the
    offer.
    """
    lock_line()
    schedule, orders = schedule_of(offer), _by_contract(offer)
    closed = [order.order_id for each in orders.values() for order in each if not order.is_live]
    OfferOrder.objects.filter(order_id__in=closed).update(replaceable=True)
    changes: list[tuple[Contract, Submission]] = []
    for contract in covered_contracts(schedule, offer):
        own = orders.get(contract.id, [])
        live = _live(own)
        if live is None:
            change = _place(offer, schedule, contract, own, actor, now)
        elif live.is_leaving or contract.gate_close <= now:
            change = None
        else:
            change = _correct(offer, schedule, contract, live, own, actor)
        if change is not None:
            changes.append((contract, change))
    return _send(offer, changes, now)


def place_missing(offer: Offer, *, actor: str, now: datetime) -> list[Sent]:
    """Place orders in windows that have none, unless one ended there otherwise than by the offer itself."""
    lock_line()
    return _send(offer, _missing(offer, actor, now), now)


def lacking(offers: Sequence[Offer], now: datetime) -> list[Offer]:
    """Those of some offers that `place_missing` would find something for. Locks nothing, and asks little when none."""
    trading = Contract.objects.filter(
        product_id__in={offer.product_id for offer in offers},
        state=ContractState.TRADING,
        gate_open__lte=now,
        gate_close__gt=now,
    )
    taken = set(
        OfferOrder.objects.filter(offer_id__in=[offer.id for offer in offers], replaceable=False).values_list(
            "offer_id", "contract_id"
        )
    )
    windows: dict[int, list[Contract]] = defaultdict(list)
    for contract in trading:
        windows[contract.product_id].append(contract)
    return [
        offer
        for offer in offers
        if any(
            (offer.id, each.id) not in taken and schedule_of(offer).offers(each.delivery_start, each.delivery_end)
            for each in windows[offer.product_id]
        )
        and _missing(offer, offer.created_by, now)
    ]


def take_back(offer: Offer, *, actor: str, now: datetime) -> list[Sent]:
    """Cancel whatever of the offer is open or waits for the sequencer. The caller has locked the offer."""
    lock_line()
    live = [order for each in _by_contract(offer).values() if (order := _live(each)) and not order.is_leaving]
    contracts = Contract.objects.in_bulk([order.contract_id for order in live])
    return _send(
        offer,
        [(contracts[order.contract_id], _cancel(offer, contracts[order.contract_id], order, actor)) for order in live],
        now,
    )


def _missing(offer: Offer, actor: str, now: datetime) -> list[tuple[Contract, Submission]]:
    schedule, orders = schedule_of(offer), _by_contract(offer)
    missing = []
    for contract in covered_contracts(schedule, offer):
        own = orders.get(contract.id, [])
        if all(order.replaceable and not order.is_live for order in own):
            place = _place(offer, schedule, contract, own, actor, now)
            if place is not None:
                missing.append((contract, place))
    return missing


def _by_contract(offer: Offer) -> dict[int, list[PlacedOrder]]:
    orders: dict[int, list[PlacedOrder]] = defaultdict(list)
    for order in read_orders([offer.id])[offer.id]:
        orders[order.contract_id].append(order)
    return orders


def _live(orders: Iterable[PlacedOrder]) -> PlacedOrder | None:
    """There is never more than one."""
    return next((order for order in orders if order.is_live), None)


def _place(
    offer: Offer, schedule: Schedule, contract: Contract, own: Sequence[PlacedOrder], actor: str, now: datetime
) -> Submission | None:
    """A new order with what is not sold, if the contract can take one."""
    price_ticks = schedule.price_at(contract.delivery_start)
    lots = offer.lots - sum(order.sold_lots for order in own)
    if price_ticks is None or lots <= 0 or obstacle(contract, price_ticks, now):
        return None
    stamps = read_stamps(offer.provider_id, contract_terms(contract), Side.SELL, now)
    return Submission(
        kind=IntakeKind.PLACE_ORDER,
        contract_id=contract.id,
        party_id=offer.provider_id,
        actor=actor,
        payload={
            "side": Side.SELL.value,
            "price_ticks": price_ticks,
            "lots": lots,
            "time_in_force": TimeInForce.GTC.value,
            "overage_permille": 0,
            "offer_id": offer.id,
            **asdict(stamps),
        },
    )


def _correct(
    offer: Offer, schedule: Schedule, contract: Contract, live: PlacedOrder, own: Sequence[PlacedOrder], actor: str
) -> Submission | None:
    """What makes the standing order what the offer says; None when it is that already."""
    price_ticks = schedule.price_at(contract.delivery_start)
    lots = max(0, offer.lots - sum(order.sold_lots for order in own if order is not live))
    if (live.price_ticks, live.lots) == (price_ticks, lots) and IntakeKind.AMEND_ORDER not in live.waiting:
        return None
    lowered = price_ticks == live.price_ticks and lots <= live.lots
    if price_ticks is None or (contract.state == ContractState.HALTED and not lowered):
        return _cancel(offer, contract, live, actor)
    return Submission(
        kind=IntakeKind.AMEND_ORDER,
        contract_id=contract.id,
        party_id=offer.provider_id,
        actor=actor,
        payload={"order_id": live.order_id, "price_ticks": price_ticks, "lots": lots},
    )


def _cancel(offer: Offer, contract: Contract, order: PlacedOrder, actor: str) -> Submission:
    payload = {"order_id": order.order_id}
    return Submission(IntakeKind.CANCEL_ORDER, contract.id, actor, payload, offer.provider_id)


def _send(offer: Offer, changes: Sequence[tuple[Contract, Submission]], now: datetime) -> list[Sent]:
    """Put them into the line, all or none, and keep which orders are the offer's."""
    sent: list[Sent] = []
    placed: list[OfferOrder] = []
    taken_back: list[int] = []
    for first in range(0, len(changes), MAX_BUNDLE):
        bundle = changes[first : first + MAX_BUNDLE]
        numbers = submit_bundle([submission for _, submission in bundle], now=now)
        for (contract, submission), number in zip(bundle, numbers, strict=True):
            if not isinstance(number, Submitted):
                raise number
            sent.append(Sent(submission.kind, contract.symbol, number.seq))
            if submission.kind is IntakeKind.PLACE_ORDER:
                placed.append(OfferOrder(order_id=number.seq, offer_id=offer.id, contract_id=contract.id))
            elif submission.kind is IntakeKind.CANCEL_ORDER:
                taken_back.append(submission.payload["order_id"])
    OfferOrder.objects.bulk_create(placed)
    OfferOrder.objects.filter(order_id__in=taken_back).update(replaceable=True)
    return sent
