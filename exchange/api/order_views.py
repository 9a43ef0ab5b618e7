"""A party's orders and fills."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from exchange.api import placing
from exchange.api.filters import FillFilter, OrderFilter
from exchange.api.order_serializers import (
    AmendedOrderSerializer,
    AmendmentSerializer,
    CancelledAllSerializer,
    CancelledOrderSerializer,
    ExpectedOrderSerializer,
    FillSerializer,
    NewOrderSerializer,
    OrderSerializer,
    PendingSerializer,
    PlacedOrderSerializer,
)
from exchange.api.rows import fills_of, orders_of
from exchange.clearing.terms import ContractTerms
from exchange.commands.amend_order import amend_order, read_terms
from exchange.commands.cancel_all import CancelAll, cancel_all
from exchange.commands.cancel_order import CancelOrder, cancel_order
from exchange.commands.place_order import PlaceOrder, place_order
from exchange.commands.send_orders import try_orders
from exchange.dry_run import Trial
from exchange.errors import ClientOrderIdConflict, OutcomePending
from exchange.models import Fill, Order
from exchange.rows import contract_terms, find_contract
from exchange.selectors.orders import find_order_by_client_id, get_order
from exchange.selectors.own_orders import get_order_id, get_own_order
from exchange.sequencer.intake import Submitted
from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView, refuse_unknown_parameters
from ledger.api.errors import InvalidRequest
from ledger.api.idempotency import IDEMPOTENCY_KEY, answer_once
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope

READING = (Scope.READ, Scope.TRADE)
SYMBOL = "QWEN3-235B.CN-EAST.STD@20261201T14/1H"
ORDER_ID = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)
CLIENT_ORDER_ID = OpenApiParameter("client_order_id", str, OpenApiParameter.PATH)
DRY_RUN = OpenApiParameter("dry_run", bool, description="Only tell what it would come to.")


def _example(name: str, **order: Any) -> OpenApiExample:
    return OpenApiExample(name, value={"contract": SYMBOL, "side": "buy", **order}, request_only=True)


ORDER_EXAMPLES = [
    _example(
        "what one lot can be had for at once", price="4.200000", lots="1", time_in_force="ioc", client_order_id="o-1"
    ),
    _example(
        "wait in the queue for half an hour, never take what is offered",
        price="4.100000",
        lots="20",
        time_in_force="gtd",
        expires_at="2026-12-01T10:30:00Z",
        post_only="reprice",
        client_order_id="o-2",
    ),
    _example("spend fifty at the market", type="market", budget="50.000000", client_order_id="o-3"),
    _example("ten lots or none", price="4.300000", lots="10", time_in_force="fok", client_order_id="o-4"),
]
AMENDMENT_EXAMPLE = OpenApiExample("ask for less", value={"lots": "5"}, request_only=True)


class OrdersView(PartyView, PageView[Order]):
    """Orders."""

    scopes: ClassVar = {"GET": READING, "POST": (Scope.TRADE,), "DELETE": (Scope.TRADE,)}
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
        parameters=[DRY_RUN],
        request=NewOrderSerializer,
        examples=ORDER_EXAMPLES,
        responses={201: PlacedOrderSerializer, 200: PlacedOrderSerializer, 202: PendingSerializer}
        | refusals(400, 401, 403, 404, 409, 422, 503),
    )
    def post(self, request: Request) -> Response:
        """Place an order and get its final result, fills included.

        The same `client_order_id` with the same content gets the first answer again (200), with other content 409
        `client_order_id_conflict`. Without a result after 5 seconds the answer is 202 and the order's address.

        With `dry_run=true` nothing is recorded or claimed: the answer (200, without `order_id`) is what the order would
        come to if it were decided now, with `required_hold` and `hold`, and the refusals are those it would meet. An
        order that has been placed already gets its result.
        """
        body = NewOrderSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        caller, now, dry_run = caller_of(request), get_clock().now(), wants_dry_run(request)
        terms = contract_terms(find_contract(body.validated_data["contract"]))
        command = placing.order_command(caller.party_id, body.validated_data, terms)
        try:
            if dry_run:
                return self._try(command, terms, caller.actor, now)
            return self._answer(command, terms, place_order(command, actor=caller.actor, now=now))
        except ClientOrderIdConflict as conflict:
            raise placing.in_outside_words(conflict) from None

    def _answer(self, command: PlaceOrder, terms: ContractTerms, submitted: Submitted) -> Response:
        address = order_address(submitted.seq)
        try:
            result = placing.outcome(submitted.seq, order_id=str(submitted.seq))
        except OutcomePending as pending:
            return pending_answer(pending, address)
        content = PlacedOrderSerializer(placing.placed_figures(command, terms, result)).data
        return Response(content, status=200 if submitted.repeated else 201, headers={"Location": address})

    def _try(self, command: PlaceOrder, terms: ContractTerms, actor: str, now: datetime) -> Response:
        (tried,) = try_orders([command], party_id=command.party_id, actor=actor, now=now)
        match tried:
            case Trial():
                return Response(ExpectedOrderSerializer(placing.expected_figures(command, terms, tried)).data)
            case Submitted():
                return self._answer(command, terms, tried)
        raise tried

    @extend_schema(
        tags=["orders"],
        operation_id="cancel_all_orders",
        parameters=[OpenApiParameter("contract", str, description="Symbol; only orders of this contract.")],
        responses={200: CancelledAllSerializer, 202: PendingSerializer} | refusals(400, 401, 403, 404, 503),
    )
    def delete(self, request: Request) -> Response:
        """Cancel all open orders of the party, or those in one contract. A repeat finds none and says so."""
        refuse_unknown_parameters(request, {"contract"})
        caller, symbol = caller_of(request), request.query_params.get("contract")
        seqs = cancel_all(CancelAll(caller.party_id, symbol), actor=caller.actor, now=get_clock().now())
        results = placing.outcomes(seqs)
        try:
            cancelled = sum(placing.settled(results.get(seq))["cancelled_orders"] for seq in seqs)
        except OutcomePending as pending:
            return pending_answer(pending, "/api/v1/orders?status=open")
        return Response(CancelledAllSerializer({"cancelled_orders": cancelled}).data)


class OrderView(PartyView):
    """One order."""

    scopes: ClassVar = {"GET": READING, "PATCH": (Scope.TRADE,), "DELETE": (Scope.TRADE,)}

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
        operation_id="amend_order",
        parameters=[ORDER_ID, IDEMPOTENCY_KEY],
        request=AmendmentSerializer,
        examples=[AMENDMENT_EXAMPLE],
        responses={200: AmendedOrderSerializer, 202: PendingSerializer} | refusals(400, 401, 403, 404, 409, 422, 503),
    )
    def patch(self, request: Request, id: int) -> Response:
        """Change the price or the whole quantity of an open order; what is left out stays as it is now.

        A smaller quantity alone keeps its place in the queue; anything else goes to the end of it, and may trade. A
        quantity that is filled already closes the order. What is refused changes nothing.
        """
        body = AmendmentSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        caller, now = caller_of(request), get_clock().now()
        terms = read_terms(get_own_order(caller.party_id, id))
        command = placing.amend_command(caller.party_id, id, body.validated_data, terms)
        content = {"order_id": str(id), **body.validated_data}
        kept = answer_once(
            request,
            "amend_order",
            content,
            lambda: {"seq": amend_order(command, actor=caller.actor, now=now).seq},
            now=now,
        )
        try:
            result = placing.outcome(kept.content["seq"], order_id=str(id))
        except OutcomePending as pending:
            return pending_answer(pending, order_address(id))
        return Response(AmendedOrderSerializer(placing.amended_figures(terms, result)).data)

    @extend_schema(
        tags=["orders"],
        operation_id="cancel_order",
        parameters=[ORDER_ID],
        responses={200: CancelledOrderSerializer, 202: PendingSerializer} | refusals(401, 403, 404, 409, 503),
    )
    def delete(self, request: Request, id: int) -> Response:
        """Take what is left of an order out of the book. One that is closed already is 409 `order_not_open`."""
        return cancel(request, id)


class OrderByClientIdView(PartyView):
    """One order, by the party's own name for it."""

    scopes: ClassVar = {"GET": READING, "DELETE": (Scope.TRADE,)}

    @extend_schema(
        tags=["orders"],
        operation_id="get_order_by_client_id",
        parameters=[CLIENT_ORDER_ID],
        responses={200: OrderSerializer} | refusals(401, 403, 404),
    )
    def get(self, request: Request, client_order_id: str) -> Response:
        """An order as it stands; `pending` until it is decided."""
        order = find_order_by_client_id(caller_of(request).party_id, client_order_id)
        return Response(OrderSerializer(order).data)

    @extend_schema(
        tags=["orders"],
        operation_id="cancel_order_by_client_id",
        parameters=[CLIENT_ORDER_ID],
        responses={200: CancelledOrderSerializer, 202: PendingSerializer} | refusals(401, 403, 404, 409, 503),
    )
    def delete(self, request: Request, client_order_id: str) -> Response:
        """Take what is left of an order out of the book. One that is closed already is 409 `order_not_open`."""
        return cancel(request, get_order_id(caller_of(request).party_id, client_order_id))


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


