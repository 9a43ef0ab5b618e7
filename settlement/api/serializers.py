"""The shapes of usage events and statements outside."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ledger.api.fields import DigestField
from settlement.api.statement_file import signed_payload
from settlement.metering.envelope import COMPLETED_TYPE, MAX_FAMILY_LENGTH, MAX_ID_LENGTH, REFUSED_TYPE
from settlement.metering.families import FAMILIES
from settlement.metering.ingestion import ItemResult, ItemStatus
from settlement.metering.reconcile import RefusalReason
from settlement.models import RunKind, Statement


class UsageDataSerializer(serializers.Serializer[Any]):
    """What was used. Only described here: events are read one by one, and each gets its own answer."""

    contract = serializers.CharField(help_text="Symbol of the contract whose window the request belongs to.")
    buyer = serializers.CharField(help_text="Code of the party that asked.")
    provider = serializers.CharField(help_text="Code of the party that served or refused.")
    request_id = serializers.CharField(max_length=MAX_ID_LENGTH, help_text="The same on both sides' meters.")
    accepted_at = serializers.DateTimeField(help_text="When the provider accepted or refused it; decides the window.")
    family = serializers.ChoiceField(choices=sorted(FAMILIES), help_text=f"At most {MAX_FAMILY_LENGTH} characters.")
    usage = serializers.DictField(help_text="The provider's usage object as it came.")
    reason = serializers.ChoiceField(
        choices=[reason.value for reason in RefusalReason], required=False, help_text="Of a refusal."
    )
    retry_of = serializers.CharField(required=False, help_text="request_id of the attempt that this one repeats.")


class UsageEventSerializer(serializers.Serializer[Any]):
    """A CloudEvent 1.0 from a meter. (`source`, `id`) is counted once, however often it comes."""

    specversion = serializers.ChoiceField(choices=["1.0"])
    type = serializers.ChoiceField(choices=[COMPLETED_TYPE, REFUSED_TYPE])
    source = serializers.CharField(help_text="Code of the meter.")  # type: ignore[assignment]  # a field so named
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


class StatementSerializer(serializers.Serializer[Statement]):
    """What a party is owed and why, for one settlement run; the signed file is its `download`."""

    id = serializers.CharField()
    party = serializers.CharField(source="party.code")
    currency = serializers.CharField(source="currency.code")
    sequence = serializers.IntegerField(help_text="Its place in the chain of the party and currency.")
    run_kind = serializers.ChoiceField(source="run.kind", choices=RunKind.choices)
    period_start = serializers.DateTimeField(source="run.period_start")
    period_end = serializers.DateTimeField(source="run.period_end")
    core_digest = DigestField()
    previous_digest = DigestField(allow_null=True)
    issued_at = serializers.DateTimeField()
    download = serializers.SerializerMethodField(help_text="Address of the signed file.")

    def get_download(self, statement: Statement) -> str:
        return f"/api/v1/statements/{statement.pk}/download"


class StatementDetailSerializer(StatementSerializer):
    """With the content that is signed. Verify the downloaded file before relying on it."""

    content = serializers.SerializerMethodField(help_text="The signed payload: `core` and `annex`.")

    def get_content(self, statement: Statement) -> dict[str, Any]:
        return signed_payload(statement.jws)
