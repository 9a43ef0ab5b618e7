"""Whether all that meters have to say of a contract has arrived."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from exchange.rows import find_contract
from ledger.api.authentication import caller_of
from ledger.api.base import PartyView, refuse_unknown_parameters
from ledger.api.fields import CountField
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope
from settlement.metering.completeness import MeterCompleteness
from settlement.metering.completeness_rules import CompletenessState
from settlement.metering.reconcile import Side
from settlement.selectors.usage_minutes import list_completeness


class WantedContractSerializer(serializers.Serializer[Any]):
    """Query parameters."""

    contract = serializers.CharField(max_length=80, help_text="Symbol of the contract.")


class SequenceGapSerializer(serializers.Serializer[Any]):
    """Watermarks that did not come, from the first to the last of a gap."""

    first = CountField(read_only=True)
    last = CountField(read_only=True)


class MeterCompletenessSerializer(serializers.Serializer[MeterCompleteness]):
    """What a meter says it sent of a contract, against what arrived."""

    meter = serializers.CharField(source="code")
    side = serializers.ChoiceField(choices=[side.value for side in Side])
    state = serializers.ChoiceField(
        source="completeness.state",
        choices=[state.value for state in CompletenessState],
        help_text="complete: all arrived; incomplete: something is missing, or came after the watermark; open: no "
        "watermark reaches the end of the window.",
    )
    up_to = serializers.DateTimeField(
        source="completeness.up_to", allow_null=True, help_text="Of its latest watermark; null if there is none."
    )
    told = CountField(
        source="completeness.told",
        read_only=True,
        allow_null=True,
        help_text="Events it says it sent up to then. Null without a watermark, and for other parties' meters.",
    )
    received = CountField(
        source="completeness.received",
        read_only=True,
        allow_null=True,
        help_text="Events accepted before `up_to` that arrived. Null for other parties' meters.",
    )
    missing_sequences = serializers.SerializerMethodField()

    def get_missing_sequences(self, meter: MeterCompleteness) -> list[dict[str, str]]:
        gaps = [{"first": first, "last": last} for first, last in meter.completeness.missing_sequences]
        return SequenceGapSerializer(gaps, many=True).data  # type: ignore[return-value]


class UsageCompletenessSerializer(serializers.Serializer[Any]):
    """Every meter that told anything of the contract, by code."""

    contract = serializers.CharField()
    items = MeterCompletenessSerializer(many=True)


class UsageCompletenessView(PartyView):
    """Completeness by watermarks."""

    scopes: ClassVar = {"GET": (Scope.READ, Scope.METER, Scope.AUDIT)}

    @extend_schema(
        tags=["metering"],
        operation_id="get_usage_completeness",
        parameters=[WantedContractSerializer],
        responses={200: UsageCompletenessSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request) -> Response:
        """Whether all that meters sent of a contract has arrived, by their watermarks.

        The party's own meters; once delivery has ended also, without counts, those of the other side of its pairs. All
        for an auditor's key.
        """
        refuse_unknown_parameters(request, ("contract",))
        asked = WantedContractSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        contract = find_contract(asked.validated_data["contract"])
        meters = list_completeness(contract, caller_of(request).readable_parties, now=get_clock().now())
        return Response(UsageCompletenessSerializer({"contract": contract.symbol, "items": meters}).data)
