"""kill -9 of PostgreSQL under orders. It recovers; sequencer and web process find it again by themselves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

from config.postgres import Cluster
from tests.conftest import DatabaseUrls, _close_connections, _connect_django
from tests.crash.checks import check_all, replay_beside
from tests.crash.rest import buying, web_process
from tests.crash.sequencers import LONGER, processes, seeded, start, wait_until

KILLS = 2 * LONGER
pytestmark = pytest.mark.xdist_group("servers")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of the test's own: made so that its owner may make databases, then run with durable settings."""
    made = Cluster("crash", tmp_path / ".local", durable=False)
    try:
        with made:
            pass
        yield Cluster("crash", tmp_path / ".local", durable=True)
    finally:
        _close_connections()
        made.remove()


def kill_one(cluster: Cluster, urls: DatabaseUrls, backend: bool) -> None:
    """The server's first process, or one of its others: then the first one restarts them all."""
    pid = cluster.pid
    assert pid is not None
    if backend:
        with psycopg.connect(urls.app_url, autocommit=True) as victim, psycopg.connect(urls.app_url) as witness:
            os.kill(victim.info.backend_pid, signal.SIGKILL)
            wait_until(lambda: is_cut(witness), "the restart")  # until then the server still takes connections
            return
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: cluster.pid is None, "the server's end")
    cluster.start()


def is_cut(witness: psycopg.Connection[Any]) -> bool:
    try:
        witness.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def answers(urls: DatabaseUrls) -> bool:
    try:
        with psycopg.connect(urls.app_url):
            return True
    except psycopg.OperationalError:
        return False


def test_nothing_acknowledged_is_lost_and_everybody_reconnects(cluster: Cluster) -> None:
    draw = seeded()
    found = cluster.start()
    urls = DatabaseUrls(found.app_url, found.owner_url)
    _connect_django(urls.app_url, urls.owner_url)
    call_command("migrate", database="owner", verbosity=0)
    with web_process(urls) as web, processes() as running, buying(web, draw) as load:
        running.append(start(urls))
        for kill in range(KILLS):
            load.go_on(10, [*running, web.process])
            time.sleep(draw.uniform(0, 0.1))
            kill_one(cluster, urls, backend=bool(kill % 2))
            wait_until(lambda: answers(urls), "PostgreSQL")
            connections.close_all()
        load.go_on(10, [*running, web.process])
        load.stop()
        load.check_repeats()
    check_all({}, replay_beside)
