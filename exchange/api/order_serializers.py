"""The shapes of orders and fills outside."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from rest_framework import serializers

from exchange.api.fields import InstantField, LotsField, NewLotsField, PriceTextField, TicksField
from exchange.clearing.terms import MAX_OVERAGE_PERMILLE
from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import OrderType, PostOnly, SelfTrade, Side, TimeInForce
from exchange.models import Fill
from exchange.selectors.orders import OrderView
from ledger.api.fields import AMOUNT_PATTERN, CountField, JsonIntegerField, MicrosField, StrictSerializer, TextField

PRICE_HELP = "Per million contract tokens, on the tick."


def choices(kind: type[StrEnum]) -> list[str]:
    """The words of a closed list."""
    return [each.value for each in kind]


class NewOrderSerializer(StrictSerializer):
    """An order to buy. `client_order_id` is the party's own name for it, used once and for ever."""

    contract = TextField(max_length=80, help_text="Symbol of the contract.")
    side = serializers.ChoiceField(choices=[Side.BUY.value], help_text="Capacity is sold through offers.")
    type = serializers.ChoiceField(
        choices=choices(OrderType),
        default=OrderType.LIMIT.value,
        help_text="A market order trades at once at whatever is offered up to `price`, and never rests.",
    )
    price = PriceTextField(
        required=False, help_text=f"Limit, or cap of a market order (default: the band's upper price). {PRICE_HELP}"
    )
    lots = LotsField(required=False)
    budget = MicrosField(
        required=False, help_text="Instead of `lots`, market orders only: what may be spent, fees included."
    )
    time_in_force = serializers.ChoiceField(
        choices=choices(TimeInForce),
        required=False,
        help_text="gtc rests until it is filled, cancelled or the gate closes; gtd at most until `expires_at`; ioc "
        "trades what it can at once; fok trades whole at once or not at all. Default: gtc, for a market order ioc.",
    )
    expires_at = InstantField(required=False, help_text="Of a gtd order; not after the gate closes.")
    post_only = serializers.ChoiceField(
        choices=choices(PostOnly),
        default=PostOnly.NO.value,
        help_text="When it would trade at once: refuse it (reject), or move it to one tick short of that (reprice).",
    )
    self_trade = serializers.ChoiceField(
        choices=choices(SelfTrade),
        default=SelfTrade.CANCEL_NEWEST.value,
        help_text="What happens instead of a trade with an order of the own group; the newer order's word counts.",
    )
    client_order_id = TextField(max_length=64, trim_whitespace=False)
    overage_permille = JsonIntegerField(
        default=0,
        min_value=0,
        max_value=MAX_OVERAGE_PERMILLE,
        help_text="How far usage may go above what is bought, at the higher of its own and the reference price.",
    )


class AmendmentSerializer(StrictSerializer):
    """What an open order shall want instead. A smaller quantity alone keeps its place in the queue."""

    price = PriceTextField(required=False, help_text=PRICE_HELP)
    lots = NewLotsField(required=False, help_text="The whole quantity, filled lots included.")


class OrderSerializer(serializers.Serializer[Any]):
    """An order as it stands. An order by budget has no `lots` and no `remaining_lots`."""

    order_id = serializers.CharField(source="id")
    client_order_id = serializers.CharField(allow_null=True)
    contract = serializers.CharField(source="symbol")
    side = serializers.ChoiceField(choices=choices(Side))
    type = serializers.ChoiceField(source="order_type", choices=choices(OrderType))
    price = TicksField()
    lots = serializers.SerializerMethodField()
    budget = MicrosField(source="budget_micros", allow_null=True)
    filled_lots = serializers.SerializerMethodField()
    remaining_lots = serializers.SerializerMethodField(help_text="What it still wants, or wanted when it was closed.")
    time_in_force = serializers.ChoiceField(choices=choices(TimeInForce))
    expires_at = serializers.DateTimeField(allow_null=True)
    post_only = serializers.ChoiceField(choices=choices(PostOnly))
    self_trade = serializers.ChoiceField(choices=choices(SelfTrade))
    overage_permille = serializers.IntegerField()
    status = serializers.ChoiceField(choices=choices(OrderStatus))
    close_reason = serializers.CharField(
        help_text="Why it is closed, or the code of its refusal; empty while it is open."
    )
    placed_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)

    def get_lots(self, order: OrderView) -> str | None:
        return None if order.budget_micros is not None else str(order.lots)

    def get_remaining_lots(self, order: OrderView) -> str | None:
        return None if order.budget_micros is not None else str(order.remaining_lots)

    def get_filled_lots(self, order: OrderView) -> str:
        return str(order.lots - order.remaining_lots)


