"""Everything a batch came to, in memory: what the writer turns into rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from exchange.clearing.fills import FillRecord
from exchange.gate_record import ReferencePrice
from exchange.matching.events import MatchPrevented
from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import Order, OrderId, PriceTicks, Side
from exchange.sequencer.answers import Answer
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.state import LiveContract
from ledger.drafts import HoldChange, TransactionDraft


@dataclass(slots=True)
class TouchedOrder:
    """An order that a batch placed (`command` is the one that did) or changed, as it stands at the end.

    `priority` is the command that gave it its place in the queue, when this batch did.
    """

    order: Order
    remaining_lots: int
    status: OrderStatus
    close_reason: str = ""
    command: WaitingCommand | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class GateFigures:
    """What a gate's closure fixes, read before the batch is decided."""

    reference: ReferencePrice
    obligations_hash: bytes


@dataclass(slots=True)
class MovedBook:
    """What a batch changed in one book: the price levels that moved, and whether anything did."""

    contract: LiveContract
    levels: set[tuple[Side, PriceTicks]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Reversal:
    """A fill that a batch takes back, and by which command. The draft is posted with the batch's own, after it."""

    fill: FillRecord
    draft: TransactionDraft
    reason: str
    command_seq: int


@dataclass(slots=True)
class Outcome:
    """Everything a batch came to."""

    answers: dict[int, Answer] = field(default_factory=dict)
    orders: dict[OrderId, TouchedOrder] = field(default_factory=dict)
    fills: list[FillRecord] = field(default_factory=list)
    holds: list[HoldChange] = field(default_factory=list)
    prevented: list[MatchPrevented] = field(default_factory=list)
    switches: dict[int, datetime | None] = field(default_factory=dict)  # dead-man switches set, by party
    moved_books: dict[int, MovedBook] = field(default_factory=dict)
    moved_states: dict[int, LiveContract] = field(default_factory=dict)
    closed_gates: dict[int, GateFigures] = field(default_factory=dict)
    reversals: list[Reversal] = field(default_factory=list)
    cancelled: set[int] = field(default_factory=set)  # contracts
    state_reasons: dict[int, str] = field(default_factory=dict)  # why contracts are in the state they were moved to
    collar_halts: dict[int, OrderId] = field(default_factory=dict)  # whose order came to a contract's collar
    set_aside: dict[int, str] = field(default_factory=dict)  # why a command could not be processed, by its number

    @property
    def changes_contracts(self) -> bool:
        """Whether something happened to a contract itself, beyond its book."""
        return bool(self.reversals or self.cancelled or self.state_reasons or self.collar_halts)
