"""What lists of settlement can be narrowed by."""

from __future__ import annotations

from django_filters import rest_framework as filters  # type: ignore[import-untyped]

from ledger.api.filters import InstantFilter
from settlement.models import RunKind, Statement


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
