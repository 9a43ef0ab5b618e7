"""Query parameters that several lists share the form of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters import fields  # type: ignore[import-untyped]
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from ledger.api.authentication import caller_of
from ledger.chart import Role
from ledger.errors import InvalidAmount
from ledger.models import Account, Entry, HoldEntry, Party, Transaction
from ledger.money import MAX_AMOUNT, parse_count
from ledger.selectors.entries import transactions_of


class InstantField(fields.IsoDateTimeField):  # type: ignore[misc]  # untyped base
    """An instant in ISO 8601. Turned to UTC here: the database refuses offsets of 16 hours and more."""

    def clean(self, value: Any) -> datetime | None:
        if "\0" in str(value):  # Python's own reader would stop there and take what stands before it
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        instant: datetime | None = super().clean(value)
        try:
            return None if instant is None else instant.astimezone(UTC)
        except OverflowError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None


class InstantFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]  # untyped base
    """By an instant."""

    field_class = InstantField


class CountFormField(forms.CharField):
    """A whole number that the database can hold."""

    def clean(self, value: Any) -> int | None:
        text = super().clean(value)
        try:
            return parse_count(text, field="It", maximum=MAX_AMOUNT) if text else None
        except InvalidAmount as error:
            raise ValidationError(error.message, code="invalid") from None


@extend_schema_field(OpenApiTypes.INT64)
class CountFilter(filters.Filter):  # type: ignore[misc]  # untyped base
    """By a whole number."""

    field_class = CountFormField


class AccountFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By asset, role and, for an auditor, party."""

    party = filters.CharFilter("party__code", label="Code of the party; of use to auditors.")
    asset = filters.CharFilter("asset__code", label="A currency, or the symbol of a contract.")
    role = filters.MultipleChoiceFilter(
        choices=[(role.value, role.value) for role in Role], label="Role; repeat it for several."
    )

    class Meta:
        model = Account
        fields: tuple[str, ...] = ()


class TransactionFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By what it is, when, and, for an auditor, whom it touches."""

    party = filters.CharFilter(method="of_party", label="Code of a party that it touches; of use to auditors.")
    kind = filters.CharFilter(label="Kind.")
    source = filters.CharFilter(label="What posted it.")
    reference = filters.CharFilter(label="Its name at its source.")
    posted_from = InstantFilter("posted_at", "gte", label="Posted at or after this.")
    posted_before = InstantFilter("posted_at", "lt", label="Posted before this.")
    effective_from = InstantFilter("effective_at", "gte", label="Takes effect at or after this.")
    effective_before = InstantFilter("effective_at", "lt", label="Takes effect before this.")

    class Meta:
        model = Transaction
        fields: tuple[str, ...] = ()

    def of_party(self, transactions: QuerySet[Transaction], name: str, value: str) -> QuerySet[Transaction]:
        """Nothing for a party that the caller may not read: whom a transaction of theirs touches as well is closed."""
        readable = caller_of(self.request).readable_parties
        parties = Party.objects.filter(code=value).values_list("id", flat=True)
        named = [party for party in parties if readable is None or party in readable]
        return transactions.filter(id__in=transactions_of(named).values("id"))


class EntryFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By place in the account and by transaction."""

    after = CountFilter("account_seq", "gt", label="Only entries after this number: what is new since then.")
    through_transaction = CountFilter("transaction_id", "lte", label="Only entries through this transaction.")

    class Meta:
        model = Entry
        fields: tuple[str, ...] = ()


class HoldEntryFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By place in the account and by transaction."""

    after = CountFilter("hold_seq", "gt", label="Only hold entries after this number: what is new since then.")
    through_transaction = CountFilter("transaction_id", "lte", label="Only hold entries through this transaction.")

    class Meta:
        model = HoldEntry
        fields: tuple[str, ...] = ()
