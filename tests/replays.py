"""Replays for tests, into clones of the migrated template."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from exchange.replay.run import ReplayReport, replay
from exchange.replay.second_database import settings_of
from tests.conftest import Databases, _with_database


@dataclass(frozen=True, slots=True)
class Replays:
    """Replays what a test has recorded so far."""

    databases: Databases
    take_clone: Callable[[], str]

    @contextmanager
    def clone(self) -> Iterator[str]:
        """The URL of an empty, migrated database."""
        name = self.take_clone()
        try:
            yield _with_database(self.databases.cluster.owner_url, name)
        finally:
            self.databases.drop(name)

    def run(self) -> ReplayReport:
        with self.clone() as url:
            return replay(settings_of(url))

    def check_identical(self) -> ReplayReport:
        report = self.run()
        assert report.difference is None, str(report.difference)
        return report
