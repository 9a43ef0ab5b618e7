"""What the sequencer decides about contracts: their gates, halts, and what ends them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from exchange.clearing.fills import FillRecord
from exchange.errors import FillReversed, GateNotReached, WrongContractState
from exchange.matching import engine
from exchange.matching.events import CloseReason
from exchange.matching.types import BrokenInvariant
from exchange.models import OPEN_STATES, UNDELIVERED_STATES, ContractState
from exchange.sequencer.answers import Answer, accepted
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.order_decisions import withdraw_all
from exchange.sequencer.run import BatchRun
from exchange.sequencer.state import LiveContract
from exchange.sequencer.undoing import Undoable


def open_gate(run: BatchRun, command: WaitingCommand) -> Answer:
    contract = run.contract_of(command)
    _require_reached(contract.symbol, contract.gate_open, run.now)
    return _move(run, contract, ContractState.TRADING, ContractState.LISTED)


def close_gate(run: BatchRun, command: WaitingCommand) -> Answer:
    contract = run.contract_of(command)
    _require_reached(contract.symbol, contract.gate_close, run.now)
    answer = _move(
        run, contract, ContractState.CLOSED, ContractState.LISTED, ContractState.TRADING, ContractState.HALTED
    )
    events = engine.close_book(contract.book)
    run.clear(contract, events)
    figures = run.outcome.closed_gates[contract.id] = run.gates[contract.id]
    return answer | {
        "orders_expired": len(events),
        "reference_price_micros": figures.reference.micros,
        "reference_step": figures.reference.step.value,
        "obligations_hash": figures.obligations_hash.hex(),
    }


def halt(run: BatchRun, command: WaitingCommand) -> Answer:
    contract = run.contract_of(command)
    return _move(run, contract, ContractState.HALTED, ContractState.TRADING, reason=command.payload["reason"])


def resume(run: BatchRun, command: WaitingCommand) -> Answer:
    return _move(run, run.contract_of(command), ContractState.TRADING, ContractState.HALTED)


def cancel_contract(run: BatchRun, command: WaitingCommand) -> Answer:
    """The contract is over. Before delivery all its fills are taken back; during it, settlement makes the rest short.

    Delivery has begun when the gate has closed and the window started: before the gate no side knows the other.
    """
    contract, undoable = run.contract_of(command), _undoable(run)
    if run.now >= undoable.delivery_end:
        raise WrongContractState(f"{contract.symbol} is delivered.", contract=contract.symbol, state="delivered")
    delivering = contract.state not in OPEN_STATES and run.now >= undoable.delivery_start
    fills = () if delivering else undoable.fills
    run.funds.require_reversible(contract.terms, fills, run.market.house_id)
    answer = _move(run, contract, ContractState.CANCELLED, *UNDELIVERED_STATES, reason=command.payload["reason"])
    withdrawn = engine.close_book(contract.book, CloseReason.WITHDRAWN)
    run.clear(contract, withdrawn)
    run.outcome.cancelled.add(contract.id)
    _take_back(run, contract, fills, command)
    return answer | {"orders_withdrawn": len(withdrawn), "fills_reversed": len(fills)}


def bust_fill(run: BatchRun, command: WaitingCommand) -> Answer:
    """One trade is taken back, as long as the gate is open."""
    contract, undoable, fill_id = run.contract_of(command), _undoable(run), command.payload["fill_id"]
    if contract.state not in OPEN_STATES or run.now >= contract.gate_close:
        raise WrongContractState(
            f"The gate of {contract.symbol} has closed, and its positions are final.",
            contract=contract.symbol,
            state=contract.state.value,
        )
    if not undoable.fills:
        raise FillReversed(f"Fill {fill_id} was taken back already.", fill=str(fill_id))
    run.funds.require_reversible(contract.terms, undoable.fills, run.market.house_id)
    _take_back(run, contract, undoable.fills, command)
    return accepted(contract=contract.symbol, fill_id=fill_id, fills_reversed=1)


def default_provider(run: BatchRun, command: WaitingCommand) -> Answer:
    """All orders of the provider in the shard go. Its accounts were frozen when the default was declared."""
    if command.party_id is None:
        raise BrokenInvariant(f"Command {command.seq} names no provider.")
    closed = withdraw_all(run, command.party_id, CloseReason.WITHDRAWN)
    return accepted(orders_withdrawn=len(closed), order_ids=closed)


def _undoable(run: BatchRun) -> Undoable:
    if run.undoable is None:
        raise BrokenInvariant("Trades are taken back in a batch of their own.")
    return run.undoable


def _take_back(run: BatchRun, contract: LiveContract, fills: Sequence[FillRecord], command: WaitingCommand) -> None:
    if fills:
        run.take_back(contract, fills, command)
        contract.last_price_ticks = _undoable(run).last_price_ticks


def _move(
    run: BatchRun, contract: LiveContract, to: ContractState, *allowed: ContractState, reason: str = ""
) -> Answer:
    if contract.state not in allowed:
        raise WrongContractState(
            f"{contract.symbol} is {contract.state}.", contract=contract.symbol, state=contract.state.value
        )
    run.move_state(contract, to, reason)
    return accepted(contract=contract.symbol, contract_state=to.value)


def _require_reached(symbol: str, gate: datetime, now: datetime) -> None:
    if now < gate:
        raise GateNotReached(f"The gate of {symbol} is at {gate.isoformat()}.", contract=symbol, gate=gate.isoformat())
