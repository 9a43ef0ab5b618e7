"""Put a buyer's order into the line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from exchange import trading_rules as rules
from exchange.clearing.terms import MAX_ORDER_LOTS, ContractTerms
from exchange.errors import InvalidOrder
from exchange.matching.types import OrderType, PostOnly, SelfTrade, Side, TimeInForce
from exchange.models import Contract, IntakeKind
from exchange.order_stamps import Stamps, budget_ticks, read_stamps
from exchange.rows import contract_terms, find_contract
from exchange.sequencer.intake import Submission, Submitted, find_repeat, submit


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Buy up to `lots` of a contract at `price_ticks` or better. `overage_permille` adds to what the buyer may use.

    A market order may leave out its price, which is then the band's upper one, and may have a budget (micros, its fee
    included) instead of `lots`.
    """

    party_id: int
    symbol: str
    side: Side
    price_ticks: int | None
    lots: int | None
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str | None = None
    overage_permille: int = 0
    order_type: OrderType = OrderType.LIMIT
    budget_micros: int | None = None
    expires_at: datetime | None = None
    post_only: PostOnly = PostOnly.NO
    self_trade: SelfTrade = SelfTrade.CANCEL_NEWEST


@dataclass(frozen=True, slots=True)
class Listing:
    """A contract as the next order of a buyer finds it."""

    contract: Contract
    terms: ContractTerms
    stamps: Stamps


def place_order(command: PlaceOrder, *, actor: str, now: datetime) -> Submitted:
    """Validate an order and put it into the line; its number is the order's id, and `await_result` has the outcome.

    Refusals, in the order of the checks: `unknown_contract`, `invalid_order`, `invalid_quantity`, `invalid_amount`,
    `client_order_id_conflict`, `price_out_of_band`, `budget_too_small`, `expiry_out_of_range`, `contract_closed`,
    `contract_not_open`, `contract_halted`. None of them claims the client_order_id. Funds and the limit of open orders
    are judged by the sequencer.
    """
    listing = read_listing(command.party_id, find_contract(command.symbol), now)
    draft = draft_order(command, listing, actor=actor)
    repeat = find_repeat(draft)
    if repeat is not None:  # answered as it was, whatever has become of the contract since
        return repeat
    check_market(command, draft, listing, now)
    return submit(draft, now=now)


def read_listing(party_id: int, contract: Contract, now: datetime) -> Listing:
    """`contract` comes with its product and terms."""
    terms = contract_terms(contract)
    return Listing(contract, terms, read_stamps(party_id, terms, Side.BUY, now))


def check_form(command: PlaceOrder) -> None:
    """What can be said of an order without looking at its contract. Raises the first refusals of `place_order`."""
    if command.side is not Side.BUY:
        raise InvalidOrder("Only buy orders are taken; capacity is sold through offers.", field="side")
    if command.client_order_id is not None:
        rules.check_client_order_id(command.client_order_id)
    rules.check_overage(command.overage_permille)
    rules.check_size(command.order_type, command.price_ticks, command.lots, command.budget_micros)
    by_budget = command.budget_micros is not None
    rules.check_kind(command.order_type, command.time_in_force, command.post_only, by_budget=by_budget)
    rules.check_has_expiry(command.time_in_force, command.expires_at)
    if by_budget and command.overage_permille:
        raise InvalidOrder(
            "What a budget buys is not known before, so nothing can be held for overage; order by lots.",
            field="overage_permille",
        )


def draft_order(command: PlaceOrder, listing: Listing, *, actor: str) -> Submission:
    """The command as it will stand in the line, stamps included. Raises the first refusals of `place_order`."""
    check_form(command)
    contract, terms, stamps = listing.contract, listing.terms, listing.stamps
    lots, budget = command.lots, None
    if command.budget_micros is not None:
        budget = budget_ticks(terms, command.budget_micros, stamps.taker_fee_ppm)
        lots = min(budget // terms.band_low_ticks, MAX_ORDER_LOTS)
    return Submission(
        kind=IntakeKind.PLACE_ORDER,
        contract_id=contract.id,
        party_id=command.party_id,
        actor=actor,
        client_order_id=command.client_order_id,
        payload={
            "side": command.side.value,
            "order_type": command.order_type.value,
            "price_ticks": terms.band_high_ticks if command.price_ticks is None else command.price_ticks,
            "lots": lots,
            "time_in_force": command.time_in_force.value,
            "post_only": command.post_only.value,
            "self_trade": command.self_trade.value,
            "group_id": stamps.group_id,
            "budget": budget,
            "budget_micros": command.budget_micros,
            "expires_at": None if command.expires_at is None else command.expires_at.astimezone(UTC).isoformat(),
            "overage_permille": command.overage_permille,
            "maker_fee_ppm": stamps.maker_fee_ppm,
            "taker_fee_ppm": stamps.taker_fee_ppm,
        },
    )


def check_market(command: PlaceOrder, draft: Submission, listing: Listing, now: datetime) -> None:
    """Whether the contract takes the order now. Raises the last refusals of `place_order`."""
    contract, terms = listing.contract, listing.terms
    rules.check_price(terms, draft.payload["price_ticks"])
    if command.budget_micros is not None:
        rules.check_budget(terms, command.budget_micros, draft.payload["lots"])
    if command.expires_at is not None:
        rules.check_expiry(command.expires_at, contract.gate_close, now)
    rules.check_trading(contract.symbol, contract.state, contract.gate_open, contract.gate_close, now)
