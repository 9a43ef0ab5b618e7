"""Serializer fields for the product's outside forms, and serializers that refuse what they do not know.

A wrong amount leaves as the domain's own refusal, with its own code, instead of a general one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ledger.money import format_micros, parse_count, parse_micros

AMOUNT_PATTERN = r"^-?\d{1,13}(\.\d{1,6})?$"
COUNT_PATTERN = r"^-?\d{1,20}$"
ASSET_AMOUNT_PATTERN = r"^-?\d{1,19}(\.\d{6})?$"


class StrictSerializer(serializers.Serializer[Any]):
    """A request body: members it does not name are refused, since a misspelt one would silently mean its default."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                raise serializers.ValidationError({name: ["This member is not known here."] for name in unknown[:20]})
        return super().to_internal_value(data)


class TextField(serializers.CharField):
    """A JSON string; numbers are not turned into one."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "Send a JSON string."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class JsonIntegerField(serializers.IntegerField):
    """A JSON integer; texts that Python would take for one, such as "1_0", are not."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return data


@extend_schema_field({"type": "string", "pattern": AMOUNT_PATTERN, "example": "4.210000"})
class MicrosField(serializers.Field[int, Any, str, Any]):
    """An amount or price: integer micros inside, a decimal string with six fraction digits outside."""

    def to_internal_value(self, data: Any) -> int:
        return parse_micros(data, field=self.field_name or "amount")

    def to_representation(self, value: int) -> str:
        return format_micros(value)


@extend_schema_field({"type": "string", "pattern": COUNT_PATTERN, "example": "3"})
class CountField(serializers.Field[int, Any, str, Any]):
    """Tokens, lots and the like: an integer inside, an integer string outside; takes JSON integers too."""

    def __init__(self, *, minimum: int = 0, maximum: int = 2**53 - 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minimum, self.maximum = minimum, maximum

    def to_internal_value(self, data: Any) -> int:
        return parse_count(data, field=self.field_name or "count", minimum=self.minimum, maximum=self.maximum)

    def to_representation(self, value: int) -> str:
        return str(value)


@extend_schema_field({"type": "string", "pattern": ASSET_AMOUNT_PATTERN, "example": "4.210000"})
class AssetAmountField(serializers.Field[Any, Any, Any, Any]):
    """An amount of a row's asset, read from its `attribute`: a decimal string if the row says that it is `in_money`, an
    integer string for contract tokens. Never read."""

    def __init__(self, attribute: str, **kwargs: Any) -> None:
        super().__init__(source="*", read_only=True, **kwargs)
        self.attribute = attribute

    def to_representation(self, value: Any) -> str | None:
        amount: int | None = getattr(value, self.attribute)
        if amount is None:
            return None
        return format_micros(amount) if value.in_money else str(amount)


@extend_schema_field({"type": "string", "pattern": "^[0-9a-f]{64}$"})
class DigestField(serializers.Field[bytes, Any, str, Any]):
    """A SHA-256 digest, as hexadecimal text. Never read."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, value: bytes) -> str:
        return bytes(value).hex()
