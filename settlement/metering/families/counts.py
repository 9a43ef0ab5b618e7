"""Reading counts from a provider's usage object, strictly.

A count is a JSON integer from 0 to 2^53 - 1. `1.0` is none: no provider writes it, so it comes from a program between
the provider and us that holds tokens in floating point, and such a program rounds. Null is the same as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.money import MAX_JSON_INTEGER
from settlement.metering.buckets import QuarantineReason
from settlement.metering.families.names import families_of, foreign_inside

Usage = Mapping[str, Any]

PART = "part"  # a count inside its whole, not a modality
_FOREIGN = "foreign"
_NOTHING: Mapping[str, int] = {}


class Unusable(Exception):
    """The object cannot be read as its family defines. Raised by adapters, caught by `families.extract`."""

    def __init__(self, reason: QuarantineReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def count(usage: Usage, name: str) -> int | None:
    """A count, or None if it is absent or null."""
    value = usage.get(name)
    # Exactly int: True is one, too, but no count.
    if type(value) is int and 0 <= value <= MAX_JSON_INTEGER:
        return value
    if value is None:
        return None
    raise bad_count(name, value)


def bad_count(name: str, value: object) -> Unusable:
    """What is wrong with a value that is no count."""
    if type(value) is not int:
        return Unusable(QuarantineReason.INVALID_COUNT, f"{name} is not a JSON integer.")
    if value < 0:
        return Unusable(QuarantineReason.NEGATIVE_COUNT, f"{name} is negative.")
    return Unusable(QuarantineReason.COUNT_OUT_OF_RANGE, f"{name} is more than {MAX_JSON_INTEGER}.")


def either(usage: Usage, name: str, other_name: str) -> int | None:
    """A count that goes by two names, or None if it is absent. Stated under both, it must be the same."""
    value, other = count(usage, name), count(usage, other_name)
    if value is None:
        return other
    if other is not None and other != value:
        raise contradiction(name, value, other_name, other)
    return value


def contradiction(name: str, value: int, other_name: str, other: int) -> Unusable:
    return Unusable(QuarantineReason.CONTRADICTORY_COUNTS, f"{name} is {value}, but {other_name} is {other}.")


def exceeds(of: str, excess: int) -> Unusable:
    return Unusable(QuarantineReason.PARTS_EXCEED_WHOLE, f"The parts of {of} exceed it by {excess}.")


def section(usage: Usage, name: str) -> Usage:
    """A nested object; absent or null is the empty one."""
    value = usage.get(name)
    if value is None:
        return {}
    if type(value) is not dict:
        raise Unusable(QuarantineReason.MALFORMED, f"{name} is not an object.")
    return value


def entries(usage: Usage, name: str) -> list[Usage]:
    """A nested list of objects; absent or null is the empty one."""
    value = usage.get(name)
    if value is None:
        return []
    if type(value) is not list or not all(type(entry) is dict for entry in value):
        raise Unusable(QuarantineReason.MALFORMED, f"{name} is not a list of objects.")
    return value


def details_of(kinds: Mapping[str, str]) -> Mapping[str, str]:
    """The table for `read_details`: a name inside the details to its modality, or to `PART`."""
    return dict.fromkeys(foreign_inside(frozenset(kinds)), _FOREIGN) | dict(kinds)


def read_details(
    usage: Usage, name: str, kinds: Mapping[str, str], whole: int | None
) -> tuple[Usage, Mapping[str, int]]:
    """The details of a whole with every known count in them checked, and the whole's tokens by modality.

    One pass, as this is the costly part of most objects. Each count is at most its whole; modalities exclude each
    other, so their sum is, too. Other parts may overlap with them.
    """
    details = section(usage, name)
    if not details:
        return details, _NOTHING
    limit = MAX_JSON_INTEGER if whole is None else whole
    modalities: dict[str, int] = {}
    for key, value in details.items():
        kind = kinds.get(key)
        if kind is None or value is None:
            continue
        if kind == _FOREIGN:
            refuse_foreign(key, value)
        elif type(value) is not int or not 0 <= value <= limit:
            raise _bad_part(f"{name}.{key}", value, limit)
        elif value and kind != PART:
            modalities[kind] = value
    if len(modalities) > 1 and sum(modalities.values()) > limit:
        raise exceeds(f"the whole that {name} details", sum(modalities.values()) - limit)
    return details, modalities


def _bad_part(name: str, value: object, limit: int) -> Unusable:
    if type(value) is int and limit < value <= MAX_JSON_INTEGER:
        return Unusable(QuarantineReason.PARTS_EXCEED_WHOLE, f"{name} exceeds its whole by {value - limit}.")
    return bad_count(name, value)


def refuse_foreign(name: str, value: object) -> None:
    """A count under another family's name is a mix-up. Null, 0 and empty state nothing: gateways fill in both forms."""
    stated = list(value.values()) if type(value) is dict else [value]
    if all(each is None or each == [] or each == {} or (type(each) is int and each == 0) for each in stated):
        return
    owners = families_of(name)
    belongs = f"belongs to {', '.join(owners)}" if owners else "has no place here"
    raise Unusable(QuarantineReason.WRONG_FAMILY, f"{name} states tokens, but {belongs}.")
