"""What lists of settlement can be narrowed by."""

from __future__ import annotations

from django.db.models import QuerySet
from django_filters import rest_framework as filters  # type: ignore[import-untyped]

from ledger.api.filters import InstantFilter
from ledger.models import Party
from settlement.models import RunKind, RunState, SettlementRun, Statement, UsageBatch


class StatementFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By currency, kind of run, period and, for an auditor, party."""

    currency = filters.CharFilter("currency__code", label="Currency code.")
    run_kind = filters.ChoiceFilter("run__kind", choices=RunKind.choices, label="Kind of settlement run.")
    party = filters.CharFilter("party__code", label="Code of the party; of use to auditors.")
    period_from = InstantFilter("run__period_start", "gte", label="Earliest start of the period.")
    period_before = InstantFilter("run__period_start", "lt", label="Start of the period before this.")

    class Meta:
        model = Statement
        fields: tuple[str, ...] = ()


class SettlementRunFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By kind, state, currency and period."""

    kind = filters.ChoiceFilter(choices=RunKind.choices, label="Kind of settlement run.")
    state = filters.ChoiceFilter(choices=RunState.choices, label="How far it is.")
    currency = filters.CharFilter("currency__code", label="Currency code.")
    period_from = InstantFilter("period_start", "gte", label="Earliest start of the period.")
    period_before = InstantFilter("period_start", "lt", label="Start of the period before this.")

    class Meta:
        model = SettlementRun
        fields: tuple[str, ...] = ()


class UsageBatchFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By when it came, whether it was signed, and, for an auditor, whose it is."""

    party = filters.CharFilter(method="of_party", label="Code of the party; of use to auditors.")
    signed = filters.BooleanFilter("signed", label="Whether it was signed.")
    received_from = InstantFilter("received_at", "gte", label="Received at or after this.")
    received_before = InstantFilter("received_at", "lt", label="Received before this.")

    class Meta:
        model = UsageBatch
        fields: tuple[str, ...] = ()

    def of_party(self, batches: QuerySet[UsageBatch], name: str, value: str) -> QuerySet[UsageBatch]:
        return batches.filter(party_id__in=Party.objects.filter(code=value).values("id"))
