from __future__ import annotations

import pytest

from tests.conftest import DatabaseUrls
from tests.integration.settlement.trading_day import TradingDay


@pytest.fixture
def day(database: DatabaseUrls) -> TradingDay:
    return TradingDay()
