"""The sequencer as a process of its own, and other processes beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from config.environment import CHECKOUT
from tests.bench.parts import Database

STOP_SECONDS = 20
MIB = 2**20


@contextmanager
def running(database: Database, *arguments: str) -> Iterator[psutil.Process]:
    """Run this Python with these arguments on a database until the end of the block."""
    environment = os.environ | {"DATABASE_URL": database.url}
    environment.pop("DATABASE_OWNER_URL", None)
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=CHECKOUT, env=environment, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def running_sequencer(database: Database) -> Iterator[psutil.Process]:
    with running(database, "manage.py", "run_sequencer") as process:
        yield process
