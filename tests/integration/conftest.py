"""What the tests of benchmarks and soak run on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from config.demo.display import Advance
from tests.bench.parts import Bench
from tests.bench.stage import ClonedDatabase
from tests.conftest import DatabaseUrls


@pytest.fixture
def bench(database: DatabaseUrls) -> Bench:
    """On the test's own database."""

    @contextmanager
    def fresh_database() -> Iterator[ClonedDatabase]:
        yield ClonedDatabase(database.app_url, database.owner_url)

    @contextmanager
    def progress(_title: str, _steps: int | None) -> Iterator[Advance]:
        yield lambda by=1: None

    return Bench(fresh_database, progress)
