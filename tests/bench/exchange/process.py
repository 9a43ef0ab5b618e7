"""The sequencer as a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.bench.parts import Database
from tests.bench.process import running


@contextmanager
def running_sequencer(database: Database) -> Iterator[psutil.Process]:
    with running(database, "manage.py", "run_sequencer") as process:
        yield process
