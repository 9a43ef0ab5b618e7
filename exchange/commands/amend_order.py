"""Ask for an open order to want something else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from exchange import trading_rules as rules
from exchange.clearing.terms import ContractTerms
from exchange.errors import InvalidOrder
from exchange.matching.types import Side
from exchange.models import Contract, IntakeKind
from exchange.rows import contract_terms
from exchange.selectors.own_orders import OwnOrder, get_own_order
from exchange.sequencer.intake import Submission, Submitted, submit


@dataclass(frozen=True, slots=True)
class AmendOrder:
    """Change the price or the whole quantity of an own order, filled lots included.

    None leaves either as it is when the amendment is decided, whatever has come before it.
    """

    party_id: int
    order_id: int
    price_ticks: int | None = None
    lots: int | None = None


def amend_order(command: AmendOrder, *, actor: str, now: datetime) -> Submitted:
    """Put an amendment into the line.

    Raises `OrderNotFound`, `InvalidOrder`, `InvalidQuantity` and `PriceOutOfBand`. Whether the order is open, trades
    and can be paid for, the sequencer decides.
    """
    order = get_own_order(command.party_id, command.order_id)
    return submit(draft_amendment(command, order, read_terms(order), actor=actor), now=now)


def read_terms(order: OwnOrder) -> ContractTerms:
    """The terms of an order's contract."""
    return contract_terms(Contract.objects.select_related("product", "terms").get(id=order.contract_id))


def draft_amendment(command: AmendOrder, order: OwnOrder, terms: ContractTerms, *, actor: str) -> Submission:
    """The command as it will stand in the line. Raises what `amend_order` does of the order itself."""
    if order.side is not Side.BUY:
        raise InvalidOrder("An offer's order is changed through its offer.", field="order_id")
    if command.price_ticks is None and command.lots is None:
        raise InvalidOrder("Say what to change: price, lots or both.", field="price")
    if command.lots:
        rules.check_lots(command.lots)  # none at all closes the order
    if command.price_ticks is not None:
        rules.check_price(terms, command.price_ticks)
    return Submission(
        kind=IntakeKind.AMEND_ORDER,
        contract_id=order.contract_id,
        party_id=command.party_id,
        actor=actor,
        payload={
            "order_id": command.order_id,
            "price_ticks": command.price_ticks,
            "lots": command.lots,
        },
    )
