"""Public market data. No key is needed, and none is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from exchange.api.filters import ContractFilter, OfferFilter
from exchange.api.market_serializers import (
    BookSerializer,
    ContractSerializer,
    OfferSerializer,
    ProductSerializer,
    ProductsSerializer,
    TradeSerializer,
)
from exchange.api.rows import offers, trades_of
from exchange.models import Contract, Fill, Offer
from exchange.rows import find_contract
from exchange.selectors.market import get_book, get_contract, list_contracts
from exchange.selectors.products import get_product, list_products
from ledger.api.base import PageView, PublicView
from ledger.api.schema import refusals
from ledger.money import parse_count

DEPTH, DEPTH_MAX = 20, 10_000
SYMBOL = OpenApiParameter("symbol", str, OpenApiParameter.PATH, description="The slash in it may be sent as it is.")


class ProductsView(PublicView):
    """Products."""

    @extend_schema(tags=["market"], operation_id="list_products", responses=ProductsSerializer, auth=[])
    def get(self, request: Request) -> Response:
        """All products, with the latest version of their terms."""
        return Response(ProductsSerializer({"items": list_products()}).data)


class ProductView(PublicView):
    """One product."""

    @extend_schema(
        tags=["market"],
        operation_id="get_product",
        parameters=[OpenApiParameter("code", str, OpenApiParameter.PATH)],
        responses={200: ProductSerializer} | refusals(404),
        auth=[],
    )
    def get(self, request: Request, code: str) -> Response:
        """A product with the latest version of its terms."""
        return Response(ProductSerializer(get_product(code)).data)


class ContractsView(PublicView, PageView[Contract]):
    """Contracts."""

    serializer_class = ContractSerializer  # type: ignore[assignment]  # renders the rows' views
    filterset_class = ContractFilter
    page_order: ClassVar = ("delivery_start", "id")

    def get_queryset(self) -> QuerySet[Contract]:
        return Contract.objects.all()

    def rendered(self, page: Sequence[Contract]) -> Any:
        views = {view.id: view for view in list_contracts(ids=[row.pk for row in page])}
        return [views[row.pk] for row in page]

    @extend_schema(tags=["market"], operation_id="list_contracts", responses=refusals(400), auth=[])
    def get(self, request: Request) -> Response:
        """Contracts, by start of delivery."""
        return self.list(request)


class ContractView(PublicView):
    """One contract."""

    @extend_schema(
        tags=["market"],
        operation_id="get_contract",
        parameters=[SYMBOL],
        responses={200: ContractSerializer} | refusals(404),
        auth=[],
    )
    def get(self, request: Request, symbol: str) -> Response:
        """A contract with its state, gates, price band and last price."""
        return Response(ContractSerializer(get_contract(symbol)).data)


class BookView(PublicView):
    """The book of a contract."""

    @extend_schema(
        tags=["market"],
        operation_id="get_book",
        parameters=[
            SYMBOL,
            OpenApiParameter("depth", int, description=f"Levels of each side, 1 to {DEPTH_MAX}; {DEPTH} unless told."),
        ],
        responses={200: BookSerializer} | refusals(400, 404),
        auth=[],
    )
    def get(self, request: Request, symbol: str) -> Response:
        """What waits at the best prices of both sides. Anonymous."""
        depth = parse_count(request.query_params.get("depth", DEPTH), field="depth", minimum=1, maximum=DEPTH_MAX)
        return Response(BookSerializer(get_book(symbol, depth)).data)


class TradesView(PublicView, PageView[Fill]):
    """The trades of a contract."""

    serializer_class = TradeSerializer
    page_order: ClassVar = ("-trade_no",)

    def get_queryset(self) -> QuerySet[Fill]:
        return trades_of(find_contract(self.kwargs["symbol"]))

    @extend_schema(
        tags=["market"], operation_id="list_trades", parameters=[SYMBOL], responses=refusals(400, 404), auth=[]
    )
    def get(self, request: Request, symbol: str) -> Response:
        """Trades, newest first. Their numbers have no gaps."""
        return self.list(request)


class OffersView(PublicView, PageView[Offer]):
    """Offers."""

    serializer_class = OfferSerializer
    filterset_class = OfferFilter

    def get_queryset(self) -> QuerySet[Offer]:
        return offers()

    @extend_schema(tags=["market"], operation_id="list_offers", responses=refusals(400), auth=[])
    def get(self, request: Request) -> Response:
        """Providers' offers, newest first."""
        return self.list(request)
