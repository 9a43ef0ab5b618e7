"""The clock that the configuration hands in. Entry points read it once and pass `now` on."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string


class Clock(Protocol):
    def now(self) -> datetime:
        """The current instant, UTC."""


@cache
def get_clock() -> Clock:
    """The clock named by `settings.CLOCK`."""
    clock: Clock = import_string(settings.CLOCK)()
    return clock
