"""What lists of payments and invoice rows can be narrowed by."""

from __future__ import annotations

from django_filters import rest_framework as filters  # type: ignore[import-untyped]

from ledger.api.filters import InstantFilter
from settlement.models import InstructionState, InvoiceRow, NettedParty, PaymentInstruction


class NettedPartyFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By currency, value date and, for an auditor, party."""

    currency = filters.CharFilter("netting__currency__code", label="Currency code.")
    value_date = filters.DateFilter("netting__value_date", label="Value date, such as 2026-12-02.")
    party = filters.CharFilter("party__code", label="Code of the party; of use to auditors.")

    class Meta:
        model = NettedParty
        fields: tuple[str, ...] = ()


class InstructionFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By state, currency, value date and, for an auditor, party."""

    state = filters.ChoiceFilter(choices=InstructionState.choices, label="State of the payment.")
    currency = filters.CharFilter("netting__currency__code", label="Currency code.")
    value_date = filters.DateFilter("netting__value_date", label="Value date, such as 2026-12-02.")
    party = filters.CharFilter("party__code", label="Code of the party; of use to auditors.")

    class Meta:
        model = PaymentInstruction
        fields: tuple[str, ...] = ()


class InvoiceRowFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By run, period, supplier and recipient."""

    run = filters.NumberFilter("run_id", label="Number of the settlement run.")
    supplier = filters.CharFilter("supplier__code", label="Code of the supplier.")
    recipient = filters.CharFilter("recipient__code", label="Code of the recipient.")
    period_from = InstantFilter("run__period_start", "gte", label="Earliest start of the period.")
    period_before = InstantFilter("run__period_start", "lt", label="Start of the period before this.")

    class Meta:
        model = InvoiceRow
        fields: tuple[str, ...] = ()
