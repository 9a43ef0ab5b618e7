"""The shapes of discrepancy cases and of the bias register outside."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ledger.api.fields import CountField, StrictSerializer, TextField
from settlement.metering.cases import MAX_TEXT
from settlement.metering.records import CaseKind
from settlement.models import CaseEntry, CaseEntryKind, CaseState, DiscrepancyCase
from settlement.selectors.cases import RegisterEntry, list_entries


class CaseSerializer(serializers.Serializer[DiscrepancyCase]):
    """One kind of discrepancy between a buyer's and a provider's meters in a contract, over all its requests."""

    id = serializers.CharField()
    contract = serializers.CharField(source="symbol", help_text="Its symbol.")
    buyer = serializers.CharField(source="buyer_code")
    provider = serializers.CharField(source="provider_code")
    kind = serializers.ChoiceField(choices=[kind.value for kind in CaseKind])
    state = serializers.ChoiceField(choices=CaseState.choices)
    opened_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    requests = CountField(read_only=True)
    provider_millitokens = CountField(
        read_only=True,
        help_text="What the provider's meters say of these requests, in thousandths of a contract token.",
    )
    buyer_millitokens = CountField(read_only=True, help_text="What the buyer's meters say.")
    settled_millitokens = CountField(read_only=True, help_text="What settles.")
    ruling = serializers.SerializerMethodField(help_text="Proposed, or decided: whose record settles; null if neither.")

    def get_ruling(self, case: DiscrepancyCase) -> str | None:
        return case.ruling or None


class CaseEntrySerializer(serializers.Serializer[CaseEntry]):
    """What happened in a case."""

    sequence = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=CaseEntryKind.choices)
    at = serializers.DateTimeField()
    by = serializers.SerializerMethodField(help_text="Code of the party whose word it is, or `exchange`.")
    text = serializers.CharField()
    details = serializers.JSONField(
        help_text="Of a finding: the figures, tokens by bucket, and up to 100 requests with both sides' figures."
    )

    def get_by(self, entry: Any) -> str:
        return entry.party_code or "exchange"


class CaseDetailSerializer(CaseSerializer):
    """A case with all that happened in it."""

    entries = serializers.SerializerMethodField()

    def get_entries(self, case: DiscrepancyCase) -> list[dict[str, Any]]:
        return [CaseEntrySerializer(entry).data for entry in list_entries(case)]


class NewStatementSerializer(StrictSerializer):
    """What a party says in a case."""

    text = TextField(max_length=MAX_TEXT, help_text="Read by the other side, the operators and the auditor.")


class RegisterSerializer(serializers.Serializer[RegisterEntry]):
    """How a pair's figures lean inside the tolerance: over 30 days of windows, since it was last restored."""

    provider = serializers.CharField()
    buyer = serializers.CharField()
    product = serializers.CharField()
    latest_window = serializers.DateTimeField(
        source="latest.delivery_start", help_text="Start of the latest window that was reconciled."
    )
    compared_requests = CountField(source="register.compared", read_only=True)
    differing_requests = CountField(source="register.differing", read_only=True)
    difference_millitokens = CountField(source="register.difference_millitokens", read_only=True)
    tolerance_millitokens = CountField(source="register.tolerance_millitokens", read_only=True)
    buckets = serializers.SerializerMethodField(help_text="By bucket: difference, tolerance and differing requests.")
    leaning = serializers.SerializerMethodField(help_text="Buckets that lean one way by more than chance explains.")
    tolerance_zero = serializers.BooleanField(
        help_text="Whether windows that start from now on are settled without tolerance."
    )
    decided_at = serializers.SerializerMethodField(help_text="When the tolerance was last taken or restored.")

    def get_buckets(self, entry: RegisterEntry) -> dict[str, dict[str, str]]:
        return entry.register.as_dict()

    def get_leaning(self, entry: RegisterEntry) -> list[str]:
        return [bucket.value for bucket in entry.register.leaning]

    def get_decided_at(self, entry: RegisterEntry) -> str | None:
        return None if entry.decision is None else entry.decision.decided_at.isoformat()
