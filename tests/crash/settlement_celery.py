"""Celery workers as the Procfile has them, the bell that beat would ring, and the mischief on the wire between them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

import psycopg
from django.db import OperationalError, connection, connections

from config.environment import CHECKOUT
from config.supervisor import parse_procfile
from settlement.models import JobState, SettlementJob, SettlementRun
from tests.conftest import DatabaseUrls
from tests.crash.sequencers import Process
from tests.crash.settlement_day import is_published
from tests.crash.settlement_kills import PATIENCE_SECONDS, end_leases, retry_given_up, worker_environment

BELLS = "tests.crash.settlement_bells"
RINGS_EVERY_SECONDS = 0.25


class Wire(Protocol):
    """A broker, and what may happen to messages on their way."""

    @property
    def url(self) -> str: ...

    def disturb(self, draw: random.Random) -> None:
        """Lose some messages, double some and change their order."""


@dataclass
class EmbeddedWire:
    """The broker in the database: its messages are rows."""

    url: str

    def disturb(self, draw: random.Random) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('kombu_message')")
            if (cursor.fetchone() or (None,))[0] is None:
                return
            cursor.execute("SELECT id FROM kombu_message WHERE visible FOR UPDATE SKIP LOCKED")
            for (message,) in cursor.fetchall():
                match draw.randrange(4):
                    case 0:
                        cursor.execute("DELETE FROM kombu_message WHERE id = %s", [message])
                    case 1:
                        cursor.execute(
                            "INSERT INTO kombu_message (id, visible, payload, version, queue_id) SELECT"
                            " nextval('message_id_sequence'), true, payload, 1, queue_id FROM kombu_message"
                            " WHERE id = %s",
                            [message],
                        )
                    case 2:
                        at = draw.randrange(86_400)
                        cursor.execute(
                            "UPDATE kombu_message SET timestamp = localtimestamp - %s * interval '1 second'"
                            " WHERE id = %s",
                            [at, message],
                        )


@dataclass
class Workers:
    """Processes of the Procfile's worker line, and the bell. `kills` counts workers that died with a job in hand."""

    urls: DatabaseUrls
    wire: Wire
    draw: random.Random
    running: list[Process] = field(default_factory=list)
    kills: int = 0
    _bell: subprocess.Popen[str] | None = None
    _rung: float = float("-inf")

    @property
    def environment(self) -> dict[str, str]:
        return worker_environment(self.urls) | {"CELERY_BROKER_URL": self.wire.url}

    def start(self) -> None:
        environment = self.environment
        lines = (CHECKOUT / "Procfile").read_text(encoding="utf-8").splitlines()
        (worker,) = parse_procfile(next(line for line in lines if line.startswith("worker:")), environment)
        self.running.append(subprocess.Popen(worker.argv, cwd=CHECKOUT, env=environment))

    def kill(self, worker: Process) -> None:
        self.running.remove(worker)
        worker.kill()
        worker.wait()
        self.kills += bool(end_leases(f"{os.uname().nodename}:{worker.pid}"))

    def ring(self) -> None:
        """Once in a while, and now and then several times; whatever cannot be sent is lost."""
        if time.monotonic() - self._rung < RINGS_EVERY_SECONDS:
            return
        self._rung = time.monotonic()
        assert self._bell is not None
        assert self._bell.stdin is not None
        assert self._bell.stdout is not None
        print(self.draw.choice((1, 1, 3)), file=self._bell.stdin, flush=True)
        self._bell.stdout.readline()

    def open_bell(self) -> None:
        self._bell = subprocess.Popen(
            [sys.executable, "-m", BELLS],
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self) -> None:
        for worker in self.running:
            worker.kill()
            worker.wait()
        if self._bell is not None:
            self._bell.kill()
            self._bell.communicate()


@contextmanager
def workers(urls: DatabaseUrls, wire: Wire, draw: random.Random, count: int = 2) -> Iterator[Workers]:
    made = Workers(urls, wire, draw)
    try:
        made.open_bell()
        for _ in range(count):
            made.start()
        yield made
    finally:
        made.end()


def ringing(crew: Workers, *, disturb: Callable[[SettlementRun], None]) -> Callable[[SettlementRun], None]:
    """What brings a run to its end while bells are rung and messages disturbed; `disturb` does further harm."""

    def work(run: SettlementRun) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _published(run):
            assert time.monotonic() < deadline, list(SettlementJob.objects.exclude(state=JobState.DONE).values())
            crew.ring()
            with suppress(OperationalError, psycopg.OperationalError):
                crew.wire.disturb(crew.draw)
                retry_given_up()
            disturb(run)
            time.sleep(0.01)

    return work


def _published(run: SettlementRun) -> bool:
    try:
        return is_published(run)
    except OperationalError:  # the database is down just now
        connections.close_all()
        return False
