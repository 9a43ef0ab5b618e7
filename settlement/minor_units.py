"""How many decimals banks and invoices give a currency. Pure.

Source: ISO 4217, table A.1. What is not listed has two.
"""

from __future__ import annotations

from ledger.money import MICROS_PER_UNIT

USUAL_DIGITS = 2
_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_DIGITS_OF = {code: digits for digits, codes in _DIGITS.items() for code in codes.split()}


def digits_of(currency: str) -> int:
    """Decimals of a currency's minor unit, 0 to 4."""
    return _DIGITS_OF.get(currency, USUAL_DIGITS)


def micros_per_minor(currency: str) -> int:
    """How many micros one minor unit is: 10,000 for CNY."""
    whole: int = MICROS_PER_UNIT // 10 ** digits_of(currency)
    return whole


def format_minor(minor: int, currency: str) -> str:
    """123456 fen -> "1234.56": as many decimals as the currency has, always."""
    digits = digits_of(currency)
    sign = "-" if minor < 0 else ""
    units, fraction = divmod(abs(minor), 10**digits)
    return f"{sign}{units}.{fraction:0{digits}d}" if digits else f"{sign}{units}"


def round_to_minor(micros: int, currency: str) -> int:
    """Micros as minor units, halves away from zero."""
    unit = micros_per_minor(currency)
    rounded = (2 * abs(micros) + unit) // (2 * unit)
    return -rounded if micros < 0 else rounded
