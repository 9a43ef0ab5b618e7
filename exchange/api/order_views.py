"""A party's orders and fills."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from exchange.api.filters import FillFilter, OrderFilter
from exchange.api.order_serializers import (
    CancelledOrderSerializer,
    FillSerializer,
    NewOrderSerializer,
    OrderSerializer,
    PendingSerializer,
    PlacedOrderSerializer,
)
from exchange.api.placing import cancel_own_order, place_buy_order
from exchange.api.rows import fills_of, orders_of
from exchange.errors import OutcomePending
from exchange.matching.lifecycle import OrderStatus
from exchange.models import Fill, Order
from exchange.selectors.orders import find_order_by_client_id, get_order
from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope

READING = (Scope.READ, Scope.TRADE)
ORDER_EXAMPLE = OpenApiExample(
    "one lot at once or not at all",
    value={
        "contract": "QWEN3-235B.CN-EAST.STD@20261201T14/1H",
        "side": "buy",
        "price": "4.200000",
        "lots": "1",
        "time_in_force": "ioc",
        "client_order_id": "my-first-order",
    },
    request_only=True,
)
ORDER_ID = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)


class OrdersView(PartyView, PageView[Order]):
    """Orders."""

    scopes: ClassVar = {"GET": READING, "POST": (Scope.TRADE,)}
    serializer_class = OrderSerializer
    filterset_class = OrderFilter

    def get_queryset(self) -> QuerySet[Order]:
        return orders_of(caller_of(self.request).party_id)

    @extend_schema(tags=["orders"], operation_id="list_orders", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """The party's decided orders, newest first."""
        return self.list(request)

    @extend_schema(
        tags=["orders"],
        operation_id="place_order",
        request=NewOrderSerializer,
        examples=[ORDER_EXAMPLE],
        responses={201: PlacedOrderSerializer, 200: PlacedOrderSerializer, 202: PendingSerializer}
        | refusals(400, 401, 403, 404, 409, 422, 503),
    )
    def post(self, request: Request) -> Response:
        """Place an order and get its final result, fills included.

        The same `client_order_id` with the same content gets the first answer again (200), with other content 409
        `client_order_id_conflict`. Without a result after 5 seconds the answer is 202 and the order's address.
        """
        body = NewOrderSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            placed = place_buy_order(caller_of(request), body.validated_data, now=get_clock().now())
        except OutcomePending as pending:
            return pending_answer(pending)
        location = {"Location": order_address(placed.answer["order_id"])}
        status = 200 if placed.repeated else 201
        return Response(PlacedOrderSerializer(placed.answer).data, status=status, headers=location)


class OrderView(PartyView):
    """One order."""

    scopes: ClassVar = {"GET": READING, "DELETE": (Scope.TRADE,)}

    @extend_schema(
        tags=["orders"],
        operation_id="get_order",
        parameters=[ORDER_ID],
        responses={200: OrderSerializer} | refusals(401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """An order as it stands; `pending` until it is decided."""
        return Response(OrderSerializer(get_order(caller_of(request).party_id, id)).data)

    @extend_schema(
        tags=["orders"],
        operation_id="cancel_order",
        parameters=[ORDER_ID],
        responses={200: CancelledOrderSerializer, 202: PendingSerializer} | refusals(401, 403, 404, 409, 503),
    )
    def delete(self, request: Request, id: int) -> Response:
        """Take what is left of an order out of the book. One that is closed already is 409 `order_not_open`."""
        try:
            cancelled = cancel_own_order(caller_of(request), id, now=get_clock().now())
        except OutcomePending as pending:
            return pending_answer(pending)
        return Response(CancelledOrderSerializer(cancelled).data)


class OrderByClientIdView(PartyView):
    """One order, by the party's own name for it."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["orders"],
        operation_id="get_order_by_client_id",
        parameters=[OpenApiParameter("client_order_id", str, OpenApiParameter.PATH)],
        responses={200: OrderSerializer} | refusals(401, 403, 404),
    )
    def get(self, request: Request, client_order_id: str) -> Response:
        """An order as it stands; `pending` until it is decided."""
        order = find_order_by_client_id(caller_of(request).party_id, client_order_id)
        return Response(OrderSerializer(order).data)


class FillsView(PartyView, PageView[Fill]):
    """Fills."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = FillSerializer
    filterset_class = FillFilter

    def get_queryset(self) -> QuerySet[Fill]:
        return fills_of(caller_of(self.request).party_id)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "party_id": caller_of(self.request).party_id}

    @extend_schema(tags=["orders"], operation_id="list_fills", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """The party's fills, newest first."""
        return self.list(request)


def order_address(order_id: object) -> str:
    return f"/api/v1/orders/{order_id}"


def pending_answer(pending: OutcomePending) -> Response:
    """202: recorded, not decided; nobody should send it again under another name."""
    order_id = pending.fields["order_id"]
    content = {"code": pending.code, "order_id": order_id, "status": OrderStatus.PENDING.value}
    return Response(PendingSerializer(content).data, status=202, headers={"Location": order_address(order_id)})
