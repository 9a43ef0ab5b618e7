"""One pass over a batch of commands, in memory: what every decision shares. Reads nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count

from exchange.clearing.drafts import draft_batch
from exchange.clearing.fills import FillRecord, clear
from exchange.clearing.prices import format_price
from exchange.clearing.reversals import draft_reversal
from exchange.matching.events import (
    CollarReached,
    Event,
    MatchPrevented,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderFilled,
    OrderRested,
)
from exchange.matching.lifecycle import STATUS_AFTER_CLOSE, OrderStatus, advance
from exchange.matching.types import BrokenInvariant, Lots, Order, OrderId
from exchange.models import ContractState
from exchange.sequencer.funds import Funds
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.outcome import GateFigures, MovedBook, Outcome, Reversal, TouchedOrder
from exchange.sequencer.state import LiveContract, Market
from exchange.sequencer.undoing import Undoable
from ledger.drafts import TransactionDraft


class BatchRun:
    """It moves the market's books; when the batch is not committed they must be dropped.

    `standing` are the open orders, as order to contract, of the parties that may lose all of theirs in this batch.
    """

    def __init__(
        self,
        market: Market,
        funds: Funds,
        *,
        qualified: set[tuple[int, int]],
        gates: Mapping[int, GateFigures],
        first_fill: int,
        now: datetime,
        standing: Mapping[int, dict[OrderId, int]] | None = None,
        undoable: Undoable | None = None,
    ) -> None:
        self.market = market
        self.funds = funds
        self.qualified = qualified
        self.gates = gates
        self.now = now
        self.standing = standing or {}
        self.undoable = undoable
        self.outcome = Outcome()
        self._fill_ids: Iterator[int] = count(first_fill)

    def drafts(self, batch_no: int) -> list[TransactionDraft]:
        """What the batch posts: its own transaction, if anything moved, and those that take fills back."""
        draft = draft_batch(
            {moved.contract.id: moved.contract.terms for moved in self.outcome.moved_books.values()},
            self.outcome.fills,
            self.outcome.holds,
            house_id=self.market.house_id,
            reference=str(batch_no),
            now=self.now,
        )
        reversals = [reversal.draft for reversal in self.outcome.reversals]
        return reversals if draft is None else [draft, *reversals]

    def begin_batch(self) -> None:
        """The batch before is written, the ledger's part included: what comes now is the next one's."""
        self.outcome = Outcome()
        self.funds.begin_batch()

    def contract_of(self, command: WaitingCommand) -> LiveContract:
        if command.contract_id is None:
            raise BrokenInvariant(f"Command {command.seq} names no contract.")
        return self.market.contracts[command.contract_id]

    def clear(self, contract: LiveContract, events: Sequence[Event]) -> tuple[FillRecord, ...]:
        """Money, tokens and holds of what happened in the book, and what it made of the orders."""
        cleared = clear(contract.terms, events, fill_ids=self._fill_ids, trade_nos=count(contract.last_trade_no + 1))
        self.outcome.fills += cleared.fills
        self.outcome.holds += cleared.holds
        self.funds.apply(contract.terms, cleared.fills, cleared.holds)
        for event in events:
            self._note(contract, event)
        for fill in cleared.fills:
            contract.last_trade_no = fill.trade_no
            contract.last_price_ticks = fill.price_ticks
            contract.traded_lots += fill.lots
        return cleared.fills

    def touch(self, order: Order, remaining_lots: int) -> TouchedOrder:
        """The batch's record of an order; one that stood before the batch is open."""
        touched = self.outcome.orders.get(order.order_id)
        if touched is None:
            touched = self.outcome.orders[order.order_id] = TouchedOrder(order, remaining_lots, OrderStatus.OPEN)
        return touched

    def move_state(self, contract: LiveContract, to: ContractState, reason: str = "") -> None:
        contract.state = to
        self.outcome.moved_states[contract.id] = contract
        self.outcome.state_reasons[contract.id] = reason

    def take_back(self, contract: LiveContract, fills: Sequence[FillRecord], command: WaitingCommand) -> None:
        """Reverse fills of a contract with all that they moved and held, and their part in its market figures."""
        for fill in fills:
            draft = draft_reversal(contract.terms, fill, house_id=self.market.house_id, now=self.now)
            reason = command.payload["reason"]
            self.outcome.reversals.append(Reversal(fill, draft, reason, command.seq))
            contract.traded_lots -= fill.lots
        self.outcome.moved_books.setdefault(contract.id, MovedBook(contract))

    def _note(self, contract: LiveContract, event: Event) -> None:
        # By its exact type, as in clearing.
        if type(event) is OrderAccepted:
            self.touch(event.order, event.lots).order = event.order
        elif type(event) is OrderRested:
            self._note_rested(contract, event)
        elif type(event) is OrderClosed:
            self._note_closed(contract, event)
        elif type(event) is OrderFilled:
            self.touch(event.taker, event.taker_lots_left).remaining_lots = event.taker_lots_left
            self.touch(event.maker, event.maker_lots_left).remaining_lots = event.maker_lots_left
            self._moved(contract, event.maker)
        elif type(event) is OrderAmended:
            touched = self.touch(event.after, event.lots_after)
            touched.order, touched.remaining_lots = event.after, event.lots_after
            if touched.status is OrderStatus.OPEN:  # else it is new, and has not come to rest
                self._moved(contract, event.before)
                self._moved(contract, event.after)
        elif type(event) is MatchPrevented:
            self.outcome.prevented.append(event)
        elif type(event) is CollarReached:
            self._note_collar(contract, event)

    def _note_collar(self, contract: LiveContract, event: CollarReached) -> None:
        """Nothing trades at such a distance from the last price before an operator has looked at it."""
        price = format_price(contract.terms.tick_micros, event.price_ticks)
        self.outcome.collar_halts[contract.id] = event.taker.order_id
        self.move_state(contract, ContractState.HALTED, f"An order would have traded at {price}, outside the collar.")

    def _note_rested(self, contract: LiveContract, event: OrderRested) -> None:
        touched = self.touch(event.order, event.lots)
        touched.status = advance(touched.status, OrderStatus.OPEN)
        party_id = event.order.party_id
        self.market.open_orders[party_id] += 1
        if party_id in self.standing:
            self.standing[party_id][event.order.order_id] = contract.id
        self._moved(contract, event.order)

    def _note_closed(self, contract: LiveContract, event: OrderClosed) -> None:
        touched = self.touch(event.order, event.lots_unfilled)
        if touched.status is OrderStatus.OPEN:
            self.market.open_orders[touched.order.party_id] -= 1
            self._moved(contract, event.order)
        touched.status = advance(touched.status, STATUS_AFTER_CLOSE[event.reason])
        touched.close_reason = event.reason.value
        touched.remaining_lots = Lots(event.lots_unfilled)

    def _moved(self, contract: LiveContract, order: Order) -> None:
        moved = self.outcome.moved_books.get(contract.id)
        if moved is None:
            moved = self.outcome.moved_books[contract.id] = MovedBook(contract)
        moved.levels.add((order.side, order.price_ticks))
