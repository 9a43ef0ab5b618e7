"""What the sequencer decides about orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from exchange import trading_rules as rules
from exchange.clearing.amounts import order_holds, required_holds
from exchange.clearing.fills import FillRecord, net_holds
from exchange.clearing.terms import ContractTerms
from exchange.errors import OrderNotOpen, PostOnlyWouldTrade, TooManyOpenOrders
from exchange.matching import engine
from exchange.matching.book import RestingOrder
from exchange.matching.events import CloseReason, Event, OrderAmended, OrderRejected
from exchange.matching.lifecycle import OrderStatus, advance
from exchange.matching.types import (
    AmendOrder,
    BrokenInvariant,
    Lots,
    Order,
    OrderId,
    OrderType,
    PartyId,
    PostOnly,
    PriceTicks,
    SelfTrade,
    Side,
    TimeInForce,
)
from exchange.qualifications import not_qualified
from exchange.sequencer.answers import Answer, accepted
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.outcome import TouchedOrder
from exchange.sequencer.run import BatchRun
from exchange.sequencer.state import LiveContract
from exchange.sequencer.timers import DueOrder, DueSwitch, Timer
from ledger.drafts import HoldChange
from ledger.errors import DomainError

# By value: calling an enumeration takes several times as long, and every order does it five times.
_SIDES = {each.value: each for each in Side}
_TYPES = {each.value: each for each in OrderType}
_TIMES_IN_FORCE = {each.value: each for each in TimeInForce}
_POST_ONLY = {each.value: each for each in PostOnly}
_SELF_TRADE = {each.value: each for each in SelfTrade}


def place(run: BatchRun, command: WaitingCommand) -> Answer:
    contract = run.contract_of(command)
    order = order_of(command, contract)
    expires_at = _expiry(command)
    touched = TouchedOrder(order, order.lots, OrderStatus.PENDING, command=command)
    run.outcome.orders[order.order_id] = touched
    try:
        _admit(run, order, contract, expires_at)
        _make_way(run, order, contract)
        events = engine.place(contract.book, order, collar=contract.collar())
        _require_taken(events)
    except DomainError as refusal:
        touched.status = advance(touched.status, OrderStatus.REJECTED)
        touched.close_reason = refusal.code
        raise
    fills = run.clear(contract, events)
    if touched.status is OrderStatus.OPEN:
        run.market.note_due(expires_at)
    return accepted(order_id=order.order_id, **_figures(touched, fills))


def amend(run: BatchRun, command: WaitingCommand) -> Answer:
    """Give an open order another price or quantity. What only lowers it is taken while trading is suspended, too."""
    contract = run.contract_of(command)
    resting = _resting(contract, command)
    before, wanted, payload = resting.order, resting.lots, command.payload
    price_ticks, lots = payload["price_ticks"], payload["lots"]  # what is None stays as it is by now
    change = AmendOrder(
        before.order_id,
        contract.id,
        before.price_ticks if price_ticks is None else PriceTicks(price_ticks),
        before.lots if lots is None else Lots(lots),
    )
    still_wanted = change.lots - (before.lots - wanted)
    if still_wanted > 0:
        after = replace(before, price_ticks=change.price_ticks, lots=change.lots)
        if change.price_ticks != before.price_ticks or change.lots > before.lots:
            _require_may_trade(run, after, contract)
        run.funds.require(_further_holds(contract.terms, before, wanted, after, still_wanted))
        _make_way(run, after, contract)
    events = engine.amend(contract.book, change, collar=contract.collar())
    _require_taken(events)
    fills = run.clear(contract, events)
    touched = run.outcome.orders[before.order_id]
    kept_place = not any(isinstance(event, OrderAmended) and not event.kept_place for event in events)
    if not kept_place:
        touched.priority = command.seq
    return accepted(order_id=before.order_id, kept_place=kept_place, **_figures(touched, fills))


def cancel(run: BatchRun, command: WaitingCommand) -> Answer:
    contract = run.contract_of(command)
    order_id = _resting(contract, command).order.order_id
    reason = CloseReason(command.payload.get("close_reason", CloseReason.CANCELLED))
    run.clear(contract, engine.cancel(contract.book, order_id, reason=reason))
    touched = run.outcome.orders[order_id]
    return accepted(order_id=order_id, order_status=touched.status.value, cancelled_lots=touched.remaining_lots)


def cancel_all(run: BatchRun, command: WaitingCommand) -> Answer:
    """All open orders of a party in the shard, or in the contract that the command names."""
    closed = withdraw_all(run, _party(command), CloseReason.CANCELLED, contract_id=command.contract_id)
    return accepted(cancelled_orders=len(closed), order_ids=closed)


def cancel_all_after(run: BatchRun, command: WaitingCommand) -> Answer:
    """Set, renew or (by 0 seconds) stop a party's dead-man switch in the shard."""
    seconds = command.payload["seconds"]
    due_at = run.now + timedelta(seconds=seconds) if seconds else None
    run.outcome.switches[_party(command)] = due_at
    run.market.note_due(due_at)
    return accepted(due_at=None if due_at is None else due_at.isoformat())


def fire(run: BatchRun, timer: Timer) -> None:
    """What is due by itself happens."""
    match timer:
        case DueOrder(order_id, contract_id):
            contract = run.market.contracts[contract_id]
            run.clear(contract, engine.cancel(contract.book, OrderId(order_id), reason=CloseReason.EXPIRED))
        case DueSwitch(party_id):
            withdraw_all(run, party_id, CloseReason.SWITCHED_OFF)
            run.outcome.switches[party_id] = None


