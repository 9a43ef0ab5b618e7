"""Deciding a batch of commands, one after the other, in memory. Reads nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from exchange import trading_rules as rules
from exchange.clearing.amounts import required_holds
from exchange.clearing.drafts import fill_legs
from exchange.clearing.fills import FillRecord, clear
from exchange.errors import GateNotReached, OrderNotOpen, TooManyOpenOrders, WrongContractState
from exchange.gate_record import ReferencePrice
from exchange.matching import engine
from exchange.matching.events import Event, OrderAccepted, OrderClosed, OrderFilled, OrderRested
from exchange.matching.lifecycle import STATUS_AFTER_CLOSE, OrderStatus, advance
from exchange.matching.types import BrokenInvariant, LimitOrder, Lots, OrderId, PartyId, PriceTicks, Side, TimeInForce
from exchange.models import ContractState, IntakeKind
from exchange.qualifications import not_qualified
from exchange.sequencer.answers import Answer, accepted, refused
from exchange.sequencer.funds import Funds
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.state import LiveContract, Market
from ledger.drafts import HoldChange
from ledger.errors import DomainError


@dataclass(slots=True)
class TouchedOrder:
    """An order that a batch placed (`command` is the one that did) or changed, as it stands at the end."""

    order: LimitOrder
    remaining_lots: int
    status: OrderStatus
    close_reason: str = ""
    command: WaitingCommand | None = None


@dataclass(frozen=True, slots=True)
class GateFigures:
    """What a gate's closure fixes, read before the batch is decided."""

    reference: ReferencePrice
    obligations_hash: bytes


@dataclass(slots=True)
class Outcome:
    """Everything a batch came to."""

    answers: dict[int, Answer] = field(default_factory=dict)
    orders: dict[OrderId, TouchedOrder] = field(default_factory=dict)
    fills: list[FillRecord] = field(default_factory=list)
    holds: list[HoldChange] = field(default_factory=list)
    moved_books: dict[int, LiveContract] = field(default_factory=dict)
    moved_states: dict[int, LiveContract] = field(default_factory=dict)
    closed_gates: dict[int, GateFigures] = field(default_factory=dict)


