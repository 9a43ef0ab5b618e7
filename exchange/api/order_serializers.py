"""The shapes of orders and fills outside."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from exchange.api.fields import LotsField, TicksField
from exchange.clearing.terms import MAX_OVERAGE_PERMILLE
from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import Side, TimeInForce
from exchange.models import Fill
from exchange.selectors.orders import OrderView
from ledger.api.fields import AMOUNT_PATTERN, CountField, JsonIntegerField, MicrosField, StrictSerializer, TextField


class NewOrderSerializer(StrictSerializer):
    """An order to buy. `client_order_id` is the party's own name for it, used once and for ever."""

    contract = TextField(max_length=80, help_text="Symbol of the contract.")
    side = serializers.ChoiceField(choices=[Side.BUY.value], help_text="Capacity is sold through offers.")
    price = TextField(
        max_length=40,
        trim_whitespace=False,
        error_messages={"invalid": "Send a decimal string such as '4.210000', not a number."},
        help_text="Limit per million contract tokens, on the tick.",
    )
    lots = LotsField()
    time_in_force = serializers.ChoiceField(
        choices=[each.value for each in TimeInForce],
        default=TimeInForce.GTC.value,
        help_text="gtc rests until it is filled, cancelled or the gate closes; ioc trades at once or not at all.",
    )
    client_order_id = TextField(max_length=64, trim_whitespace=False)
    overage_permille = JsonIntegerField(
        default=0,
        min_value=0,
        max_value=MAX_OVERAGE_PERMILLE,
        help_text="How far usage may go above what is bought, at the higher of its own and the reference price.",
    )


class OrderSerializer(serializers.Serializer[Any]):
    """An order as it stands."""

    order_id = serializers.CharField(source="id")
    client_order_id = serializers.CharField(allow_null=True)
    contract = serializers.CharField(source="symbol")
    side = serializers.ChoiceField(choices=[side.value for side in Side])
    price = TicksField()
    lots = CountField()
    filled_lots = serializers.SerializerMethodField()
    remaining_lots = CountField(help_text="What it still wants, or wanted when it was closed.")
    time_in_force = serializers.ChoiceField(choices=[each.value for each in TimeInForce])
    overage_permille = serializers.IntegerField()
    status = serializers.ChoiceField(choices=[status.value for status in OrderStatus])
    close_reason = serializers.CharField(
        help_text="Why it is closed, or the code of its refusal; empty while it is open."
    )
    placed_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)

    def get_filled_lots(self, order: OrderView) -> str:
        return str(order.lots - order.remaining_lots)


class PlacedFillSerializer(serializers.Serializer[Any]):
    """A fill that an order met at once."""

    fill_id = serializers.CharField()
    trade_no = CountField()
    price = serializers.RegexField(AMOUNT_PATTERN)
    lots = CountField()
    notional = MicrosField(source="notional_micros")
    fee = MicrosField(source="buyer_fee_micros")


class PlacedOrderSerializer(serializers.Serializer[Any]):
    """The final result of placing an order, durable before it is told. A repeat gets the same."""

    order_id = serializers.CharField()
    client_order_id = serializers.CharField()
    contract = serializers.CharField()
    side = serializers.CharField()
    price = serializers.RegexField(AMOUNT_PATTERN)
    lots = CountField()
    filled_lots = CountField()
    remaining_lots = CountField()
    time_in_force = serializers.ChoiceField(choices=[each.value for each in TimeInForce])
    overage_permille = serializers.IntegerField()
    status = serializers.ChoiceField(choices=[status.value for status in OrderStatus])
    close_reason = serializers.CharField()
    fills = PlacedFillSerializer(many=True)


class CancelledOrderSerializer(serializers.Serializer[Any]):
    """What a cancel came to."""

    order_id = serializers.CharField()
    status = serializers.ChoiceField(choices=[status.value for status in OrderStatus])
    cancelled_lots = CountField()


class PendingSerializer(serializers.Serializer[Any]):
    """The command is recorded and will be decided; `Location` says where to ask."""

    code = serializers.CharField(help_text="outcome_pending")
    order_id = serializers.CharField()
    status = serializers.CharField(help_text="pending")


class FillSerializer(serializers.Serializer[Fill]):
    """A fill of the party's own. Who stood on the other side is told with the position, once the gate has closed."""

    fill_id = serializers.CharField(source="id")
    order_id = serializers.SerializerMethodField()
    contract = serializers.CharField(source="symbol")
    trade_no = CountField()
    side = serializers.SerializerMethodField()
    price = TicksField()
    lots = CountField()
    tokens = CountField()
    notional = MicrosField()
    fee = serializers.SerializerMethodField(help_text="Charged to the buyer at the fill; a provider's at pay-out.")
    executed_at = serializers.DateTimeField()

    def get_order_id(self, fill: Fill) -> str:
        return str(fill.buy_order_id if self._bought(fill) else fill.sell_order_id)

    def get_side(self, fill: Fill) -> str:
        return (Side.BUY if self._bought(fill) else Side.SELL).value

    def get_fee(self, fill: Fill) -> str:
        return str(MicrosField().to_representation(fill.buyer_fee if self._bought(fill) else 0))

    def _bought(self, fill: Fill) -> bool:
        return bool(fill.buyer_id == self.context["party_id"])
