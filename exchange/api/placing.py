"""From a request to a command, and from the sequencer's answer to what the caller is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exchange.clearing.prices import format_price, parse_price
from exchange.commands.cancel_order import CancelOrder, cancel_order
from exchange.commands.place_order import PlaceOrder, place_order
from exchange.errors import ClientOrderIdConflict, OutcomePending
from exchange.matching.types import Side, TimeInForce
from exchange.rows import contract_terms, find_contract
from exchange.sequencer.answers import RefusedCommand
from exchange.sequencer.results import await_result
from ledger.api.authentication import Caller
from ledger.errors import DomainError

OUTCOME_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Placed:
    """The final result of an order; `repeated` when it had been placed before."""

    answer: dict[str, Any]
    repeated: bool


def place_buy_order(caller: Caller, order: Mapping[str, Any], *, now: datetime) -> Placed:
    """Place a validated `NewOrderSerializer` body and wait for its outcome.

    Raises what `place_order` does, `InvalidAmount` and `PriceOffTick` for the price, the sequencer's refusal, and
    `OutcomePending` when there is no outcome in time.
    """
    terms = contract_terms(find_contract(order["contract"]))
    command = PlaceOrder(
        party_id=caller.party_id,
        symbol=order["contract"],
        side=Side(order["side"]),
        price_ticks=parse_price(terms, order["price"]),
        lots=order["lots"],
        time_in_force=TimeInForce(order["time_in_force"]),
        client_order_id=order["client_order_id"],
        overage_permille=order["overage_permille"],
    )
    try:
        submitted = place_order(command, actor=caller.actor, now=now)
    except ClientOrderIdConflict as conflict:
        raise _in_outside_words(conflict) from None
    result = outcome(submitted.seq, submitted.seq)
    figures = {
        **order,
        "order_id": submitted.seq,
        "price": format_price(terms.tick_micros, command.price_ticks),
        "status": result["order_status"],
        **{name: result[name] for name in ("close_reason", "filled_lots", "remaining_lots")},
        "fills": [fill | {"price": format_price(terms.tick_micros, fill["price_ticks"])} for fill in result["fills"]],
    }
    return Placed(figures, submitted.repeated)


def cancel_own_order(caller: Caller, order_id: int, *, now: datetime) -> dict[str, Any]:
    """Cancel what is left of an own order. Raises `OrderNotFound`, `OrderNotOpen` and `OutcomePending`."""
    submitted = cancel_order(CancelOrder(caller.party_id, order_id), actor=caller.actor, now=now)
    result = outcome(submitted.seq, order_id)
    return {"order_id": order_id, "status": result["order_status"], "cancelled_lots": result["cancelled_lots"]}


def outcome(seq: int, order_id: int) -> Mapping[str, Any]:
    """What a command about an order came to, once it is durable. Its refusal names the order."""
    answer = await_result(seq, OUTCOME_SECONDS)
    if answer is None:
        raise OutcomePending(
            f"The command is recorded, but not decided after {OUTCOME_SECONDS} seconds. Ask for the order.",
            order_id=str(order_id),
        )
    if answer["status"] != "accepted":
        refusal = RefusedCommand(answer)
        refusal.fields.setdefault("order_id", str(order_id))
        raise refusal
    return answer


def _in_outside_words(conflict: DomainError) -> DomainError:
    """The conflict with the field's name as the caller sent it."""
    field = str(conflict.fields.get("field", "")).removesuffix("_ticks")
    return ClientOrderIdConflict(
        f"This client_order_id was used before with another {field}. Use a new one.",
        **conflict.fields | {"field": field},
    )
