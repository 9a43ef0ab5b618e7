"""The shapes of public market data outside."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from exchange.api.fields import LengthField, TicksField
from exchange.clearing.prices import format_price
from exchange.matching.book import DepthLevel
from exchange.models import ContractState, Fill, Offer, OfferState
from exchange.offer_schedule import DAYS, unpack_weekdays
from exchange.selectors.market import BookView, ContractView
from exchange.selectors.products import ProductView
from ledger.api.fields import AMOUNT_PATTERN, CountField, MicrosField


class ProductSerializer(serializers.Serializer[ProductView]):
    """What can be delivered, with the latest version of its terms. A contract pins the version it was listed under."""

    code = serializers.CharField()
    description = serializers.CharField()
    currency = serializers.CharField(source="terms.currency")
    listed_at = serializers.DateTimeField()
    lot_tokens = CountField(source="terms.lot_tokens", help_text="Contract tokens in a lot.")
    tick = MicrosField(source="terms.tick_micros", help_text="Smallest step of a price per million contract tokens.")
    terms_version = serializers.IntegerField(source="version")
    terms_hash = serializers.CharField(help_text="SHA-256 of the RFC 8785 form of `terms`.")
    terms = serializers.DictField(
        source="terms.to_json", help_text="As hashed: integers, in the unit each name ends in."
    )


class ProductsSerializer(serializers.Serializer[Any]):
    """All products, by code."""

    items = ProductSerializer(many=True)


class ContractSerializer(serializers.Serializer[ContractView]):
    """A product in a delivery window."""

    symbol = serializers.CharField()
    product = serializers.CharField(source="product_code")
    currency = serializers.CharField()
    terms_hash = serializers.CharField()
    delivery_start = serializers.DateTimeField()
    delivery_end = serializers.DateTimeField()
    gate_open = serializers.DateTimeField(help_text="Trading begins.")
    gate_close = serializers.DateTimeField(help_text="Trading ends; each side of a position learns the other.")
    state = serializers.ChoiceField(choices=ContractState.choices)
    lot_tokens = CountField()
    tick = MicrosField(source="tick_micros")
    listing_price = TicksField("listing_price_ticks")
    band_low = TicksField("band_low_ticks", help_text="Lowest price an order may have.")
    band_high = TicksField("band_high_ticks", help_text="Highest price an order may have.")
    bond_per_lot = MicrosField(
        source="bond_per_lot_micros", help_text="What a provider pledges for each lot it offers."
    )
    last_price = TicksField("last_price_ticks")
    last_trade_no = CountField()
    traded_lots = CountField()
    reference_price = MicrosField(source="reference_price_micros", allow_null=True, help_text="Fixed at the gate.")
    reference_step = serializers.CharField(help_text="Which rule gave the reference price; empty before the gate.")
    obligations_hash = serializers.CharField(allow_null=True, help_text="Over all positions, fixed at the gate.")


class LevelSerializer(serializers.Serializer[Any]):
    """All that waits at one price."""

    price = serializers.RegexField(AMOUNT_PATTERN)
    lots = CountField()
    orders = CountField()


@extend_schema_field(LevelSerializer(many=True))
class LevelsField(serializers.Field[Any, Any, Any, Any]):
    """One side of a book, or what moved of it; prices by its `tick_micros`."""

    def __init__(self, side: str) -> None:
        super().__init__(source="*", read_only=True)
        self.side = side

    def to_representation(self, value: Any) -> list[dict[str, str]]:
        levels: tuple[DepthLevel, ...] = getattr(value, self.side)
        return [
            {
                "price": format_price(value.tick_micros, level.price_ticks),
                "lots": str(level.lots),
                "orders": str(level.orders),
            }
            for level in levels
        ]


class BookSerializer(serializers.Serializer[BookView]):
    """The best levels of both sides, best first. `sequence` rises with every change of the contract's book."""

    contract = serializers.CharField(source="symbol")
    state = serializers.CharField(help_text="The `state` of the contract.")
    sequence = CountField(source="book_seq")
    bids = LevelsField("bids")
    asks = LevelsField("asks")
    complete = serializers.BooleanField(help_text="Whether these are all levels: then deltas keep them up to date.")


class TradeSerializer(serializers.Serializer[Fill]):
    """One trade; who traded is nobody else's business."""

    trade_no = CountField(help_text="Without gaps in the contract.")
    price = TicksField()
    lots = CountField()
    tokens = CountField()
    taker_side = serializers.CharField(help_text="Side of the order that came later.")
    executed_at = serializers.DateTimeField()
    reversed_at = serializers.DateTimeField(allow_null=True, help_text="When the trade was taken back, if it was.")


class OfferSerializer(serializers.Serializer[Offer]):
    """A provider's listing: one sell order in each window of the range, on its weekdays and at the price of its hour.

    A window that is not listed yet gets its order when its gate opens. A paused offer has no order in any book.
    """

    id = serializers.CharField()
    provider = serializers.CharField(source="provider.code")
    product = serializers.CharField(source="product.code")
    currency = serializers.CharField(source="product.currency.code")
    window = LengthField()
    first_delivery = serializers.DateTimeField(help_text="Start of the first window.")
    last_delivery = serializers.DateTimeField(help_text="Start of the last window.")
    weekdays = serializers.SerializerMethodField(help_text="Of the windows' starts, in UTC.")
    lots = CountField(help_text="Lots offered in each window, sold ones included.")
    price = TicksField(help_text="The lowest of `hourly_prices`, if there are any.")
    hourly_prices = serializers.SerializerMethodField(
        help_text="24 prices by the UTC hour in which a window starts, null where none is offered; null: one price."
    )
    state = serializers.ChoiceField(choices=OfferState.choices)
    created_at = serializers.DateTimeField()

    @extend_schema_field(serializers.ListField(child=serializers.ChoiceField(choices=DAYS)))
    def get_weekdays(self, offer: Offer) -> list[str]:
        return [DAYS[day] for day in sorted(unpack_weekdays(offer.weekdays))]

    @extend_schema_field(serializers.ListField(child=serializers.CharField(allow_null=True), allow_null=True))
    def get_hourly_prices(self, offer: Any) -> list[str | None] | None:
        if offer.hourly_ticks is None:
            return None
        return [None if ticks is None else format_price(offer.tick_micros, ticks) for ticks in offer.hourly_ticks]