class ExpectedFillSerializer(serializers.Serializer[Any]):
    """What an order would trade at once."""

    price = serializers.RegexField(AMOUNT_PATTERN)
    lots = CountField()
    notional = MicrosField(source="notional_micros")
    fee = MicrosField(source="buyer_fee_micros")


class PlacedFillSerializer(ExpectedFillSerializer):
    """A fill that an order met at once."""

    fill_id = serializers.CharField()
    trade_no = CountField()


class _OrderResultSerializer(serializers.Serializer[Any]):
    """What placing an order came to, or would."""

    client_order_id = serializers.CharField()
    contract = serializers.CharField()
    side = serializers.ChoiceField(choices=choices(Side))
    type = serializers.ChoiceField(choices=choices(OrderType))
    price = serializers.RegexField(AMOUNT_PATTERN, help_text="At which it stands: a post-only order may have moved.")
    lots = CountField(allow_null=True)
    budget = MicrosField(allow_null=True)
    filled_lots = CountField()
    remaining_lots = CountField(allow_null=True)
    time_in_force = serializers.ChoiceField(choices=choices(TimeInForce))
    expires_at = serializers.DateTimeField(allow_null=True)
    post_only = serializers.ChoiceField(choices=choices(PostOnly))
    self_trade = serializers.ChoiceField(choices=choices(SelfTrade))
    overage_permille = serializers.IntegerField()
    status = serializers.ChoiceField(choices=choices(OrderStatus))
    close_reason = serializers.CharField()
    notional = MicrosField(help_text="Of all `fills`.")
    fee = MicrosField(help_text="Of all `fills`.")


class ExpectedOrderSerializer(_OrderResultSerializer):
    """What placing an order would come to if it were decided now. Nothing was recorded or claimed."""

    fills = ExpectedFillSerializer(many=True)
    required_hold = MicrosField(help_text="What must be free for the order to be accepted.")
    hold = MicrosField(help_text="What it would leave held more than now, for its rest and for overage.")


class PlacedOrderSerializer(_OrderResultSerializer):
    """The final result of placing an order, durable before it is told. A repeat gets the same."""

    order_id = serializers.CharField()
    fills = PlacedFillSerializer(many=True)


class AmendedOrderSerializer(serializers.Serializer[Any]):
    """What an amendment came to."""

    order_id = serializers.CharField()
    price = serializers.RegexField(AMOUNT_PATTERN)
    lots = CountField(help_text="Filled ones included.")
    filled_lots = CountField()
    remaining_lots = CountField()
    status = serializers.ChoiceField(choices=choices(OrderStatus))
    close_reason = serializers.CharField()
    kept_place = serializers.BooleanField(help_text="Whether it stayed where it was in the queue.")
    fills = PlacedFillSerializer(many=True, help_text="What it traded when it got its new place.")


class CancelledOrderSerializer(serializers.Serializer[Any]):
    """What a cancel came to."""

    order_id = serializers.CharField()
    status = serializers.ChoiceField(choices=[status.value for status in OrderStatus])
    cancelled_lots = CountField()


class CancelledAllSerializer(serializers.Serializer[Any]):
    """What cancelling all orders came to."""

    cancelled_orders = CountField()


class PendingSerializer(serializers.Serializer[Any]):
    """The command is recorded and will be decided; `Location` says where to ask."""

    code = serializers.CharField(help_text="outcome_pending")
    order_id = serializers.CharField(required=False, help_text="Where it is about one order.")
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
