"""What operators, auditors and monitoring see of the sequencers."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from exchange.management.commands import sequencer_status
from exchange.selectors.operations import get_sequencer, list_sequencers, metrics_text
from exchange.sequencer.loop import Sequencer, drain
from tests.integration.exchange.commands import order, put
from tests.integration.exchange.market import NOW, START, Market


@contextmanager
def held(market: Market, shard: int = 1) -> Iterator[None]:
    """Somebody else holds a shard."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        Sequencer(market.clock, shard).take_over(threading.Event())
        taken.set()
        done.wait()
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    try:
        yield
    finally:
        done.set()
        holder.join()


def status(*arguments: str) -> tuple[int, Any]:
    """Exit status and figures of the command."""
    out = io.StringIO()
    try:
        call_command("sequencer_status", "--json", *arguments, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


@pytest.fixture
def told(market: Market, monkeypatch: pytest.MonkeyPatch) -> Market:
    """The market, whose clock the command reads as well."""
    monkeypatch.setattr(sequencer_status, "get_clock", lambda: market.clock)
    return market


def test_nobody_at_work_is_a_failure(told: Market) -> None:
    code, (shard,) = status()
    assert (code, shard["running"], shard["waiting"], shard["lag_ms"]) == (1, False, 0, 0)
    assert shard["last_batch_at"] == NOW.isoformat()
    with held(told):
        code, (shard,) = status()
    assert (code, shard["running"]) == (0, True)


def test_a_long_lag_is_a_failure(told: Market) -> None:
    seq = put(told, order(told, told.party("buyer-1"), "buy", 1, 400))
    put(told, order(told, told.party("buyer-2"), "buy", 1, 400))
    told.clock.at = NOW + timedelta(seconds=7)
    with held(told):
        code, (shard,) = status("--max-lag", "6")
        assert (code, shard["waiting"], shard["lag_ms"]) == (1, 2, 7_000)
        assert shard["cursor"] < seq
        assert status("--max-lag", "8")[0] == 0


def test_a_shard_counts_as_soon_as_it_has_contracts(told: Market) -> None:
    told.list_window(START + timedelta(hours=1), shard=3)
    with held(told):
        code, shards = status()
        assert (code, [shard["shard"] for shard in shards]) == (1, [1, 3])
        with held(told, 3):
            assert status()[0] == 0


def test_metrics_have_the_same_figures(told: Market) -> None:
    put(told, order(told, told.party("buyer-1"), "buy", 1, 400))
    text = metrics_text(list_sequencers(), NOW + timedelta(seconds=2))
    assert 'tokenbourse_sequencer_running{shard="1"} 0\n' in text
    assert 'tokenbourse_sequencer_waiting_commands{shard="1"} 1\n' in text
    assert 'tokenbourse_sequencer_lag_milliseconds{shard="1"} 2000\n' in text
    drain(told.clock)
    assert get_sequencer().waiting == 0