def cancel(request: Request, order_id: int) -> Response:
    """Cancel an own order and answer with what came of it."""
    caller = caller_of(request)
    cancel = cancel_order(CancelOrder(caller.party_id, order_id), actor=caller.actor, now=get_clock().now())
    try:
        result = placing.outcome(cancel.seq, order_id=str(order_id))
    except OutcomePending as pending:
        return pending_answer(pending, order_address(order_id))
    return Response(CancelledOrderSerializer(placing.cancelled_figures(result)).data)


def wants_dry_run(request: Request) -> bool:
    """The `dry_run` parameter, the only one that may be there. Raises `InvalidRequest`."""
    refuse_unknown_parameters(request, {"dry_run"})
    asked = request.query_params.get("dry_run", "false")
    if asked not in ("true", "false"):
        errors = [{"field": "dry_run", "detail": "Send true or false."}]
        raise InvalidRequest("The request is not valid: dry_run.", errors=errors)
    return asked == "true"


def order_address(order_id: object) -> str:
    return f"/api/v1/orders/{order_id}"


def pending_answer(pending: OutcomePending, address: str) -> Response:
    """202: recorded, not decided; nobody should send it again under another name."""
    content = PendingSerializer(placing.pending_figures(pending)).data
    return Response(content, status=202, headers={"Location": address})
