"""What a forwarder shows: two bars on a terminal, a line now and then anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from settlement.metering.forward.outbox import GOOD
from settlement.metering.results import ItemStatus

LINE_EVERY_MS = 30_000


class Standing(NamedTuple):
    """How far it has come: bytes of the open files, events with and without an answer, lines that make no event, and
    why there is no answer."""

    read: int
    size: int
    results: Mapping[str, int]
    waiting: int
    unreadable: int
    trouble: str

    @property
    def answered(self) -> int:
        return sum(self.results.values())

    def text(self) -> str:
        """In one line."""
        parts = [f"{sum(self.results.get(status, 0) for status in GOOD)} taken"]
        bad = [status for status in ItemStatus if status not in GOOD and self.results.get(status)]
        parts += [f"{self.results[status]} {status}" for status in bad]
        if self.unreadable:
            parts.append(f"{self.unreadable} unreadable")
        if self.waiting:
            parts.append(f"{self.waiting} waiting")
        return ", ".join(parts) + (f" ({self.trouble})" if self.trouble else "")


class Display:
    """Use as a context manager around the work."""

    def __init__(self, console: Console, ticks: Callable[[], int]) -> None:
        self._console = console
        self._ticks = ticks
        self._shown_at = ticks()
        self._last = ""
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:5}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[more]}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )
        self._read = self._bars.add_task("read", total=None, more="")
        self._sent = self._bars.add_task("sent", total=None, more="")

    def show(self, standing: Standing) -> None:
        """How it stands."""
        if self._console.is_terminal:
            self._bars.update(self._read, completed=standing.read, total=standing.size)
            total = standing.answered + standing.waiting
            self._bars.update(self._sent, completed=standing.answered, total=total or None, more=standing.text())
        elif self._ticks() - self._shown_at >= LINE_EVERY_MS and standing.text() != self._last:
            self._shown_at, self._last = self._ticks(), standing.text()
            self.say(self._last)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Display:
        self._bars.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._bars.stop()
