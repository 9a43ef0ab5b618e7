"""Put a buyer's order into the line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from exchange import trading_rules as rules
from exchange.errors import InvalidOrder
from exchange.matching.types import Side, TimeInForce
from exchange.models import IntakeKind
from exchange.rows import contract_terms, find_contract
from exchange.sequencer.intake import Submission, Submitted, find_repeat, submit


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Buy up to `lots` of a contract at `price_ticks` or better. `overage_permille` adds to what the buyer may use."""

    party_id: int
    symbol: str
    side: Side
    price_ticks: int
    lots: int
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str | None = None
    overage_permille: int = 0


def place_order(command: PlaceOrder, *, actor: str, now: datetime) -> Submitted:
    """Validate an order and put it into the line; its number is the order's id, and `await_result` has the outcome.

    Refusals, in the order of the checks: `invalid_order`, `invalid_quantity`, `unknown_contract`,
    `client_order_id_conflict`, `price_out_of_band`, `contract_closed`, `contract_not_open`, `contract_halted`. None of
    them claims the client_order_id. Funds and the limit of open orders are judged by the sequencer.
    """
    if command.side is not Side.BUY:
        raise InvalidOrder("Only buy orders are taken; capacity is sold through offers.", field="side")
    rules.check_overage(command.overage_permille)
    if command.client_order_id is not None:
        rules.check_client_order_id(command.client_order_id)
    rules.check_lots(command.lots)
    contract = find_contract(command.symbol)
    submission = Submission(
        kind=IntakeKind.PLACE_ORDER,
        contract_id=contract.id,
        party_id=command.party_id,
        actor=actor,
        client_order_id=command.client_order_id,
        payload={
            "side": command.side.value,
            "price_ticks": command.price_ticks,
            "lots": command.lots,
            "time_in_force": command.time_in_force.value,
            "overage_permille": command.overage_permille,
        },
    )
    repeat = find_repeat(submission)
    if repeat is not None:  # answered as it was, whatever has become of the contract since
        return repeat
    rules.check_price(contract_terms(contract), command.price_ticks)
    rules.check_trading(contract.symbol, contract.state, contract.gate_open, contract.gate_close, now)
    return submit(submission, now=now)
