"""Money and token amounts: integers inside, decimal strings outside.

The one formatter and the one parser. Money is integer micros (1e-6 of a currency). No float, ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NewType

from ledger.errors import InvalidAmount

Micros = NewType("Micros", int)
Tokens = NewType("Tokens", int)

MICROS_PER_UNIT = 1_000_000
MAX_AMOUNT = 2**63 - 1  # what a bigint column holds
MAX_JSON_INTEGER = 2**53 - 1  # what every JSON reader keeps exactly

_DECIMAL = re.compile(r"(-?)(\d{1,13})(?:\.(\d{1,6}))?", re.ASCII)


def format_micros(micros: int) -> str:
    """1234500 -> "1.234500": six fraction digits, always."""
    digits = str(micros).zfill(8 if micros < 0 else 7)
    return f"{digits[:-6]}.{digits[-6:]}"


def parse_micros(text: object, *, field: str = "amount") -> Micros:
    """ "1.2345" -> 1234500. Takes decimal strings with at most six fraction digits; raises `InvalidAmount`."""
    match = _DECIMAL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidAmount(
            f"{field} must be a decimal string with at most six fraction digits, such as '4.200000'.",
            field=field,
        )
    sign, units, fraction = match.groups()
    micros = int(units) * MICROS_PER_UNIT + int((fraction or "").ljust(6, "0"))
    return Micros(-micros if sign else micros)


def parse_count(value: object, *, field: str, minimum: int = 0, maximum: int = MAX_JSON_INTEGER) -> int:
    """An integer, or its decimal string, within bounds. Booleans and floats are refused with `InvalidAmount`."""
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value, re.ASCII):
        number = int(value)
    if number is None or not minimum <= number <= maximum:
        raise InvalidAmount(
            f"{field} must be a whole number from {minimum} to {maximum}.",
            field=field,
            minimum=str(minimum),
            maximum=str(maximum),
        )
    return number


def div_ceil(dividend: int, divisor: int) -> int:
    """Division rounded up; for what the house must be sure to hold."""
    return -(-dividend // divisor)


def split_largest_remainder(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Shares of `total` (>= 0) by integer weights that sum to the whole.

    Each share is rounded down and the units left go to the largest remainders, ties to the lowest id, so the
    shares always sum to `total`.
    """
    whole = sum(weights.values())
    if total < 0 or whole <= 0 or min(weights.values()) < 0:
        raise InvalidAmount("A split needs a total of at least 0 and weights that sum to more than 0.", field="weights")
    shares = {owner: total * weight // whole for owner, weight in weights.items()}
    left = total - sum(shares.values())
    by_remainder = sorted(weights, key=lambda owner: (-(total * weights[owner] % whole), owner))
    for owner in by_remainder[:left]:
        shares[owner] += 1
    return shares
