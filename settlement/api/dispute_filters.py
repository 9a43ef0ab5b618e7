"""What lists of disputes and notices can be narrowed by."""

from __future__ import annotations

from django.db.models import QuerySet
from django_filters import rest_framework as filters  # type: ignore[import-untyped]

from exchange.models import Contract
from ledger.api.filters import CountFilter
from settlement.models import Dispute, DisputeReason, DisputeState, PartyNotice


class DisputeFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By contract, statement, reason and state."""

    contract = filters.CharFilter(method="of_contract", label="Symbol of the contract.")
    statement = CountFilter("statement_id", label="Id of the statement.")
    reason = filters.ChoiceFilter(choices=DisputeReason.choices, label="Reason.")
    state = filters.ChoiceFilter(choices=DisputeState.choices, label="State of the dispute.")

    class Meta:
        model = Dispute
        fields: tuple[str, ...] = ()

    def of_contract(self, disputes: QuerySet[Dispute], name: str, value: str) -> QuerySet[Dispute]:
        return disputes.filter(contract_id__in=Contract.objects.filter(symbol=value).values("id"))


class NoticeFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By kind, and for an auditor, by whom it was for."""

    kind = filters.CharFilter(label="Kind of notice, such as dispute_opened.")
    party = filters.CharFilter("party__code", label="Code of the party; of use to auditors.")

    class Meta:
        model = PartyNotice
        fields: tuple[str, ...] = ()
