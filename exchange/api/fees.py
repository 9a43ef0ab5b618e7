"""What trading costs, for everybody; and which tier a party has reached, for itself."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from exchange.fee_schedule import Basis, Tier
from exchange.selectors.fees import OwnTier, ScheduleView, list_own_tiers, list_schedules
from ledger.api.authentication import caller_of
from ledger.api.base import PartyView, PublicView
from ledger.api.fields import MicrosField
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope

PRODUCT_HELP = "Null: all products of the currency that have no schedule of their own."
BASIS_HELP = (
    "What the rates are parts per million of: the contract's own rate of that side, or the notional. An order is never "
    "charged more than its contract's own rate."
)


class FeeRatesSerializer(serializers.Serializer[Tier]):
    """Rates in parts per million, by side and by whether the order waited in the book or came to one that did."""

    buyer_maker_ppm = serializers.IntegerField(source="buyer.maker_ppm")
    buyer_taker_ppm = serializers.IntegerField(source="buyer.taker_ppm")
    provider_maker_ppm = serializers.IntegerField(source="provider.maker_ppm")
    provider_taker_ppm = serializers.IntegerField(source="provider.taker_ppm")


class FeeTierSerializer(FeeRatesSerializer):
    """The rates of parties that traded at least `volume`."""

    volume = MicrosField(source="volume_micros", help_text="Bought and sold in the trailing 30 days.")


class FeeScheduleSerializer(serializers.Serializer[ScheduleView]):
    """Rates by volume. An order gets those of its party's tier when it is placed, and keeps them."""

    product = serializers.CharField(source="product_code", allow_null=True, help_text=PRODUCT_HELP)
    currency = serializers.CharField()
    version = serializers.IntegerField()
    valid_from = serializers.DateTimeField()
    in_force = serializers.BooleanField(help_text="Or announced.")
    basis = serializers.ChoiceField(
        source="schedule.basis", choices=[each.value for each in Basis], help_text=BASIS_HELP
    )
    tiers = FeeTierSerializer(source="schedule.tiers", many=True)


class FeeSchedulesSerializer(serializers.Serializer[Any]):
    """Contracts that none of these is for charge their own rates."""

    items = FeeScheduleSerializer(many=True)


class OwnTierSerializer(serializers.Serializer[OwnTier]):
    """Where the party stands in a schedule."""

    product = serializers.CharField(source="view.product_code", allow_null=True, help_text=PRODUCT_HELP)
    currency = serializers.CharField(source="view.currency")
    version = serializers.IntegerField(source="view.version")
    volume = MicrosField(source="volume_micros", help_text="Bought and sold in the 30 days before it was counted.")
    counted_at = serializers.DateTimeField(allow_null=True)
    tier = serializers.IntegerField(source="number", help_text="From 1.")
    next_volume = MicrosField(
        source="next_volume_micros", allow_null=True, help_text="From which the next tier counts."
    )
    basis = serializers.ChoiceField(
        source="view.schedule.basis", choices=[each.value for each in Basis], help_text=BASIS_HELP
    )
    rates = FeeRatesSerializer(source="tier")


class OwnTiersSerializer(serializers.Serializer[Any]):
    """One for each schedule in force."""

    items = OwnTierSerializer(many=True)


class FeesView(PublicView):
    """Fee schedules."""

    @extend_schema(tags=["market"], operation_id="list_fees", responses=FeeSchedulesSerializer, auth=[])
    def get(self, request: Request) -> Response:
        """Fee schedules in force and announced."""
        return Response(FeeSchedulesSerializer({"items": list_schedules(get_clock().now())}).data)


class OwnFeesView(PartyView):
    """The party's own tiers."""

    scopes: ClassVar = {"GET": (Scope.READ, Scope.TRADE)}

    @extend_schema(
        tags=["orders"], operation_id="list_own_fees", responses={200: OwnTiersSerializer} | refusals(401, 403)
    )
    def get(self, request: Request) -> Response:
        """What the party has traded, and the tier that its next order gets."""
        own = list_own_tiers(caller_of(request).party_id, get_clock().now())
        return Response(OwnTiersSerializer({"items": own}).data)
