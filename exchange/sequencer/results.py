"""Waiting for what becomes of a command.

Each process has one connection that listens for the sequencer's notices; a notice only says how far a shard has
got, and results are read from their table. Who hears no notice looks again by itself after a moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import connection
from msgspec.json import decode as _from_json
from psycopg.types.numeric import Int8

from exchange.sequencer.answers import Answer
from exchange.sequencer.writer import RESULTS_CHANNEL
from ledger.packing import packed_cursor

POLL_SECONDS = 0.25
LISTENER_IDLE_SECONDS = 30.0
RETRY_SECONDS = 0.5


def find_result(seq: int) -> Answer | None:
    """The result of a command, if it has been decided."""
    with packed_cursor() as cursor:  # planned each time: a plan that was made while the table was small would be kept
        cursor.execute("SELECT result::text FROM exchange_intakeresult WHERE seq = %s", [Int8(seq)], prepare=False)
        row = cursor.fetchone()
    return None if row is None else _from_json(row[0])


def await_result(seq: int, timeout_s: float = 5.0) -> Answer | None:
    """The result of a command; None when it is not decided in time. Call it outside a transaction."""
    deadline = time.monotonic() + timeout_s
    listener = _listener()
    while True:
        passed = listener.passed(seq)
        answer = find_result(seq)
        left = deadline - time.monotonic()
        if answer is not None or left <= 0:
            return answer
        listener.wait_for(seq, passed, min(left, POLL_SECONDS))


def await_results(seqs: list[int], timeout_s: float = 5.0) -> dict[int, Answer]:
    """The results of several commands by number; those not decided in time are left out."""
    deadline = time.monotonic() + timeout_s
    if seqs:
        await_result(max(seqs), timeout_s)
    return {
        seq: answer for seq in seqs if (answer := await_result(seq, max(0.0, deadline - time.monotonic()))) is not None
    }


class ResultListener:
    """Hears how far each shard is. Its thread ends when nobody has waited for a while, and starts again."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self._heard = threading.Condition()
        self._cursors: dict[int, int] = {}
        self._wanted_at = 0.0
        self._running = False

    def passed(self, seq: int) -> int:
        """How many shards are known to have passed a number: all but one of them had other commands."""
        with self._heard:
            return self._passed(seq)

    def wait_for(self, seq: int, passed: int, timeout_s: float) -> bool:
        """Whether more shards than `passed` are known to have passed `seq`, waiting at most so long to hear it."""
        with self._heard:
            self._wanted_at = time.monotonic()
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="exchange-results", daemon=True).start()
            return self._heard.wait_for(lambda: self._passed(seq) > passed, timeout_s)

    def _passed(self, seq: int) -> int:
        return sum(cursor >= seq for cursor in self._cursors.values())

    def _run(self) -> None:
        while self._still_wanted():
            try:
                with self._connect() as raw:
                    raw.execute(f"LISTEN {RESULTS_CHANNEL}")
                    self._listen(raw)
            except psycopg.Error:
                time.sleep(RETRY_SECONDS)

    def _listen(self, raw: psycopg.Connection[Any]) -> None:
        while self._still_wanted():
            for notice in raw.notifies(timeout=1.0, stop_after=1):
                shard, cursor = map(int, notice.payload.split())
                with self._heard:
                    self._cursors[shard] = max(self._cursors.get(shard, 0), cursor)
                    self._heard.notify_all()

    def _still_wanted(self) -> bool:
        with self._heard:
            self._running = time.monotonic() - self._wanted_at < LISTENER_IDLE_SECONDS
            return self._running


_listeners: dict[tuple[Any, ...], ResultListener] = {}
_listeners_lock = threading.Lock()


def _listener() -> ResultListener:
    """The listener of the database that this thread's connection is for."""
    parameters = connection.get_connection_params()
    key = tuple(str(parameters.get(name)) for name in ("host", "port", "dbname", "user"))
    with _listeners_lock:
        if key not in _listeners:
            wanted = {name: parameters[name] for name in parameters if name not in ("context", "cursor_factory")}
            _listeners[key] = ResultListener(lambda: psycopg.connect(**wanted, autocommit=True))
        return _listeners[key]
