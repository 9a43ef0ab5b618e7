"""How the sequencers are, for auditors' keys: figures, and the same for a monitoring system."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from exchange.selectors.operations import SequencerView, list_sequencers, metrics_text
from ledger.api.base import PartyView, refuse_unknown_parameters
from ledger.api.fields import CountField
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class SequencerSerializer(serializers.Serializer[SequencerView]):
    """One shard's sequencer."""

    shard = serializers.IntegerField()
    running = serializers.BooleanField(help_text="Whether a sequencer holds the shard.")
    epoch = CountField(help_text="How often a sequencer has taken over.")
    cursor = CountField(help_text="Number of the last command that was decided.")
    waiting = CountField(help_text="Commands taken in and not decided.")
    oldest_waiting_at = serializers.DateTimeField(allow_null=True)
    last_batch_at = serializers.DateTimeField(source="last_ran_at", allow_null=True)


class SequencersSerializer(serializers.Serializer[Any]):
    """All shards that are in use."""

    items = SequencerSerializer(many=True)


class SequencersView(PartyView):
    """Sequencers."""

    scopes: ClassVar = {"GET": (Scope.AUDIT,)}

    @extend_schema(
        tags=["operations"],
        operation_id="list_sequencers",
        responses={200: SequencersSerializer} | refusals(400, 401, 403),
    )
    def get(self, request: Request) -> Response:
        """How far each shard's sequencer is. For auditors and operators."""
        refuse_unknown_parameters(request, ())
        return Response(SequencersSerializer({"items": list_sequencers()}).data)


class SequencerMetricsView(PartyView):
    """Sequencers, for a monitoring system."""

    scopes: ClassVar = {"GET": (Scope.AUDIT,)}

    @extend_schema(
        tags=["operations"],
        operation_id="get_sequencer_metrics",
        responses={(200, "text/plain"): OpenApiTypes.STR} | refusals(400, 401, 403),
    )
    def get(self, request: Request) -> HttpResponse:
        """The same figures in Prometheus' text format. For auditors and operators."""
        refuse_unknown_parameters(request, ())
        return HttpResponse(metrics_text(list_sequencers(), get_clock().now()), content_type=METRICS_TYPE)
