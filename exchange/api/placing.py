"""From a request to a command, and from the sequencer's answer to what the caller is told."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from exchange.clearing.prices import format_price, parse_price
from exchange.clearing.terms import ContractTerms
from exchange.commands.amend_order import AmendOrder
from exchange.commands.place_order import PlaceOrder
from exchange.dry_run import Trial
from exchange.errors import ClientOrderIdConflict, OutcomePending
from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import OrderType, PostOnly, SelfTrade, Side, TimeInForce
from exchange.models import IntakeResult
from exchange.sequencer.answers import Answer, RefusedCommand
from exchange.sequencer.results import await_result
from ledger.errors import DomainError

OUTCOME_SECONDS = 5

# Names of a command's members that are others outside.
_OUTSIDE = {"price_ticks": "price", "budget_micros": "budget", "order_type": "type"}


def order_command(party_id: int, order: Mapping[str, Any], terms: ContractTerms) -> PlaceOrder:
    """A validated `NewOrderSerializer` body. Raises what is wrong with the price."""
    order_type = OrderType(order["type"])
    usual = TimeInForce.GTC if order_type is OrderType.LIMIT else TimeInForce.IOC
    return PlaceOrder(
        party_id=party_id,
        symbol=order["contract"],
        side=Side(order["side"]),
        price_ticks=parse_price(terms, order["price"]) if "price" in order else None,
        lots=order.get("lots"),
        time_in_force=TimeInForce(order.get("time_in_force", usual)),
        client_order_id=order["client_order_id"],
        overage_permille=order["overage_permille"],
        order_type=order_type,
        budget_micros=order.get("budget"),
        expires_at=order.get("expires_at"),
        post_only=PostOnly(order["post_only"]),
        self_trade=SelfTrade(order["self_trade"]),
    )


def amend_command(party_id: int, order_id: int, change: Mapping[str, Any], terms: ContractTerms) -> AmendOrder:
    """A validated `AmendmentSerializer` body. Raises what is wrong with the price."""
    price_ticks = parse_price(terms, change["price"]) if "price" in change else None
    return AmendOrder(party_id, order_id, price_ticks, change.get("lots"))


def outcome(seq: int, **subject: str) -> Answer:
    """What a command came to, once it is durable. Raises its refusal, naming its subject, or `OutcomePending`."""
    return settled(outcomes([seq]).get(seq), **subject)


def outcomes(seqs: Collection[int]) -> dict[int, Answer]:
    """What commands came to, by number, as far as they are decided within `OUTCOME_SECONDS`."""
    deadline = time.monotonic() + OUTCOME_SECONDS
    missing = set(seqs)
    found: dict[int, Answer] = {}
    while missing and await_result(max(missing), max(0, deadline - time.monotonic())) is not None:
        found |= dict(IntakeResult.objects.filter(seq__in=missing).values_list("seq", "result"))
        missing -= found.keys()
    found |= dict(IntakeResult.objects.filter(seq__in=missing).values_list("seq", "result"))
    return found


def settled(answer: Answer | None, **subject: str) -> Answer:
    """An accepted answer. Raises the refusal that it is, or `OutcomePending`."""
    if answer is None:
        raise OutcomePending(
            f"The command is recorded, but not decided after {OUTCOME_SECONDS} seconds. Ask later.", **subject
        )
    if answer["status"] != "accepted":
        refusal = RefusedCommand(answer)
        refusal.fields = subject | refusal.fields
        raise refusal
    return answer


def pending_figures(pending: OutcomePending) -> dict[str, Any]:
    """Recorded, not decided; nobody should send it again under another name."""
    return {"code": pending.code, **pending.fields, "status": OrderStatus.PENDING.value}


def placed_figures(command: PlaceOrder, terms: ContractTerms, result: Answer) -> dict[str, Any]:
    """What placing an order came to."""
    by_budget = command.budget_micros is not None
    fills = [_fill_figures(fill, terms) for fill in result["fills"]]
    return {
        "order_id": result["order_id"],
        "client_order_id": command.client_order_id,
        "contract": command.symbol,
        "side": command.side.value,
        "type": command.order_type.value,
        "price": format_price(terms.tick_micros, result["price_ticks"]),
        "lots": None if by_budget else result["lots"],
        "budget": command.budget_micros,
        "filled_lots": result["filled_lots"],
        "remaining_lots": None if by_budget else result["remaining_lots"],
        "time_in_force": command.time_in_force.value,
        "expires_at": command.expires_at,
        "post_only": command.post_only.value,
        "self_trade": command.self_trade.value,
        "overage_permille": command.overage_permille,
        "status": result["order_status"],
        "close_reason": result["close_reason"],
        "notional": sum(fill["notional_micros"] for fill in fills),
        "fee": sum(fill["buyer_fee_micros"] for fill in fills),
        "fills": fills,
    }


def expected_figures(command: PlaceOrder, terms: ContractTerms, trial: Trial) -> dict[str, Any]:
    """What placing an order would come to. Raises the refusal that it would meet."""
    figures = placed_figures(command, terms, settled(trial.answer))
    return figures | {"required_hold": trial.required_hold, "hold": trial.hold}


def amended_figures(terms: ContractTerms, result: Answer) -> dict[str, Any]:
    """What an amendment came to."""
    return {
        "order_id": result["order_id"],
        "price": format_price(terms.tick_micros, result["price_ticks"]),
        "status": result["order_status"],
        **{name: result[name] for name in ("lots", "filled_lots", "remaining_lots", "close_reason", "kept_place")},
        "fills": [_fill_figures(fill, terms) for fill in result["fills"]],
    }


def cancelled_figures(result: Answer) -> dict[str, Any]:
    """What a cancel came to."""
    return {
        "order_id": result["order_id"],
        "status": result["order_status"],
        "cancelled_lots": result["cancelled_lots"],
    }


def in_outside_words(refusal: DomainError) -> DomainError:
    """A conflict with the field's name as the caller sent it; any other refusal as it is."""
    if not isinstance(refusal, ClientOrderIdConflict):
        return refusal
    inside = str(refusal.fields.get("field", ""))
    field = _OUTSIDE.get(inside, inside)
    return ClientOrderIdConflict(
        f"This client_order_id was used before with another {field}. Use a new one.",
        **refusal.fields | {"field": field},
    )


def _fill_figures(fill: Mapping[str, Any], terms: ContractTerms) -> dict[str, Any]:
    return {**fill, "price": format_price(terms.tick_micros, fill["price_ticks"])}
