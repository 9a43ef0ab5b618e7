"""The shapes of disputes and notices outside."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from rest_framework import serializers

from ledger.api.fields import CountField, DigestField, MicrosField, StrictSerializer, TextField
from settlement.disputes.evidence import MAX_NAME, EvidenceFile, NamedRecord
from settlement.disputes.rules import MAX_FILE_BYTES, MAX_FILES, MAX_TEXT, MAX_USAGE_RECORDS
from settlement.models import (
    Dispute,
    DisputeEntry,
    DisputeEntryKind,
    DisputeEvidence,
    DisputeReason,
    DisputeState,
    PartyNotice,
)
from settlement.selectors.disputes import list_dispute_entries

READ_BY = "Read by the other side, the operators and the auditor."
_BASE64_MAX = 4 * (MAX_FILE_BYTES // 3 + 1)


class DisputeSerializer(serializers.Serializer[Dispute]):
    """A line of a party's statement that the party says is wrong, by an amount."""

    id = serializers.CharField()
    statement = serializers.CharField(source="statement_id", help_text="Id of the statement.")
    line = CountField(source="line_number", read_only=True, help_text="Number of the line on the statement.")
    line_kind = serializers.CharField()
    contract = serializers.CharField(source="symbol", help_text="Its symbol.")
    party = serializers.CharField(source="party_code", help_text="Who disputes the line.")
    payee = serializers.CharField(source="payee_code", help_text="Who has the money in question.")
    currency = serializers.CharField(source="statement.currency.code")
    reason = serializers.ChoiceField(choices=DisputeReason.choices)
    text = serializers.CharField()
    disputed = MicrosField(source="disputed_micros", read_only=True, help_text="How much more the party should have.")
    suspended = MicrosField(
        source="suspended_micros", read_only=True, help_text="So much of it went into suspense when it was opened."
    )
    state = serializers.ChoiceField(choices=DisputeState.choices)
    opened_at = serializers.DateTimeField()
    decide_by = serializers.DateTimeField(help_text="Until when operators are to decide.")
    decided = MicrosField(
        source="decided_micros",
        read_only=True,
        allow_null=True,
        help_text="Proposed, or decided: how much of the disputed amount was right to dispute; null if neither.",
    )
    decided_at = serializers.DateTimeField(allow_null=True)


class EvidenceSerializer(serializers.Serializer[DisputeEvidence]):
    """A file beside what a party said."""

    id = serializers.CharField()
    name = serializers.CharField()
    media_type = serializers.CharField()
    bytes = CountField(source="size", read_only=True)
    digest = DigestField(help_text="SHA-256 of its content.")
    download = serializers.SerializerMethodField(help_text="Address of the file.")

    def get_download(self, evidence: DisputeEvidence) -> str:
        return f"/api/v1/disputes/{self.context['dispute']}/evidence/{evidence.pk}"


class DisputeEntrySerializer(serializers.Serializer[DisputeEntry]):
    """What happened in a dispute."""

    sequence = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=DisputeEntryKind.choices)
    at = serializers.DateTimeField()
    by = serializers.SerializerMethodField(help_text="Code of the party whose word it is, or `exchange`.")
    text = serializers.CharField()
    details = serializers.JSONField(help_text="Usage records with their hashes, or the figure of a decision.")
    files = EvidenceSerializer(many=True)

    def get_by(self, entry: Any) -> str:
        return entry.party_code or "exchange"


class DisputeDetailSerializer(DisputeSerializer):
    """A dispute with all that happened in it."""

    entries = serializers.SerializerMethodField()

    def get_entries(self, dispute: Dispute) -> list[dict[str, Any]]:
        context = {"dispute": dispute.pk}
        return [DisputeEntrySerializer(entry, context=context).data for entry in list_dispute_entries(dispute)]


class Base64Field(TextField):
    """Bytes as base64 (RFC 4648, section 4), padded, without line breaks."""

    def to_internal_value(self, data: Any) -> bytes:  # type: ignore[override]  # text outside, bytes inside
        text = super().to_internal_value(data)
        try:
            return base64.b64decode(text.encode("ascii"), validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raise serializers.ValidationError("Send base64, padded and without line breaks.") from None


class HashField(TextField):
    """A SHA-256 digest as 64 hexadecimal digits."""

    def to_internal_value(self, data: Any) -> bytes:  # type: ignore[override]  # text outside, bytes inside
        text = super().to_internal_value(data)
        if len(text) != 64 or any(digit not in "0123456789abcdef" for digit in text):
            raise serializers.ValidationError("Send 64 hexadecimal digits, in small letters.")
        return bytes.fromhex(text)


class NewFileSerializer(StrictSerializer):
    """A file of evidence."""

    name = TextField(max_length=MAX_NAME)
    media_type = TextField(max_length=80, help_text="Such as text/csv.")
    content = Base64Field(max_length=_BASE64_MAX, help_text=f"Base64 of at most {MAX_FILE_BYTES} bytes.")
    digest = HashField(help_text="SHA-256 of the content, in hexadecimal. Refused if it is not.")


class NamedRecordSerializer(StrictSerializer):
    """A usage record by its meter and id."""

    meter = TextField(max_length=120, help_text="Code of the meter.")
    id = TextField(max_length=120, help_text="Id of the event at that meter.")
    content_hash = HashField(required=False, help_text="As `usage-records` tells it. Refused if it is another.")


class AdditionSerializer(StrictSerializer):
    """What a party says in a dispute, with evidence."""

    text = TextField(max_length=MAX_TEXT, help_text=READ_BY)
    files = serializers.ListField(child=NewFileSerializer(), required=False, max_length=MAX_FILES)
    usage_records = serializers.ListField(child=NamedRecordSerializer(), required=False, max_length=MAX_USAGE_RECORDS)

    @property
    def evidence(self) -> tuple[EvidenceFile, ...]:
        return tuple(EvidenceFile(**file) for file in self.validated_data.get("files", ()))

    @property
    def named_records(self) -> tuple[NamedRecord, ...]:
        return tuple(
            NamedRecord(record["meter"], record["id"], record.get("content_hash"))
            for record in self.validated_data.get("usage_records", ())
        )

    def repeated_by(self) -> dict[str, Any]:
        """What a repeat of the same request has to be equal in."""
        return {
            "text": self.validated_data["text"],
            "files": [[file.name, file.media_type, file.sha256.hex()] for file in self.evidence],
            "usage_records": [
                [record.meter, record.event_id, (record.content_hash or b"").hex()] for record in self.named_records
            ],
        }


class NewDisputeSerializer(AdditionSerializer):
    """A line to dispute."""

    statement = CountField(minimum=1, help_text="Id of the party's statement.")
    line = CountField(minimum=1, help_text="Number of the line on it.")
    amount = MicrosField(help_text="How much more the party should have; at most the line's amount.")
    reason = serializers.ChoiceField(choices=DisputeReason.choices)


class WithdrawalSerializer(StrictSerializer):
    """Why a dispute is withdrawn."""

    text = TextField(max_length=MAX_TEXT, help_text=READ_BY)


class NoticeSerializer(serializers.Serializer[PartyNotice]):
    """Something a party was told."""

    id = serializers.CharField()
    party = serializers.CharField(source="party.code")
    kind = serializers.CharField(help_text="What happened, such as dispute_opened.")
    subject = serializers.CharField(help_text="What it is about, such as dispute:7/1: entry 1 of dispute 7.")
    text = serializers.CharField()
    at = serializers.DateTimeField()
