from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Databases
from tests.replays import Replays


@pytest.fixture
def replays(databases: Databases, take_clone: Callable[[], str]) -> Replays:
    return Replays(databases, take_clone)
