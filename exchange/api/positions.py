"""A party's positions, and after the gate how they are delivered."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from exchange.api.errors import PositionNotFound
from exchange.matching.types import Side
from exchange.rows import find_contract
from exchange.selectors.positions import (
    DeliveryInstruction,
    OwnPosition,
    list_delivery_instructions,
    list_own_positions,
)
from ledger.api.authentication import caller_of
from ledger.api.base import PartyView
from ledger.api.fields import CountField, MicrosField
from ledger.api.schema import refusals
from ledger.parties.keys import Scope

READING = (Scope.READ, Scope.TRADE)


class PositionSerializer(serializers.Serializer[OwnPosition]):
    """All fills with one counterparty in one contract. Before the gate closes, all fills of a side are one."""

    contract = serializers.CharField(source="symbol")
    contract_state = serializers.CharField(help_text="The `state` of the contract.")
    delivery_start = serializers.DateTimeField()
    delivery_end = serializers.DateTimeField()
    side = serializers.SerializerMethodField()
    counterparty = serializers.CharField(allow_null=True, help_text="Code of the other party; null before the gate.")
    tokens = CountField(help_text="Contract tokens bought or sold.")
    notional = MicrosField()
    overage_tokens = CountField(help_text="How far usage may go above `tokens`.")

    def get_side(self, position: OwnPosition) -> str:
        return (Side.BUY if position.bought else Side.SELL).value


class PositionsSerializer(serializers.Serializer[Any]):
    """All positions, by start of delivery."""

    items = PositionSerializer(many=True)


class DeliverySerializer(serializers.Serializer[DeliveryInstruction]):
    """How a position is delivered."""

    buyer = serializers.CharField()
    provider = serializers.CharField()
    tokens = CountField()
    overage_tokens = CountField()
    rate_tokens = CountField(help_text="Contract tokens the buyer may ask for in a UTC minute.")
    max_request_tokens = CountField(help_text="Largest request the provider must admit.")
    base_url = serializers.CharField()
    model_name = serializers.CharField()
    access = serializers.CharField(help_text="How access is granted.")


class ContractPositionsSerializer(PositionsSerializer):
    """The positions in one contract, and how they are delivered: empty before the gate closes."""

    delivery = DeliverySerializer(many=True)


class PositionsView(PartyView):
    """Positions."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["account"], operation_id="list_positions", responses={200: PositionsSerializer} | refusals(401, 403)
    )
    def get(self, request: Request) -> Response:
        """The party's positions in all contracts."""
        return Response(PositionsSerializer({"items": list_own_positions(caller_of(request).party_id)}).data)


class ContractPositionsView(PartyView):
    """Positions in one contract."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["account"],
        operation_id="get_positions",
        parameters=[OpenApiParameter("symbol", str, OpenApiParameter.PATH)],
        responses={200: ContractPositionsSerializer} | refusals(401, 403, 404),
    )
    def get(self, request: Request, symbol: str) -> Response:
        """The party's positions in a contract; once the gate has closed, with where and how to use them."""
        party_id = caller_of(request).party_id
        positions = list_own_positions(party_id, symbol=find_contract(symbol).symbol)
        if not positions:
            raise PositionNotFound(f"Your party has no position in {symbol}.", contract=symbol)
        content = {"items": positions, "delivery": list_delivery_instructions(symbol, party_id)}
        return Response(ContractPositionsSerializer(content).data)
