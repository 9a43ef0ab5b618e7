"""The shapes of usage events outside."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ledger.api.fields import DigestField
from settlement.metering.events import (
    EVENT_TYPES,
    MAX_ID_LENGTH,
    MAX_MILLISECONDS,
    MAX_REQUESTS,
    MAX_SOURCE_LENGTH,
    MAX_WHY_LENGTH,
)
from settlement.metering.families import FAMILIES
from settlement.metering.records import RefusalReason
from settlement.metering.results import ItemResult, ItemStatus


class UsageDataSerializer(serializers.Serializer[Any]):
    """What was used. Only described here: events are read one by one, and each gets its own answer.

    Which members an event has goes by its type: those not said of a type are for started, completed, refused and
    correction.
    """

    contract = serializers.CharField(max_length=MAX_ID_LENGTH, help_text="Symbol of the contract; of every type.")
    buyer = serializers.CharField(required=False, help_text="Code of the party that asked; not of a watermark.")
    provider = serializers.CharField(required=False, help_text="Code of the party that served; not of a watermark.")
    request_id = serializers.CharField(
        max_length=MAX_ID_LENGTH, required=False, help_text="The same on both sides' meters."
    )
    accepted_at = serializers.DateTimeField(
        required=False, help_text="When the provider accepted or refused it; decides the window."
    )
    family = serializers.ChoiceField(
        choices=sorted(FAMILIES),
        required=False,
        help_text="How `usage` is to be read. Not of started, nor of a correction to void.",
    )
    usage = serializers.DictField(
        required=False, help_text="The provider's usage object as it came; an aggregate's has the sums."
    )
    retry_of = serializers.CharField(required=False, help_text="request_id of the attempt that this one repeats.")
    ttft_ms = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_MILLISECONDS,
        help_text="Of a completed request: milliseconds to the first output token.",
    )
    output_ms = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_MILLISECONDS,
        help_text="Of a completed request: milliseconds from the first output token to the last.",
    )
    reason = serializers.ChoiceField(
        choices=[reason.value for reason in RefusalReason], required=False, help_text="Of a refusal."
    )
    supersedes = serializers.CharField(
        max_length=MAX_ID_LENGTH, required=False, help_text="Correction: id of the meter's event that it replaces."
    )
    why = serializers.CharField(max_length=MAX_WHY_LENGTH, required=False, help_text="Correction: what was wrong.")
    replacement = serializers.ChoiceField(
        choices=["completed", "refused", "void"], required=False, help_text="Correction: what the event becomes."
    )
    minute = serializers.DateTimeField(required=False, help_text="Aggregate: its whole UTC minute.")
    requests = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_REQUESTS, help_text="Aggregate: how many were completed."
    )
    records_root = DigestField(required=False, help_text="Aggregate: Merkle root over the single records.")
    up_to = serializers.DateTimeField(required=False, help_text="Watermark: all accepted before this was sent.")
    sequence = serializers.IntegerField(required=False, help_text="Watermark: 1, 2, 3 … by meter and contract.")
    events = serializers.IntegerField(required=False, help_text="Watermark: how many events were sent.")
    root = DigestField(required=False, help_text="Watermark: Merkle root over their ids, sorted by bytes.")  # type: ignore[assignment]  # a field so named


class UsageEventSerializer(serializers.Serializer[Any]):
    """A CloudEvent 1.0 from a meter. (`source`, `id`) is counted once, however often it comes."""

    specversion = serializers.ChoiceField(choices=["1.0"])
    type = serializers.ChoiceField(choices=EVENT_TYPES)
    source = serializers.CharField(max_length=MAX_SOURCE_LENGTH, help_text="Code of the meter.")  # type: ignore[assignment]  # a field so named
    id = serializers.CharField(max_length=MAX_ID_LENGTH)
    time = serializers.DateTimeField()
    data = UsageDataSerializer()  # type: ignore[assignment]  # a field so named


class ItemResultSerializer(serializers.Serializer[ItemResult]):
    """What became of one event."""

    id = serializers.CharField(source="event_id")
    status = serializers.CharField(help_text=f"One of {', '.join(ItemStatus)}.")
    code = serializers.CharField(help_text="Stable; equal to the status where there is nothing more to say.")
    message = serializers.CharField()


class UsageResultsSerializer(serializers.Serializer[Any]):
    """One result an event, in the order of the events."""

    items = ItemResultSerializer(many=True)
