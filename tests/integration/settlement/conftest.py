from __future__ import annotations

import pytest

from tests.conftest import DatabaseUrls
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
