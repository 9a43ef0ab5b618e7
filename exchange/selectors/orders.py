"""A party's own orders and fills. The other side of a fill is not named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from exchange.errors import OrderNotFound
from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import OrderType, PostOnly, SelfTrade, Side, TimeInForce
from exchange.models import Contract, Fill, Intake, IntakeKind, IntakeResult, Order
from exchange.rows import product_terms
from exchange.selectors.own_orders import asked_budget, get_order_id

MAX_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as its owner sees it; `pending` until the sequencer has decided it.

    `close_reason` says why it is over; for a rejected order it is the code of the refusal.
    """

    id: int
    symbol: str
    party_id: int
    side: Side
    price_ticks: int
    tick_micros: int
    lots: int
    remaining_lots: int
    order_type: OrderType
    budget_micros: int | None
    time_in_force: TimeInForce
    expires_at: datetime | None
    post_only: PostOnly
    self_trade: SelfTrade
    overage_permille: int
    status: OrderStatus
    close_reason: str
    client_order_id: str | None
    offer_id: int | None
    placed_at: datetime
    closed_at: datetime | None

    @property
    def filled_lots(self) -> int:
        return self.lots - self.remaining_lots


@dataclass(frozen=True, slots=True)
class FillView:
    """A fill from one party's side. Amounts in micros; `fee` is 0 for the provider, whose fee is taken at pay-out."""

    id: int
    symbol: str
    trade_no: int
    order_id: int
    side: Side
    price_ticks: int
    tick_micros: int
    lots: int
    tokens: int
    notional: int
    fee: int
    executed_at: datetime


@dataclass(frozen=True, slots=True)
class _Names:
    symbol: str
    tick_micros: int


def list_orders(
    party_id: int | None = None,
    *,
    symbol: str | None = None,
    status: OrderStatus | None = None,
    offer_id: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[OrderView]:
    """Decided orders, newest first; of one party, or of all for an operator. `before` an order id, to page on."""
    rows = _orders().order_by("-id")
    if party_id is not None:
        rows = rows.filter(party_id=party_id)
    if symbol is not None:
        rows = rows.filter(contract_id__in=Contract.objects.filter(symbol=symbol).values("id"))
    if status is not None:
        rows = rows.filter(status=status)
    if offer_id is not None:
        rows = rows.filter(offer_id=offer_id)
    if before is not None:
        rows = rows.filter(id__lt=before)
    found = list(rows[: min(limit, MAX_PAGE)])
    names = _names(row.contract_id for row in found)
    return [_view(row, names[row.contract_id]) for row in found]


def get_order(party_id: int, order_id: int) -> OrderView:
    """An own order, decided or not; one that could not be processed is rejected.

    Raises `OrderNotFound`, also for somebody else's.
    """
    row = _orders().filter(id=order_id, party_id=party_id).first()
    if row is not None:
        return _view(row, _names([row.contract_id])[row.contract_id])
    placed = Intake.objects.filter(seq=order_id, kind=IntakeKind.PLACE_ORDER, party_id=party_id).first()
    if placed is None or placed.contract_id is None:
        raise OrderNotFound(f"There is no order {order_id}.", order_id=str(order_id))
    failures = IntakeResult.objects.filter(seq=order_id, result__status="failed").values_list("result__code", flat=True)
    return _without_row(placed, party_id, _names([placed.contract_id])[placed.contract_id], failures.first())


def find_order_by_client_id(party_id: int, client_order_id: str) -> OrderView:
    """An own order by the id its owner gave it. Raises `OrderNotFound`."""
    return get_order(party_id, get_order_id(party_id, client_order_id))


def list_fills(
    party_id: int,
    *,
    symbol: str | None = None,
    order_id: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[FillView]:
    """A party's fills, newest first; `before` a fill id, to page on."""
    rows = Fill.objects.filter(Q(buyer_id=party_id) | Q(provider_id=party_id)).order_by("-id")
    if symbol is not None:
        rows = rows.filter(contract_id__in=Contract.objects.filter(symbol=symbol).values("id"))
    if order_id is not None:
        rows = rows.filter(Q(buy_order_id=order_id) | Q(sell_order_id=order_id))
    if before is not None:
        rows = rows.filter(id__lt=before)
    found = list(rows[: min(limit, MAX_PAGE)])
    names = _names(row.contract_id for row in found)
    return [_fill(row, names[row.contract_id], party_id) for row in found]


def _orders() -> QuerySet[Order]:
    return Order.objects.annotate(budget_micros=asked_budget())


def _names(contract_ids: Iterable[int]) -> dict[int, _Names]:
    contracts = Contract.objects.select_related("terms").filter(id__in=set(contract_ids))
    return {contract.id: _Names(contract.symbol, product_terms(contract).tick_micros) for contract in contracts}


def _view(row: Any, names: _Names) -> OrderView:
    return OrderView(
        id=row.id,
        symbol=names.symbol,
        party_id=row.party_id,
        side=Side(row.side),
        price_ticks=row.price_ticks,
        tick_micros=names.tick_micros,
        lots=row.lots,
        remaining_lots=row.remaining_lots,
        order_type=OrderType(row.order_type),
        budget_micros=row.budget_micros,
        time_in_force=TimeInForce(row.time_in_force),
        expires_at=row.expires_at,
        post_only=PostOnly(row.post_only),
        self_trade=SelfTrade(row.self_trade),
        overage_permille=row.overage_permille,
        status=OrderStatus(row.status),
        close_reason=row.close_reason,
        client_order_id=row.client_order_id,
        offer_id=row.offer_id,
        placed_at=row.placed_at,
        closed_at=row.closed_at,
    )


def _without_row(placed: Intake, party_id: int, names: _Names, failure: str | None) -> OrderView:
    payload: dict[str, Any] = placed.payload
    return OrderView(
        id=placed.seq,
        symbol=names.symbol,
        party_id=party_id,
        side=Side(payload["side"]),
        price_ticks=payload["price_ticks"],
        tick_micros=names.tick_micros,
        lots=payload["lots"],
        remaining_lots=payload["lots"],
        order_type=OrderType(payload.get("order_type", OrderType.LIMIT)),
        budget_micros=payload.get("budget_micros"),
        time_in_force=TimeInForce(payload["time_in_force"]),
        expires_at=datetime.fromisoformat(payload["expires_at"]) if payload.get("expires_at") else None,
        post_only=PostOnly(payload.get("post_only", PostOnly.NO)),
        self_trade=SelfTrade(payload.get("self_trade", SelfTrade.CANCEL_NEWEST)),
        overage_permille=payload["overage_permille"],
        status=OrderStatus.PENDING if failure is None else OrderStatus.REJECTED,
        close_reason=failure or "",
        client_order_id=placed.client_order_id,
        offer_id=payload.get("offer_id"),
        placed_at=placed.received_at,
        closed_at=None,
    )


def _fill(row: Fill, names: _Names, party_id: int) -> FillView:
    bought = row.buyer_id == party_id
    return FillView(
        id=row.id,
        symbol=names.symbol,
        trade_no=row.trade_no,
        order_id=row.buy_order_id if bought else row.sell_order_id,
        side=Side.BUY if bought else Side.SELL,
        price_ticks=row.price_ticks,
        tick_micros=names.tick_micros,
        lots=row.lots,
        tokens=row.tokens,
        notional=row.notional,
        fee=row.buyer_fee if bought else 0,
        executed_at=row.executed_at,
    )