class BatchRun:
    """One pass over a batch. It moves the market's books; when the batch is not committed they must be dropped."""

    def __init__(
        self,
        market: Market,
        funds: Funds,
        *,
        qualified: set[tuple[int, int]],
        gates: Mapping[int, GateFigures],
        first_fill: int,
        now: datetime,
    ) -> None:
        self._market = market
        self._funds = funds
        self._qualified = qualified
        self._gates = gates
        self._fill_ids: Iterator[int] = count(first_fill)
        self._now = now
        self._outcome = Outcome()
        self._deciders: Mapping[IntakeKind, Callable[[WaitingCommand, LiveContract], Answer]] = {
            IntakeKind.PLACE_ORDER: self._place,
            IntakeKind.CANCEL_ORDER: self._cancel,
            IntakeKind.OPEN_GATE: self._open_gate,
            IntakeKind.CLOSE_GATE: self._close_gate,
            IntakeKind.HALT: self._halt,
            IntakeKind.RESUME: self._resume,
        }

    def decide(self, commands: Sequence[WaitingCommand]) -> Outcome:
        for command in commands:
            contract = self._market.contracts[command.contract_id]
            try:
                answer = self._deciders[command.kind](command, contract)
            except DomainError as refusal:
                answer = refused(refusal)
            self._outcome.answers[command.seq] = answer
        return self._outcome

    def _place(self, command: WaitingCommand, contract: LiveContract) -> Answer:
        order = _limit_order(command, contract)
        try:
            self._admit(order, contract)
        except DomainError as refusal:
            status = advance(OrderStatus.PENDING, OrderStatus.REJECTED)
            self._outcome.orders[order.order_id] = TouchedOrder(order, order.lots, status, refusal.code, command)
            raise
        contract.orders[order.order_id] = order
        touched = TouchedOrder(order, order.lots, OrderStatus.PENDING, command=command)
        self._outcome.orders[order.order_id] = touched
        fills = self._clear(contract, engine.place(contract.book, order))
        return accepted(
            order_id=order.order_id,
            order_status=touched.status.value,
            close_reason=touched.close_reason,
            lots=order.lots,
            filled_lots=order.lots - touched.remaining_lots,
            remaining_lots=touched.remaining_lots,
            fills=[_fill_figures(fill) for fill in fills],
        )

    def _admit(self, order: LimitOrder, contract: LiveContract) -> None:
        """Everything that can have changed since intake, and what only the sequencer can know."""
        rules.check_trading(contract.symbol, contract.state, contract.gate_open, contract.gate_close, self._now)
        if order.side is Side.SELL and (order.party_id, contract.product_id) not in self._qualified:
            raise not_qualified(order.party_id, contract.product_code)
        open_orders = self._market.open_orders[order.party_id]
        if open_orders >= rules.MAX_OPEN_ORDERS:
            raise TooManyOpenOrders(
                f"A party has at most {rules.MAX_OPEN_ORDERS} open orders.",
                open_orders=str(open_orders),
                maximum=str(rules.MAX_OPEN_ORDERS),
            )
        self._funds.require(required_holds(contract.terms, order))

    def _cancel(self, command: WaitingCommand, contract: LiveContract) -> Answer:
        order_id = OrderId(command.payload["order_id"])
        if order_id not in contract.orders:
            raise OrderNotOpen(f"Order {order_id} is not open any more.", order_id=str(order_id))
        touched = self._touch(order_id, contract)
        self._clear(contract, engine.cancel(contract.book, order_id))
        return accepted(order_id=order_id, order_status=touched.status.value, cancelled_lots=touched.remaining_lots)

    def _open_gate(self, command: WaitingCommand, contract: LiveContract) -> Answer:
        _require_reached(contract.symbol, contract.gate_open, self._now)
        return self._move(contract, ContractState.TRADING, ContractState.LISTED)

    def _close_gate(self, command: WaitingCommand, contract: LiveContract) -> Answer:
        _require_reached(contract.symbol, contract.gate_close, self._now)
        answer = self._move(
            contract, ContractState.CLOSED, ContractState.LISTED, ContractState.TRADING, ContractState.HALTED
        )
        events = engine.close_book(contract.book)
        self._clear(contract, events)
        figures = self._outcome.closed_gates[contract.id] = self._gates[contract.id]
        return answer | {
            "orders_expired": len(events),
            "reference_price_micros": figures.reference.micros,
            "reference_step": figures.reference.step.value,
            "obligations_hash": figures.obligations_hash.hex(),
        }

    def _halt(self, command: WaitingCommand, contract: LiveContract) -> Answer:
        return self._move(contract, ContractState.HALTED, ContractState.TRADING)

    def _resume(self, command: WaitingCommand, contract: LiveContract) -> Answer:
        return self._move(contract, ContractState.TRADING, ContractState.HALTED)

    def _move(self, contract: LiveContract, to: ContractState, *allowed: ContractState) -> Answer:
        if contract.state not in allowed:
            raise WrongContractState(
                f"{contract.symbol} is {contract.state}.", contract=contract.symbol, state=contract.state.value
            )
        contract.state = to
        self._outcome.moved_states[contract.id] = contract
        return accepted(contract=contract.symbol, contract_state=to.value)

    def _clear(self, contract: LiveContract, events: Sequence[Event]) -> tuple[FillRecord, ...]:
        """Money, tokens and holds of what happened in the book, and what it made of the orders."""
        cleared = clear(
            contract.terms,
            events,
            contract.orders,
            fill_ids=self._fill_ids,
            trade_nos=count(contract.last_trade_no + 1),
        )
        self._outcome.fills += cleared.fills
        self._outcome.holds += cleared.holds
        self._funds.apply((leg for fill in cleared.fills for leg in fill_legs(contract.terms, fill)), cleared.holds)
        for event in events:
            self._note(contract, event)
        for fill in cleared.fills:
            contract.last_trade_no = fill.trade_no
            contract.last_price_ticks = fill.price_ticks
            contract.traded_lots += fill.lots
        contract.book_seq += 1
        self._outcome.moved_books[contract.id] = contract
        return cleared.fills

    def _note(self, contract: LiveContract, event: Event) -> None:
        match event:
            case OrderFilled():
                self._touch(event.taker_id, contract).remaining_lots = event.taker_lots_left
                self._touch(event.maker_id, contract).remaining_lots = event.maker_lots_left
            case OrderRested():
                touched = self._touch(event.order_id, contract)
                touched.status = advance(touched.status, OrderStatus.OPEN)
                self._market.open_orders[touched.order.party_id] += 1
            case OrderClosed():
                touched = self._touch(event.order_id, contract)
                if touched.status is OrderStatus.OPEN:
                    self._market.open_orders[touched.order.party_id] -= 1
                touched.status = advance(touched.status, STATUS_AFTER_CLOSE[event.reason])
                touched.close_reason = event.reason.value
                touched.remaining_lots = event.lots_unfilled
                del contract.orders[event.order_id]
            case OrderAccepted():
                pass

    def _touch(self, order_id: OrderId, contract: LiveContract) -> TouchedOrder:
        """The batch's record of an order; one that stood before the batch is open."""
        touched = self._outcome.orders.get(order_id)
        if touched is None:
            order = contract.orders[order_id]
            left = contract.book.lots_left(order_id)
            touched = self._outcome.orders[order_id] = TouchedOrder(order, left, OrderStatus.OPEN)
        return touched


def _limit_order(command: WaitingCommand, contract: LiveContract) -> LimitOrder:
    payload = command.payload
    if command.party_id is None:
        raise BrokenInvariant(f"Order {command.seq} has no party.")
    return LimitOrder(
        OrderId(command.seq),
        contract.id,
        PartyId(command.party_id),
        Side(payload["side"]),
        PriceTicks(payload["price_ticks"]),
        Lots(payload["lots"]),
        TimeInForce(payload["time_in_force"]),
        payload["overage_permille"],
    )


def _fill_figures(fill: FillRecord) -> dict[str, int]:
    return {
        "fill_id": fill.fill_id,
        "trade_no": fill.trade_no,
        "price_ticks": fill.price_ticks,
        "lots": fill.lots,
        "notional_micros": fill.notional_micros,
        "buyer_fee_micros": fill.buyer_fee_micros,
    }


def _require_reached(symbol: str, gate: datetime, now: datetime) -> None:
    if now < gate:
        raise GateNotReached(f"The gate of {symbol} is at {gate.isoformat()}.", contract=symbol, gate=gate.isoformat())
