"""The shapes of checkpoints, seals and audit runs outside."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ledger.api.fields import CountField, DigestField
from ledger.models import AuditRun, AuditScope, Checkpoint, PeriodSeal


class CheckpointSerializer(serializers.Serializer[Checkpoint]):
    """A signed head of the log."""

    size = CountField(help_text="Batches in the log.")
    root = DigestField(  # type: ignore[assignment]  # a field so named
        help_text="Merkle root of RFC 6962 over the records of these batches."
    )
    note = serializers.CharField(help_text="The signed note (C2SP tlog-checkpoint), as it is served at `/checkpoint`.")
    signed_at = serializers.DateTimeField()


class SealSerializer(serializers.Serializer[PeriodSeal]):
    """The balances of all accounts at the end of a period, under one root."""

    period = serializers.CharField(help_text="A UTC day such as 2026-12-01 or a month such as 2026-12.")
    ends_at = serializers.DateTimeField()
    through_transaction = CountField(help_text="The last transaction that the balances include.")
    accounts = CountField(help_text="Accounts under the root: those with an entry or a hold by then.")
    root = DigestField()  # type: ignore[assignment]  # a field so named
    transaction_id = serializers.CharField(help_text="The transaction that put the root into the journal.")
    sealed_at = serializers.DateTimeField()


class AuditRunSerializer(serializers.Serializer[AuditRun]):
    """One pass of the audit over the journal."""

    id = serializers.CharField()
    scope = serializers.ChoiceField(choices=AuditScope.choices)
    actor = serializers.CharField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField()
    from_transaction = CountField(help_text="The first transaction it looked at.")
    through_transaction = CountField(help_text="The last.")
    through_batch = CountField()
    entries = CountField(help_text="Entries it looked at.")
    findings = CountField(help_text="0 when everything held.")


class AuditFindingSerializer(serializers.Serializer[Any]):
    """One thing that is not as it should be."""

    subject = serializers.CharField()
    detail = serializers.CharField()


class AuditCheckSerializer(serializers.Serializer[Any]):
    """What one check found."""

    check = serializers.CharField()
    title = serializers.CharField()
    rows = CountField(help_text="Rows it looked at.")
    milliseconds = CountField()
    found = CountField(help_text="All it found; `findings` may hold the first of them alone.")
    findings = AuditFindingSerializer(many=True)


class AuditRunDetailSerializer(AuditRunSerializer):
    """One pass of the audit, check by check."""

    report = AuditCheckSerializer(many=True)
