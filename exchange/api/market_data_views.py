"""Market data over time and over contracts: changes of the book, candles, statistics, quotes and curves. Public."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from exchange.api.filters import CurveFilter, QuoteFilter
from exchange.api.market_data_serializers import (
    CandlesQuerySerializer,
    CandlesSerializer,
    CurvePointSerializer,
    DeltasQuerySerializer,
    DeltasSerializer,
    QuotesSerializer,
    StatisticsSerializer,
)
from exchange.api.market_views import SYMBOL
from exchange.clearing.prices import parse_lots
from exchange.clearing.terms import MAX_ORDER_LOTS
from exchange.market_data.intervals import Interval
from exchange.models import Contract, ContractState
from exchange.rows import find_product
from exchange.selectors.book_deltas import list_deltas
from exchange.selectors.candles import get_statistics, list_candles
from exchange.selectors.quoted_contracts import list_quoted_contracts
from ledger.api.base import PageView, PublicView, refuse_unknown_parameters
from ledger.api.schema import refusals
from ledger.clock import get_clock

BEFORE_THE_GATE = (ContractState.LISTED, ContractState.TRADING, ContractState.HALTED)


class DeltasView(PublicView):
    """The changes of a contract's book."""

    @extend_schema(
        tags=["market"],
        operation_id="list_book_deltas",
        parameters=[SYMBOL, DeltasQuerySerializer],
        responses={200: DeltasSerializer} | refusals(400, 404, 409),
        auth=[],
    )
    def get(self, request: Request, symbol: str) -> Response:
        """What changed in the book after a `sequence`, oldest first and without gaps.

        With the book itself this keeps a copy up to date: fetch the book, then what came after its `sequence`, and
        repeat. `book_snapshot_needed` says that what you ask for is not kept: fetch the book again.
        """
        query = DeltasQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        return Response(DeltasSerializer(list_deltas(symbol, **query.validated_data)).data)


class CandlesView(PublicView):
    """The candles of a contract."""

    @extend_schema(
        tags=["market"],
        operation_id="list_candles",
        parameters=[SYMBOL, CandlesQuerySerializer],
        responses={200: CandlesSerializer} | refusals(400, 404),
        auth=[],
    )
    def get(self, request: Request, symbol: str) -> Response:
        """What traded in each interval, newest first, up to the last trade. Trades taken back are left out."""
        query = CandlesQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        candles = list_candles(
            symbol,
            Interval(asked["interval"]),
            since=asked["start_from"],
            before=asked["start_before"],
            limit=asked["limit"],
        )
        return Response(CandlesSerializer(candles).data)


class StatisticsView(PublicView):
    """What traded in a contract lately."""

    @extend_schema(
        tags=["market"],
        operation_id="get_statistics",
        parameters=[SYMBOL],
        responses={200: StatisticsSerializer} | refusals(400, 404),
        auth=[],
    )
    def get(self, request: Request, symbol: str) -> Response:
        """A contract's last 24 hours, to the instant. Trades that were taken back are left out."""
        refuse_unknown_parameters(request, ())
        return Response(StatisticsSerializer(get_statistics(symbol, get_clock().now())).data)


class QuotesView(PublicView, PageView[Contract]):
    """Best prices of many contracts."""

    serializer_class = QuotesSerializer  # renders the rows' views
    filterset_class = QuoteFilter
    page_order: ClassVar = ("delivery_start", "id")

    def get_queryset(self) -> QuerySet[Contract]:
        return Contract.objects.all()

    def rendered(self, page: Sequence[Contract]) -> Any:
        return _in_order_of(page, lots=1)

    @extend_schema(tags=["market"], operation_id="list_quotes", responses=refusals(400), auth=[])
    def get(self, request: Request) -> Response:
        """Best bid, best ask and last price of contracts, by start of delivery. A page shows one instant."""
        return self.list(request)


class CurveView(PublicView, PageView[Contract]):
    """Prices over the delivery windows of a product."""

    serializer_class = CurvePointSerializer  # renders the rows' views
    filterset_class = CurveFilter
    page_order: ClassVar = ("delivery_start", "id")
    own_parameters: ClassVar = ("lots",)

    def get_queryset(self) -> QuerySet[Contract]:
        return Contract.objects.filter(product=find_product(self.kwargs["code"]), state__in=BEFORE_THE_GATE)

    def rendered(self, page: Sequence[Contract]) -> Any:
        return _in_order_of(page, lots=parse_lots(self.request.GET.get("lots", "1")))

    @extend_schema(
        tags=["market"],
        operation_id="get_curve",
        parameters=[
            OpenApiParameter("code", str, OpenApiParameter.PATH),
            OpenApiParameter("lots", int, description=f"How many lots to price, 1 to {MAX_ORDER_LOTS}; 1 unless told."),
        ],
        responses=refusals(400, 404),
        auth=[],
    )
    def get(self, request: Request, code: str) -> Response:
        """One price ladder across the windows that can still be traded, by start of delivery.

        For each window its best prices, and what buying `lots` at once would cost. A page shows one instant.
        """
        return self.list(request)


def _in_order_of(page: Sequence[Contract], *, lots: int) -> Any:
    quoted = {each.contract.id: each for each in list_quoted_contracts([row.pk for row in page], lots=lots)}
    return [quoted[row.pk] for row in page]
