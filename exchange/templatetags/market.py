"""How pages show delivery windows."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exchange.wording import describe_length, describe_window

register = template.Library()

ISO_SECONDS = "%Y-%m-%dT%H:%M:%SZ"

register.filter("duration", describe_length)


@register.simple_tag
def window(start: datetime, end: datetime) -> SafeString:
    """A delivery window in words."""
    return format_html('<time datetime="{}">{}</time>', start.astimezone(UTC).isoformat(), describe_window(start, end))


@register.simple_tag
def countdown(until: datetime, now: datetime) -> SafeString:
    """A time that a script turns into what is left until then, by the clock of the page; without it, the time."""
    at = f"{until.astimezone(UTC):{ISO_SECONDS}}"
    text = f"{until.astimezone(UTC):%d %b %H:%M} UTC"
    if until <= now:
        return format_html('<time datetime="{}">{}</time>', at, text)
    read_at = f"{now.astimezone(UTC):{ISO_SECONDS}}"
    return format_html('<time datetime="{}" data-countdown data-now="{}">{}</time>', at, read_at, text)
