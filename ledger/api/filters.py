"""Query parameters that several lists share the form of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django_filters import fields  # type: ignore[import-untyped]
from django_filters import rest_framework as filters


class InstantField(fields.IsoDateTimeField):  # type: ignore[misc]  # untyped base
    """An instant in ISO 8601. Turned to UTC here: the database refuses offsets of 16 hours and more."""

    def clean(self, value: Any) -> datetime | None:
        instant: datetime | None = super().clean(value)
        try:
            return None if instant is None else instant.astimezone(UTC)
        except OverflowError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None


class InstantFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]  # untyped base
    """By an instant."""

    field_class = InstantField
