"""Serializer fields for what only an exchange has: prices in ticks, and window lengths."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from exchange.clearing.prices import format_price, parse_lots
from exchange.clearing.terms import MAX_ORDER_LOTS
from exchange.windows import format_length
from ledger.api.fields import AMOUNT_PATTERN, TextField


@extend_schema_field({"type": "string", "pattern": AMOUNT_PATTERN, "example": "4.210000", "nullable": True})
class TicksField(serializers.Field[Any, Any, Any, Any]):
    """A price per million contract tokens, from a row's ticks (`ticks` names the attribute) and its `tick_micros`."""

    def __init__(self, ticks: str = "price_ticks", **kwargs: Any) -> None:
        super().__init__(source="*", read_only=True, **kwargs)
        self.ticks = ticks

    def to_representation(self, value: Any) -> str | None:
        price_ticks: int | None = getattr(value, self.ticks)
        return None if price_ticks is None else format_price(value.tick_micros, price_ticks)


@extend_schema_field({"type": "string", "example": "1H"})
class LengthField(serializers.Field[Any, Any, Any, Any]):
    """A window's length, such as 10MIN, 1H or 1D, from a row's `window_seconds` unless told otherwise."""

    def __init__(self, *, source: str = "window_seconds", **kwargs: Any) -> None:
        super().__init__(source=source, read_only=True, **kwargs)

    def to_representation(self, value: int) -> str:
        return format_length(value)


@extend_schema_field({"type": "string", "format": "date-time", "example": "2026-12-01T13:00:00Z"})
class InstantField(serializers.Field[datetime, Any, str, Any]):
    """An instant in ISO 8601 that names its offset from UTC; without one it could mean two things."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid": "Send an instant such as '2026-12-01T13:00:00Z', with its offset from UTC."
    }

    def to_internal_value(self, data: Any) -> datetime:
        try:
            instant = datetime.fromisoformat(data)
            utc = instant.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            self.fail("invalid")
        if instant.tzinfo is None:
            self.fail("invalid")
        return utc

    def to_representation(self, value: datetime) -> str:
        return str(serializers.DateTimeField().to_representation(value))


class PriceTextField(TextField):
    """A price as it is sent; what its text must be depends on the contract."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid": "Send a decimal string such as '4.210000', not a number."
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=40, trim_whitespace=False, **kwargs)


@extend_schema_field(
    {"type": "string", "pattern": r"^\d{1,7}$", "example": "3", "description": f"Whole lots, 1 to {MAX_ORDER_LOTS}."}
)
class LotsField(serializers.Field[int, Any, str, Any]):
    """A quantity to trade. Refuses with the domain's `invalid_quantity`."""

    def to_internal_value(self, data: Any) -> int:
        return parse_lots(data, field=self.field_name or "lots")

    def to_representation(self, value: int) -> str:
        return str(value)


@extend_schema_field(
    {"type": "string", "pattern": r"^\d{1,7}$", "example": "2", "description": f"Whole lots, 0 to {MAX_ORDER_LOTS}."}
)
class NewLotsField(LotsField):
    """A quantity that an order is changed to; none at all closes it."""

    def to_internal_value(self, data: Any) -> int:
        return 0 if data == "0" or (type(data) is int and not data) else super().to_internal_value(data)
