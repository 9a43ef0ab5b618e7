"""The shapes of market data over time, and over contracts, outside."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import serializers

from exchange.api.fields import LengthField, TicksField
from exchange.api.market_serializers import LevelsField
from exchange.market_data.intervals import Interval
from exchange.models import ContractState
from exchange.selectors.book_deltas import DeltasView, DeltaTrade, DeltaView
from exchange.selectors.candles import FIRST_INSTANT, LAST_INSTANT, CandlesView, StatisticsView
from ledger.api.fields import CountField, MicrosField, StrictSerializer
from ledger.api.filters import InstantField

CANDLES, CANDLES_MAX = 200, 1_000
DELTAS, DELTAS_MAX = 200, 1_000


class InstantQueryField(serializers.DateTimeField):
    """An instant of a query, read as everywhere else."""

    def to_internal_value(self, value: Any) -> Any:
        try:
            return InstantField().clean(value)
        except ValidationError as error:
            raise serializers.ValidationError(error.messages) from None


class DeltasQuerySerializer(StrictSerializer):
    """From where deltas are asked for."""

    after = CountField(help_text="The `sequence` that you have: of a book, or of the last delta.")
    limit = CountField(
        minimum=1, maximum=DELTAS_MAX, default=DELTAS, help_text=f"1 to {DELTAS_MAX}; {DELTAS} unless told."
    )


class CandlesQuerySerializer(StrictSerializer):
    """Which candles are asked for."""

    interval = serializers.ChoiceField(choices=[each.value for each in Interval])
    start_from = InstantQueryField(default=FIRST_INSTANT, help_text="Candles that begin then or later.")
    start_before = InstantQueryField(default=LAST_INSTANT, help_text="Candles that begin earlier.")
    limit = CountField(
        minimum=1, maximum=CANDLES_MAX, default=CANDLES, help_text=f"1 to {CANDLES_MAX}; {CANDLES} unless told."
    )


class DeltaTradeSerializer(serializers.Serializer[DeltaTrade]):
    """A trade, as part of a change of the book."""

    trade_no = CountField(help_text="Without gaps in the contract.")
    price = TicksField()
    lots = CountField()
    taker_side = serializers.CharField(help_text="Side of the order that came later.")


class DeltaSerializer(serializers.Serializer[DeltaView]):
    """One change of a book: the levels that moved, as they are after it (0 lots: gone), and what traded.

    `busted` names trades that were taken back: they count nowhere any more. Orders stay as the trades left them.
    """

    sequence = CountField(help_text="One more than that of the change before, always.")
    moved_at = serializers.DateTimeField()
    bids = LevelsField("bids")
    asks = LevelsField("asks")
    trades = DeltaTradeSerializer(many=True)
    busted = serializers.ListField(child=CountField(), help_text="The `trade_no` of earlier trades taken back.")


class DeltasSerializer(serializers.Serializer[DeltasView]):
    """Changes of a book, oldest first. You are up to date when the last one has the `sequence` of the book."""

    contract = serializers.CharField(source="symbol")
    sequence = CountField(source="book_seq", help_text="Of the book as it is now.")
    items = DeltaSerializer(source="deltas", many=True)


class FiguresSerializer(serializers.Serializer[Any]):
    """What some trades came to; trades that were taken back are left out."""

    open = TicksField("open_ticks")
    high = TicksField("high_ticks")
    low = TicksField("low_ticks")
    close = TicksField("close_ticks")
    vwap = MicrosField(source="vwap_micros", help_text="Notional over tokens, per million, rounded down to micros.")
    lots = CountField()
    tokens = CountField()
    notional = MicrosField(source="notional_micros")
    trades = CountField()


class CandleSerializer(FiguresSerializer):
    """The trades of one interval, aligned to UTC."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()


class CandlesSerializer(serializers.Serializer[CandlesView]):
    """Candles, newest first. There is none where nothing traded."""

    contract = serializers.CharField(source="symbol")
    interval = serializers.ChoiceField(choices=[each.value for each in Interval])
    items = CandleSerializer(source="candles", many=True)
    next_before = serializers.DateTimeField(
        allow_null=True, help_text="Send it as `start_before` for older ones; null when there are none."
    )


class StatisticsSerializer(serializers.Serializer[StatisticsView]):
    """A contract's last 24 hours, to the instant."""

    contract = serializers.CharField(source="symbol")
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    figures = FiguresSerializer(allow_null=True, help_text="Null when nothing traded.")


class QuoteSerializer(serializers.Serializer[Any]):
    """The best price of a side."""

    price = TicksField()
    lots = CountField()


class QuotesSerializer(serializers.Serializer[Any]):
    """The best of both sides of a contract, as of the `sequence` of its book."""

    contract = serializers.CharField(source="contract.symbol")
    state = serializers.ChoiceField(source="contract.state", choices=ContractState.choices)
    sequence = CountField()
    bid = QuoteSerializer(allow_null=True)
    ask = QuoteSerializer(allow_null=True)
    last_price = TicksField("last_price_ticks")


class PurchaseSerializer(serializers.Serializer[Any]):
    """Buying at once, by price and then time, before fees."""

    lots = CountField()
    price = MicrosField(source="price_micros", help_text="Average per million contract tokens, rounded up to micros.")
    limit_price = TicksField("limit_ticks", help_text="Of the last lot: what a limit order would have to bid.")
    notional = MicrosField(source="notional_micros", help_text="Exact.")


class CurvePointSerializer(QuotesSerializer):
    """A delivery window of a product, its best prices, and what the wanted lots would cost in it."""

    window = LengthField(source="contract.window_seconds")
    delivery_start = serializers.DateTimeField(source="contract.delivery_start")
    delivery_end = serializers.DateTimeField(source="contract.delivery_end")
    asked_lots = CountField(help_text="All that is asked, at any price.")
    buy = PurchaseSerializer(allow_null=True, help_text="Null when fewer lots are asked.")
