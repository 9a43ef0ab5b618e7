from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Databases, DatabaseUrls
from tests.integration.settlement.settled_bundles import export
from tests.integration.settlement.trading_day import TradingDay
from tests.integration.settlement.usage_rows import LATER, UsageRows


@pytest.fixture
def day(database: DatabaseUrls) -> TradingDay:
    return TradingDay()


@pytest.fixture
def rows(day: TradingDay) -> UsageRows:
    """Once the contract of the day can be reconciled."""
    day.clock.at = LATER
    return UsageRows(day)


@pytest.fixture(scope="package")
def bundles(
    databases: Databases, take_clone: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The bundles of the three runs of a day, and their keys; see `export`."""
    with databases.connected(take_clone()):
        return export(tmp_path_factory.mktemp("bundles"))
