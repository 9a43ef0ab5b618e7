"""How pages show amounts, times and digests. The digits come from `ledger.money`; only grouping is added here."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ledger.money import format_micros

register = template.Library()

MINUS = "\N{MINUS SIGN}"
INSIGNIFICANT_MAX = 4  # of six fraction digits: amounts are read with two at least


def group_digits(text: str) -> str:
    """ "1234567.500000" -> "1,234,567.500000"; also for whole numbers and with a sign."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, fraction = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{fraction}"


@register.filter
def money(micros: int | None) -> SafeString | str:
    """Micros as a decimal amount. Zeros that say nothing are drawn paler; no digit is left out."""
    return "" if micros is None else decimal(format_micros(micros))


@register.filter
def decimal(text: str) -> SafeString:
    """The same for an amount that is a decimal string already."""
    grouped = group_digits(text).replace("-", MINUS)
    keep = max(len(grouped.rstrip("0")), len(grouped) - INSIGNIFICANT_MAX)
    return format_html('<span class="amount">{}<small>{}</small></span>', grouped[:keep], grouped[keep:])


@register.filter
def count(number: int | str | None) -> str:
    """Tokens, lots and other whole numbers with their thousands grouped."""
    return "" if number in (None, "") else group_digits(str(number)).replace("-", MINUS)


@register.filter
def signed(number: int) -> str:
    """A whole number with its sign, plus included."""
    return f"+{group_digits(str(number))}" if number > 0 else count(number)


@register.filter
def percent(ppm: int) -> str:
    """Parts per million as percent: 700000 -> "70 %", 125000 -> "12.5 %"."""
    whole, rest = divmod(ppm, 10_000)
    fraction = f".{rest:04d}".rstrip("0") if rest else ""
    return f"{whole}{fraction} %"


@register.filter
def permille(number: int) -> str:
    """600 -> "60 %"."""
    return percent(number * 1000)


@register.filter
def thousandths(number: int | str | None) -> str:
    """1500 -> "1.5", 4000 -> "4", 1234000 -> "1,234"; also of an integer string."""
    if number is None or number == "":
        return ""
    whole, rest = divmod(int(number), 1000)
    return f"{whole:,}.{rest:03d}".rstrip("0") if rest else f"{whole:,}"


@register.filter
def words(code: str) -> str:
    """ "input_cache_read" -> "Input cache read"."""
    return code.replace("_", " ").capitalize()


@register.filter
def micros(text: str | int) -> SafeString | str:
    """Micros that travelled as an integer string."""
    return money(int(text))


@register.filter
def utc(moment: datetime | None) -> SafeString | str:
    """2026-12-01 14:00 UTC."""
    return "" if moment is None else _time(moment, f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC")


@register.filter
def utc_seconds(moment: datetime | None) -> SafeString | str:
    """2026-12-01 14:00:07 UTC."""
    return "" if moment is None else _time(moment, f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")


@register.simple_tag
def period(start: datetime, end: datetime) -> SafeString:
    """2026-12-01 14:00–15:00 UTC, or with both days if they differ."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return format_html('<span class="nowrap">{}\N{EN DASH}{} UTC</span>', f"{start:%Y-%m-%d %H:%M}", until)


@register.filter
def short_hex(digest: bytes | memoryview | str | None) -> SafeString | str:
    """A digest cut to twelve digits, whole in the tooltip."""
    if not digest:
        return ""
    text = digest if isinstance(digest, str) else bytes(digest).hex()
    return format_html('<code class="digest" title="{}">{}…</code>', text, text[:12])


@register.filter
def whole_hex(digest: bytes | memoryview | None) -> str:
    """A digest in full."""
    return "" if digest is None else bytes(digest).hex()


@register.filter
def without_before(query: QueryDict) -> str:
    """A query string without its place in the table, to go on from there."""
    kept = query.copy()
    kept.pop("before", None)
    return kept.urlencode()


def _time(moment: datetime, text: str) -> SafeString:
    return format_html('<time datetime="{}">{}</time>', moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), text)
