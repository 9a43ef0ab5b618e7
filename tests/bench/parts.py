"""Which benchmarks there are, and what each is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from config.demo.display import Advance
from tests.bench.figures import Figure

# Each names a module with BENCHMARKS, imported when Django stands.
PARTS = {name: f"tests.bench.{name}.benchmarks" for name in ("ledger", "exchange", "metering", "settlement")}


class BenchFailed(Exception):
    """The benchmarks cannot go on; the message says why."""


class Database(Protocol):
    """A migrated database of the benchmark's own."""

    @property
    def url(self) -> str:
        """Where other processes find it as the application role."""

    def use(self) -> None:
        """Point Django's `default` connection at it as the application role, `owner` as the owner."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a benchmark works with: databases to make, which go with their block, and progress bars to move."""

    fresh_database: Callable[[], AbstractContextManager[Database]]
    progress: Callable[[str, int | None], AbstractContextManager[Advance]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One run that yields figures which belong together."""

    name: str
    run: Callable[[Bench], list[Figure]]


def rounds(most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> Iterator[int]:
    """Numbers of rounds, until there were `most` or none fits into the seconds any more; at least one.

    A part must end within ten minutes on a slow machine too.
    """
    started = clock()
    for done in range(most):
        passed = clock() - started
        if done and passed * (done + 1) > seconds * done:
            return
        yield done


def chosen(only: str | None) -> Iterator[Benchmark]:
    """The benchmarks of one part, or of all."""
    for part, module in PARTS.items():
        if only in (None, part):
            yield from import_module(module).BENCHMARKS
