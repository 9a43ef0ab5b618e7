"""Sell orders of providers that may not sell the product any more: they leave the book."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from exchange.matching.events import CloseReason
from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import Side
from exchange.models import IntakeKind, Order
from exchange.qualifications import in_force
from exchange.sequencer.intake import Submission, lock_line, submit_all, waiting_commands


def cancel_unqualified_orders(*, actor: str, now: datetime) -> list[int]:
    """Put a cancel into the line for every such order that has none there yet; returns the cancels' numbers."""
    if not _unqualified(now).exists():
        return []
    lock_line()
    waiting = waiting_commands().filter(kind=IntakeKind.CANCEL_ORDER)
    already = set(waiting.values_list("payload__order_id", flat=True))
    orders = _unqualified(now).order_by("id").values_list("id", "contract_id", "party_id")
    cancels = [
        Submission(
            IntakeKind.CANCEL_ORDER,
            contract_id,
            actor,
            {"order_id": order_id, "close_reason": CloseReason.WITHDRAWN.value},
            party_id,
        )
        for order_id, contract_id, party_id in orders
        if order_id not in already
    ]
    return submit_all(cancels, now=now)


def _unqualified(now: datetime) -> QuerySet[Order]:
    qualified = in_force(now).filter(provider_id=OuterRef("party_id"), product__contracts=OuterRef("contract_id"))
    return Order.objects.filter(~Exists(qualified), status=OrderStatus.OPEN, side=Side.SELL)
