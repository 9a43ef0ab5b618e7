"""Routes of the exchange, below `/api/v1/`."""

from __future__ import annotations

from django.urls import path, register_converter

from exchange.api import batch_views as batches
from exchange.api import market_data_views as market_data
from exchange.api import market_views as market
from exchange.api import order_views as orders
from exchange.api import protection_views as protection
from exchange.api import sequencer_views as sequencers
from exchange.api.fees import FeesView, OwnFeesView
from exchange.api.positions import ContractPositionsView, PositionsView


class Symbol:
    """A contract's symbol, whose slash is part of it: `PRODUCT@START/LENGTH`."""

    regex = r"[^/\x00]{1,80}(?:/[^/\x00]{1,10})?"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class Name:
    """A product's code or a client_order_id."""

    regex = r"[A-Za-z0-9._:-]{1,64}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(Symbol, "symbol")
register_converter(Name, "name")

urlpatterns = [
    path("products", market.ProductsView.as_view(), name="api-products"),
    path("products/<name:code>", market.ProductView.as_view(), name="api-product"),
    path("products/<name:code>/curve", market_data.CurveView.as_view(), name="api-curve"),
    path("contracts", market.ContractsView.as_view(), name="api-contracts"),
    # These come first: a symbol may end in a slash and a word.
    path("contracts/<symbol:symbol>/book", market.BookView.as_view(), name="api-book"),
    path("contracts/<symbol:symbol>/book/deltas", market_data.DeltasView.as_view(), name="api-book-deltas"),
    path("contracts/<symbol:symbol>/trades", market.TradesView.as_view(), name="api-trades"),
    path("contracts/<symbol:symbol>/candles", market_data.CandlesView.as_view(), name="api-candles"),
    path("contracts/<symbol:symbol>/statistics", market_data.StatisticsView.as_view(), name="api-statistics"),
    path("contracts/<symbol:symbol>", market.ContractView.as_view(), name="api-contract"),
    path("quotes", market_data.QuotesView.as_view(), name="api-quotes"),
    path("offers", market.OffersView.as_view(), name="api-offers"),
    path("orders", orders.OrdersView.as_view(), name="api-orders"),
    path("orders/batch", batches.OrderBatchView.as_view(), name="api-order-batch"),
    path("orders/<int:id>", orders.OrderView.as_view(), name="api-order"),
    path(
        "orders/by-client-id/<name:client_order_id>",
        orders.OrderByClientIdView.as_view(),
        name="api-order-by-client-id",
    ),
    path("prevented-matches", protection.PreventedMatchesView.as_view(), name="api-prevented-matches"),
    path("dead-man-switch", protection.DeadManSwitchView.as_view(), name="api-dead-man-switch"),
    path("fees", FeesView.as_view(), name="api-fees"),
    path("fees/own", OwnFeesView.as_view(), name="api-own-fees"),
    path("fills", orders.FillsView.as_view(), name="api-fills"),
    path("sequencer", sequencers.SequencersView.as_view(), name="api-sequencers"),
    path("sequencer/metrics", sequencers.SequencerMetricsView.as_view(), name="api-sequencer-metrics"),
    path("positions", PositionsView.as_view(), name="api-positions"),
    path("positions/<symbol:symbol>", ContractPositionsView.as_view(), name="api-contract-positions"),
]
