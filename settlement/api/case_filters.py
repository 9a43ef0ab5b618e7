"""What the list of discrepancy cases can be narrowed by."""

from __future__ import annotations

from django.db.models import QuerySet
from django_filters import rest_framework as filters  # type: ignore[import-untyped]

from exchange.models import Contract
from settlement.metering.records import CaseKind
from settlement.models import CaseState, DiscrepancyCase


class CaseFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By contract, kind and state."""

    contract = filters.CharFilter(method="of_contract", label="Symbol of the contract.")
    kind = filters.ChoiceFilter(choices=[(kind.value, kind.value) for kind in CaseKind], label="Kind of discrepancy.")
    state = filters.ChoiceFilter(choices=CaseState.choices, label="State of the case.")

    class Meta:
        model = DiscrepancyCase
        fields: tuple[str, ...] = ()

    def of_contract(self, cases: QuerySet[DiscrepancyCase], name: str, value: str) -> QuerySet[DiscrepancyCase]:
        return cases.filter(contract_id__in=Contract.objects.filter(symbol=value).values("id"))
