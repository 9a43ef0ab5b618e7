from __future__ import annotations

from typing import Any

import pytest

from tests.integration.exchange.market import Market


@pytest.fixture
def market(database: Any) -> Market:
    return Market()
