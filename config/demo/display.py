"""What the terminal shows while the day goes by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

Advance = Callable[..., None]


class Display:
    """Progress bars, one a part of the day. Use as a context manager around all of them."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description:24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )

    @contextmanager
    def part(self, title: str, steps: int | None = None) -> Iterator[Advance]:
        """A bar of so many steps (unknown: None); yields what moves it on, from any thread."""
        task = self._progress.add_task(title, total=steps)

        def advance(by: int = 1) -> None:
            self._progress.advance(task, by)

        yield advance
        done = self._progress.tasks[task].completed
        self._progress.update(task, total=done, completed=done)

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._progress.stop()
