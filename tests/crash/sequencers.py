"""Sequencer processes for tests that kill them."""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

import psycopg
from django.db import connection

from config.environment import CHECKOUT
from exchange.models import SequencerState
from exchange.sequencer.lease import SEQUENCER_LOCK
from tests.conftest import DatabaseUrls

PATIENCE_SECONDS = 30.0
LONGER = int(os.environ.get("TOKENBOURSE_SOAK", "1"))  # how many times as many crashes as in a test run

Process = subprocess.Popen[bytes]


def seeded() -> random.Random:
    """What a crash test draws from; a failed test shows the seed."""
    seed = secrets.randbits(32)
    print("seed", seed)
    return random.Random(seed)


def start(urls: DatabaseUrls) -> Process:
    return start_in(urls.environment())


def start_in(environment: Mapping[str, str], log: IO[bytes] | None = None) -> Process:
    """A sequencer whose environment names the database. What it says goes into `log`, or to the test's own."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "run_sequencer"],
        cwd=CHECKOUT,
        env={**environment, "TOKENBOURSE_CLOCK": "simulated"},
        stderr=log,
    )


@contextmanager
def processes() -> Iterator[list[Process]]:
    """A list to put processes in: those that still run are asked to stop, and must. One that was just started may not
    hear it yet, and ends by the signal.
    """
    running: list[Process] = []
    try:
        yield running
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            assert process.wait(timeout=PATIENCE_SECONDS) in {0, -signal.SIGTERM}
    finally:
        for process in running:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


def wait_until(reached: Callable[[], bool], what: str, running: Sequence[Process] = ()) -> None:
    """Wait for something that processes bring about; none of `running` may end by itself meanwhile."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        ended = [process.args for process in running if process.poll() is not None]
        assert not ended, f"ended by itself: {ended}"
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.01)


def epoch(shard: int = 1) -> int:
    return SequencerState.objects.get(shard=shard).epoch


def standing_by(urls: DatabaseUrls) -> int:
    """How many processes ask for a shard that another one holds."""
    with psycopg.connect(urls.app_url, autocommit=True) as reader:
        row = reader.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND query LIKE '%pg_try_advisory_lock%'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def cut_off(*, writing: bool = False) -> bool:
    """End the connection of whoever leads, as a broken wire would; when `writing`, only inside of a transaction.

    Tells whether there was one to end.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT pg_terminate_backend(pid, 5000)
              FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
             WHERE locktype = 'advisory' AND classid = %s AND objsubid = 2 AND granted
               AND datname = current_database() AND (xact_start IS NOT NULL OR NOT %s)
            """,
            [SEQUENCER_LOCK, writing],
        )
        return any(ended for (ended,) in cursor.fetchall())
