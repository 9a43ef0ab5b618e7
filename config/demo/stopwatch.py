"""Real time that the parts of a day take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from config.demo.report import Seconds


class Stopwatch:
    """Runs from its making on."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._parts = {"trading": 0.0, "metering": 0.0, "settlement": 0.0}

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Measure a part, by its name in the report."""
        start = time.monotonic()
        yield
        self._parts[part] = time.monotonic() - start

    def seconds(self) -> Seconds:
        """All parts, and the total until now."""
        rounded = {part: round(seconds, 1) for part, seconds in self._parts.items()}
        return Seconds(**rounded, total=round(time.monotonic() - self._start, 1))
