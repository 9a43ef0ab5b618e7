"""The shapes of statements outside."""

from __future__ import annotations

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ledger.api.fields import DigestField
from settlement.models import RunKind, Statement
from settlement.selectors.statement_files import FILE_FORMS
from settlement.selectors.statement_records import RecordProof
from settlement.statements.content import signed_payload

HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


class StatementSerializer(serializers.Serializer[Statement]):
    """What a party is owed and why, for one settlement run; the signed file is its `download`."""

    id = serializers.CharField()
    party = serializers.CharField(source="party.code")
    currency = serializers.CharField(source="currency.code")
    sequence = serializers.IntegerField(
        allow_null=True, help_text="Its place in the chain of the party and currency; null for an indicative one."
    )
    run = serializers.CharField(source="run_id", help_text="Id of the settlement run.")
    run_kind = serializers.ChoiceField(source="run.kind", choices=RunKind.choices)
    period_start = serializers.DateTimeField(source="run.period_start")
    period_end = serializers.DateTimeField(source="run.period_end")
    core_digest = DigestField()
    previous_digest = DigestField(allow_null=True)
    issued_at = serializers.DateTimeField()
    download = serializers.SerializerMethodField(help_text="Address of the signed file.")
    forms = serializers.SerializerMethodField(help_text="Addresses of all its forms, by their names.")

    def get_download(self, statement: Statement) -> str:
        return f"/api/v1/statements/{statement.pk}/download"

    def get_forms(self, statement: Statement) -> dict[str, str]:
        return {form: f"/api/v1/statements/{statement.pk}/files/{form}" for form in FILE_FORMS}


class StatementDetailSerializer(StatementSerializer):
    """With the content that is signed. Verify the downloaded file before relying on it."""

    content = serializers.SerializerMethodField(help_text="The signed payload: `core` and `annex`.")

    def get_content(self, statement: Statement) -> dict[str, Any]:
        return signed_payload(statement.jws)


class RecordsSerializer(serializers.Serializer[Any]):
    """A stretch of a statement's records."""

    count = serializers.IntegerField(help_text="How many records the statement has.")
    root = serializers.CharField(help_text="Their Merkle root, as it is signed.")  # type: ignore[assignment]  # a field so named
    items = serializers.ListField(
        child=serializers.DictField(),
        help_text="Records: `record` (line, metering or split), `number`, `body`, `salt`.",
    )
    next = serializers.IntegerField(allow_null=True, help_text="Where to go on from; null at the end.")


class RecordProofSerializer(serializers.Serializer[RecordProof]):
    """A record with its inclusion path (RFC 9162, 2.1.3.1)."""

    number = serializers.IntegerField(help_text="From 1.")
    record = serializers.SerializerMethodField(help_text="The record, read.")
    text = serializers.CharField(help_text="The record byte for byte; the leaf is SHA-256 of a zero byte and this.")
    leaf = DigestField()
    index = serializers.IntegerField(help_text="Place of the leaf, from 0.")
    size = serializers.IntegerField(help_text="How many leaves there are.")
    path = serializers.SerializerMethodField(help_text="The hashes that lead to the root, nearest the leaf first.")
    root = DigestField()  # type: ignore[assignment]  # a field so named

    def get_record(self, proof: RecordProof) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(proof.text)
        return record

    @extend_schema_field({"type": "array", "items": HASH})
    def get_path(self, proof: RecordProof) -> list[str]:
        return [node.hex() for node in proof.path]
