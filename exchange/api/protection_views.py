"""What protects a party from its own orders: the dead-man switch, and trades that were prevented."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from exchange.api import placing
from exchange.api.fields import TicksField
from exchange.api.filters import PreventedMatchFilter
from exchange.api.order_serializers import PendingSerializer, choices
from exchange.api.order_views import READING, pending_answer
from exchange.api.rows import prevented_matches_of
from exchange.commands.cancel_all_after import CancelAllAfter, cancel_all_after
from exchange.errors import OutcomePending
from exchange.matching.types import SelfTrade
from exchange.models import PreventedMatch
from exchange.selectors.switches import get_switch
from exchange.trading_rules import MAX_SWITCH_SECONDS
from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView
from ledger.api.fields import CountField, JsonIntegerField, StrictSerializer
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope


class NewSwitchSerializer(StrictSerializer):
    """How long the party may be silent."""

    seconds = JsonIntegerField(
        min_value=0, max_value=MAX_SWITCH_SECONDS, help_text=f"1 to {MAX_SWITCH_SECONDS}, or 0 to switch it off."
    )


class SwitchSerializer(serializers.Serializer[Any]):
    """The dead-man switch as it stands."""

    due_at = serializers.DateTimeField(allow_null=True, help_text="When all orders are cancelled; null: it is off.")


class DeadManSwitchView(PartyView):
    """The dead-man switch."""

    scopes: ClassVar = {"GET": READING, "PUT": (Scope.TRADE,)}

    @extend_schema(
        tags=["orders"], operation_id="get_dead_man_switch", responses={200: SwitchSerializer} | refusals(401, 403)
    )
    def get(self, request: Request) -> Response:
        """When all the party's orders will be cancelled, if it is not heard of before."""
        due_at = get_switch(caller_of(request).party_id, get_clock().now())
        return Response(SwitchSerializer({"due_at": due_at}).data)

    @extend_schema(
        tags=["orders"],
        operation_id="set_dead_man_switch",
        request=NewSwitchSerializer,
        examples=[OpenApiExample("a minute from now", value={"seconds": 60}, request_only=True)],
        responses={200: SwitchSerializer, 202: PendingSerializer} | refusals(400, 401, 403, 503),
    )
    def put(self, request: Request) -> Response:
        """Have all orders of the party cancelled after so many seconds; every further call begins them anew.

        It is kept where the orders are, and works whatever happens to the caller, to this process or to the sequencer.
        """
        body = NewSwitchSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        caller = caller_of(request)
        command = CancelAllAfter(caller.party_id, body.validated_data["seconds"])
        seqs = cancel_all_after(command, actor=caller.actor, now=get_clock().now())
        results = placing.outcomes(seqs)
        try:
            for seq in seqs:
                placing.settled(results.get(seq))
        except OutcomePending as pending:
            return pending_answer(pending, "/api/v1/dead-man-switch")
        return self.get(request)


class PreventedMatchSerializer(serializers.Serializer[PreventedMatch]):
    """Two orders of one group that would have traded. An order of another party of the group is not named."""

    contract = serializers.CharField(source="symbol")
    taker_order_id = serializers.SerializerMethodField(help_text="The newer order, whose `self_trade` counted.")
    maker_order_id = serializers.SerializerMethodField(help_text="The order that was in the book.")
    how = serializers.ChoiceField(choices=choices(SelfTrade))
    price = TicksField()
    lots = CountField(help_text="What would have traded.")
    prevented_at = serializers.DateTimeField()

    def get_taker_order_id(self, match: PreventedMatch) -> str | None:
        return str(match.taker_order_id) if match.taker_party_id == self.context["party_id"] else None

    def get_maker_order_id(self, match: PreventedMatch) -> str | None:
        return str(match.maker_order_id) if match.maker_party_id == self.context["party_id"] else None


class PreventedMatchesView(PartyView, PageView[PreventedMatch]):
    """Prevented matches."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = PreventedMatchSerializer
    filterset_class = PreventedMatchFilter

    def get_queryset(self) -> QuerySet[PreventedMatch]:
        return prevented_matches_of(caller_of(self.request).party_id)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "party_id": caller_of(self.request).party_id}

    @extend_schema(tags=["orders"], operation_id="list_prevented_matches", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """Trades that did not happen because both orders belong to the party's group, newest first."""
        return self.list(request)
