"""The shapes of calls about many orders."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers

from exchange.api.order_serializers import (
    AmendedOrderSerializer,
    AmendmentSerializer,
    CancelledOrderSerializer,
    ExpectedOrderSerializer,
    NewOrderSerializer,
    PendingSerializer,
    PlacedOrderSerializer,
)
from exchange.sequencer.intake import MAX_BUNDLE
from ledger.api.fields import CountField, StrictSerializer, TextField
from ledger.api.schema import ProblemBodySerializer
from ledger.money import MAX_AMOUNT


class PlaceItemSerializer(NewOrderSerializer):
    """Place an order."""

    action = serializers.ChoiceField(choices=["place"])


class _OrderItemSerializer(StrictSerializer):
    """About an order that an earlier call has placed, by either of its ids."""

    order_id = CountField(minimum=1, maximum=MAX_AMOUNT, required=False)
    client_order_id = TextField(max_length=64, trim_whitespace=False, required=False)

    def validate(self, attrs: Any) -> Any:
        if ("order_id" in attrs) == ("client_order_id" in attrs):
            raise serializers.ValidationError({"order_id": ["Send either order_id or client_order_id."]})
        return attrs


class AmendItemSerializer(_OrderItemSerializer, AmendmentSerializer):
    """Change an order."""

    action = serializers.ChoiceField(choices=["amend"])


class CancelItemSerializer(_OrderItemSerializer):
    """Cancel an order."""

    action = serializers.ChoiceField(choices=["cancel"])


ITEMS: dict[str, Any] = {
    "place": PlaceItemSerializer,
    "amend": AmendItemSerializer,
    "cancel": CancelItemSerializer,
}


@extend_schema_field(
    PolymorphicProxySerializer(component_name="OrderItem", serializers=ITEMS, resource_type_field_name="action")
)
class ItemField(serializers.Field[Any, Any, Any, Any]):
    """An item as it was sent: each is read, and refused, by itself."""

    def to_internal_value(self, data: Any) -> Any:
        return data


class OrderBatchSerializer(StrictSerializer):
    """Up to 1,000 orders, amendments and cancels, decided in this order."""

    items = serializers.ListField(child=ItemField(), min_length=1, max_length=MAX_BUNDLE)


_RESULTS: list[Any] = [
    PlacedOrderSerializer,
    ExpectedOrderSerializer,
    AmendedOrderSerializer,
    CancelledOrderSerializer,
    PendingSerializer,
]


@extend_schema_field(
    PolymorphicProxySerializer(component_name="OrderItemResult", serializers=_RESULTS, resource_type_field_name=None)
)
class ResultField(serializers.JSONField):
    """What the call for this item alone would have answered."""


class ItemOutcomeSerializer(serializers.Serializer[Any]):
    """What became of one item: a result or a problem, with the status that a call of its own would have."""

    status = serializers.IntegerField()
    result = ResultField(required=False)
    problem = ProblemBodySerializer(required=False)


class OrderBatchOutcomeSerializer(serializers.Serializer[Any]):
    """The outcomes, in the order of the items."""

    items = ItemOutcomeSerializer(many=True)