def withdraw_all(run: BatchRun, party_id: int, reason: CloseReason, *, contract_id: int | None = None) -> list[OrderId]:
    """Close a party's open orders, of one contract or of all; their ids, the oldest first."""
    closed = []
    for order_id, of_contract in sorted(run.standing[party_id].items()):
        contract = run.market.contracts[of_contract]
        if contract_id in (None, of_contract) and order_id in contract.book:
            run.clear(contract, engine.cancel(contract.book, order_id, reason=reason))
            closed.append(order_id)
    return closed


def order_of(command: WaitingCommand, contract: LiveContract) -> Order:
    """The order that a command wants placed."""
    payload, party_id = command.payload, command.party_id
    if party_id is None:
        raise BrokenInvariant(f"Order {command.seq} has no party.")
    side = _SIDES[payload["side"]]
    fee_ppm = contract.fee_ppm(side)
    return Order(
        order_id=OrderId(command.seq),
        contract_id=contract.id,
        party_id=PartyId(party_id),
        side=side,
        price_ticks=payload["price_ticks"],
        lots=payload["lots"],
        group_id=payload.get("group_id", party_id),
        order_type=_TYPES[payload.get("order_type", "limit")],
        time_in_force=_TIMES_IN_FORCE[payload["time_in_force"]],
        post_only=_POST_ONLY[payload.get("post_only", "no")],
        self_trade=_SELF_TRADE[payload.get("self_trade", "cancel_newest")],
        budget=payload.get("budget"),
        overage_permille=payload["overage_permille"],
        maker_fee_ppm=payload.get("maker_fee_ppm", fee_ppm),
        taker_fee_ppm=payload.get("taker_fee_ppm", fee_ppm),
    )


def fill_figures(fill: FillRecord) -> dict[str, int]:
    return {
        "fill_id": fill.fill_id,
        "trade_no": fill.trade_no,
        "price_ticks": fill.price_ticks,
        "lots": fill.lots,
        "notional_micros": fill.notional_micros,
        "buyer_fee_micros": fill.buyer_fee_micros,
    }


def _figures(touched: TouchedOrder, fills: Sequence[FillRecord]) -> dict[str, Any]:
    """An order as its command left it."""
    order = touched.order
    return {
        "order_status": touched.status.value,
        "close_reason": touched.close_reason,
        "price_ticks": order.price_ticks,
        "lots": order.lots,
        "filled_lots": order.lots - touched.remaining_lots,
        "remaining_lots": touched.remaining_lots,
        "fills": [fill_figures(fill) for fill in fills],
    }


def _party(command: WaitingCommand) -> int:
    if command.party_id is None:
        raise BrokenInvariant(f"Command {command.seq} has no party.")
    return command.party_id


def _expiry(command: WaitingCommand) -> datetime | None:
    expires_at = command.payload.get("expires_at")
    return None if expires_at is None else datetime.fromisoformat(expires_at)


def _resting(contract: LiveContract, command: WaitingCommand) -> RestingOrder:
    """The order that a command is about, in the book. Raises `OrderNotOpen`."""
    order_id = OrderId(command.payload["order_id"])
    resting = contract.book.resting.get(order_id)
    if resting is None:
        raise OrderNotOpen(f"Order {order_id} is not open any more.", order_id=str(order_id))
    return resting


def _require_taken(events: Sequence[Event]) -> None:
    """Raises `PostOnlyWouldTrade`: the book refuses nothing else that has come so far."""
    if isinstance(events[0], OrderRejected):
        raise PostOnlyWouldTrade(
            "The order is post-only and would have traded at once.", order_id=str(events[0].order_id)
        )


def _admit(run: BatchRun, order: Order, contract: LiveContract, expires_at: datetime | None) -> None:
    """Everything that can have changed since intake, and what only the sequencer can know."""
    if expires_at is not None:
        rules.check_expiry(expires_at, contract.gate_close, run.now)
    _require_may_trade(run, order, contract)
    open_orders = run.market.open_orders[order.party_id]
    if open_orders >= rules.MAX_OPEN_ORDERS:
        raise TooManyOpenOrders(
            f"A party has at most {rules.MAX_OPEN_ORDERS} open orders.",
            open_orders=str(open_orders),
            maximum=str(rules.MAX_OPEN_ORDERS),
        )
    run.funds.require(required_holds(contract.terms, order))


def _require_may_trade(run: BatchRun, order: Order, contract: LiveContract) -> None:
    rules.check_trading(contract.symbol, contract.state, contract.gate_open, contract.gate_close, run.now)
    if order.side is Side.SELL and (order.party_id, contract.product_id) not in run.qualified:
        raise not_qualified(order.party_id, contract.product_code)
    run.funds.require_usable(contract.terms, order, run.market.house_id)


def _make_way(run: BatchRun, order: Order, contract: LiveContract) -> None:
    """Bids that the order would meet and whose buyers can take no tokens leave the book before it comes."""
    if not run.funds.closed or order.side is Side.BUY:
        return
    met = [each.order for level in contract.book.bids.crossing_levels(order.price_ticks) for each in level]
    for bid in met:
        if contract.terms.entitlement(bid.party_id) in run.funds.closed:
            run.clear(contract, engine.cancel(contract.book, bid.order_id, reason=CloseReason.ACCOUNT_CLOSED))


def _further_holds(
    terms: ContractTerms, before: Order, wanted: int, after: Order, still_wanted: int
) -> list[HoldChange]:
    """What an amended order must hold above what it held."""
    released = [HoldChange(hold.account, -hold.delta) for hold in order_holds(terms, before, wanted)]
    return [hold for hold in net_holds([*released, *order_holds(terms, after, still_wanted)]) if hold.delta > 0]
