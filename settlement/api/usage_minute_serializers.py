"""The shape of usage by minute outside, and what can be asked for."""

from __future__ import annotations

from django.db.models import QuerySet
from django_filters import rest_framework as filters  # type: ignore[import-untyped]
from rest_framework import serializers

from exchange.models import Contract
from ledger.api.fields import CountField
from ledger.api.filters import InstantFilter
from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.reconcile import Side
from settlement.models import UsageMinute
from settlement.selectors.usage_minutes import NamedMinute


class UsageMinuteFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By contract and minute."""

    contract = filters.CharFilter(method="in_contract", required=True, label="Symbol of the contract.")
    minute_from = InstantFilter("minute", "gte", label="Earliest minute.")
    minute_before = InstantFilter("minute", "lt", label="Minutes before this.")

    class Meta:
        model = UsageMinute
        fields: tuple[str, ...] = ()

    def in_contract(self, minutes: QuerySet[UsageMinute], _: str, symbol: str) -> QuerySet[UsageMinute]:
        return minutes.filter(contract_id__in=Contract.objects.filter(symbol=symbol).values("id"))


class UsageMinuteSerializer(serializers.Serializer[NamedMinute]):
    """What one side's meters told of a pair in a UTC minute, as told: not reconciled, corrected events left out."""

    contract = serializers.CharField()
    buyer = serializers.CharField()
    provider = serializers.CharField()
    side = serializers.ChoiceField(
        source="sums.side", choices=[side.value for side in Side], help_text="Whose meters told it."
    )
    minute = serializers.DateTimeField(source="sums.minute", help_text="Start of the minute the provider accepted in.")
    started = CountField(source="sums.started", read_only=True, help_text="Requests begun.")
    completed = CountField(source="sums.completed", read_only=True)
    refused = CountField(source="sums.refused", read_only=True)
    tokens = serializers.SerializerMethodField(help_text="Raw tokens of completed requests by bucket.")
    contract_millitokens = CountField(
        source="sums.millitokens", read_only=True, help_text="Their weighted sum, in thousandths of a contract token."
    )
    refused_contract_millitokens = CountField(
        source="sums.refused_millitokens", read_only=True, help_text="The size of the refused demand."
    )

    def get_tokens(self, row: NamedMinute) -> dict[str, str]:
        return {bucket.value: str(getattr(row.sums, bucket)) for bucket in SETTLED_BUCKETS}
