"""Numbers of the line become visible in order, although whoever takes one commits when they like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from exchange.sequencer.intake import INTAKE_LOCK
from tests.conftest import DatabaseUrls

INSERT = """
    INSERT INTO exchange_intake (shard, bundle_left, kind, contract_id, actor, payload, received_at)
    VALUES (1, 0, 'halt', 1, 'test', '{}', now()) RETURNING seq
"""


@contextmanager
def two_writers(urls: DatabaseUrls) -> Iterator[tuple[psycopg.Connection[Any], psycopg.Connection[Any]]]:
    with psycopg.connect(urls.app_url) as first, psycopg.connect(urls.app_url) as second:
        yield first, second


def visible(urls: DatabaseUrls) -> list[int]:
    with psycopg.connect(urls.app_url) as reader:
        return [row[0] for row in reader.execute("SELECT seq FROM exchange_intake ORDER BY seq")]


def test_control_without_the_lock_a_reader_that_went_on_would_miss_a_command(database: DatabaseUrls) -> None:
    with two_writers(database) as (slow, quick):
        lower = slow.execute(INSERT).fetchone()
        higher = quick.execute(INSERT).fetchone()
        quick.commit()
        assert lower is not None
        assert higher is not None
        assert lower[0] < higher[0]
        assert visible(database) == [higher[0]]  # a cursor set here never sees the lower number
        slow.commit()


def test_with_the_lock_the_second_writer_waits_until_the_first_has_committed(database: DatabaseUrls) -> None:
    lock = f"SELECT pg_advisory_xact_lock({INTAKE_LOCK})"
    with two_writers(database) as (slow, quick):
        slow.execute(lock)
        lower = slow.execute(INSERT).fetchone()
        quick.execute("SET LOCAL lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            quick.execute(lock)
        quick.rollback()
        slow.commit()
        quick.execute(lock)
        higher = quick.execute(INSERT).fetchone()
        quick.commit()
        assert lower is not None
        assert higher is not None
        assert visible(database) == [lower[0], higher[0]]
