from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Databases
from tests.integration.exchange.market import Market
from tests.replays import Replays


@pytest.fixture
def market(database: Any) -> Market:
    return Market()


@pytest.fixture
def replays(databases: Databases, take_clone: Callable[[], str]) -> Replays:
    return Replays(databases, take_clone)
