"""The shape of a single usage event outside, and what can be asked for."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ledger.api.fields import CountField, DigestField
from settlement.metering.buckets import Bucket
from settlement.models import EventKind
from settlement.selectors.usage_events import UsageRecord


class WantedRecordsSerializer(serializers.Serializer[Any]):
    """Query parameters. A contract or a call is named, or quarantined records are asked for."""

    contract = serializers.CharField(required=False, max_length=80, help_text="Symbol of the contract.")
    call = serializers.IntegerField(
        required=False, min_value=0, max_value=2**63 - 1, source="batch", help_text="Id of the call they came in."
    )
    quarantined = serializers.BooleanField(required=False, allow_null=True, default=None)
    request_id = serializers.CharField(required=False, max_length=120)
    meter = serializers.CharField(required=False, max_length=80, help_text="Code of the meter.")


class UsageRecordSerializer(serializers.Serializer[UsageRecord]):
    """One event as a meter reported it."""

    id = serializers.CharField(source="event.event_id", help_text="The event's own, unique to its meter.")
    call = serializers.CharField(source="event.batch_id", help_text="Id of the call it came in.")
    place = serializers.IntegerField(source="event.place", help_text="Its place in the call, from 0.")
    meter = serializers.CharField()
    side = serializers.CharField()
    kind = serializers.ChoiceField(source="event.kind", choices=EventKind.choices)
    contract = serializers.CharField()
    buyer = serializers.CharField()
    provider = serializers.CharField()
    request_id = serializers.CharField(source="event.request_id")
    retry_of = serializers.CharField(source="event.retry_of", allow_null=True)
    accepted_at = serializers.DateTimeField(source="event.accepted_at")
    event_time = serializers.DateTimeField(source="event.event_time")
    received_at = serializers.DateTimeField(source="event.received_at")
    signed = serializers.BooleanField(help_text="Whether it came in a signed call.")
    tokens = serializers.SerializerMethodField(help_text="Raw tokens by bucket; an integer string each.")
    contract_millitokens = CountField(
        source="event.millitokens", read_only=True, help_text="The weighted sum, in thousandths of a contract token."
    )
    requests = serializers.IntegerField(source="event.requests", help_text="1, except of an aggregate.")
    refusal_reason = serializers.CharField(source="event.refusal_reason", allow_null=True)
    quarantine_reason = serializers.CharField(
        source="event.quarantine_reason", allow_null=True, help_text="Why it moves no money; null if it counts."
    )
    supersedes = serializers.CharField(
        source="event.supersedes", allow_null=True, help_text="Id of the event that this correction replaces."
    )
    why = serializers.CharField(source="event.why", allow_null=True, help_text="The reason of a correction.")
    superseded_by = serializers.SerializerMethodField(help_text="Id of the correction that replaced it.")
    family = serializers.CharField(source="event.family")
    adapter_version = serializers.IntegerField(source="event.adapter_version")
    usage = serializers.SerializerMethodField(help_text="The provider's usage object, character for character.")
    content_hash = DigestField(source="event.content_hash")

    def get_tokens(self, record: UsageRecord) -> dict[str, str]:
        return {bucket.value: str(getattr(record.event, bucket)) for bucket in Bucket}

    def get_superseded_by(self, record: UsageRecord) -> str | None:
        return record.superseded_by or None

    def get_usage(self, record: UsageRecord) -> str | None:
        raw = record.event.raw
        return None if raw is None else bytes(raw).decode("utf-8", "backslashreplace")
