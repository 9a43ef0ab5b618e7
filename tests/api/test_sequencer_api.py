"""The state of the sequencers over REST: for auditors' keys only."""

from __future__ import annotations

import pytest

from ledger.models import PartyKind
from ledger.parties.commands import register_party
from ledger.parties.keys import Scope
from tests.api.client import Api
from tests.api.live_market import LiveMarket, api_of, api_of_old
from tests.integration.exchange.market import ACTOR, NOW


@pytest.fixture
def auditor(live: LiveMarket) -> Api:
    return api_of(register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW), Scope.AUDIT)


def test_an_auditor_sees_each_shard_at_work(auditor: Api) -> None:
    (shard,) = auditor.get("sequencer").ok()["items"]
    assert (shard["shard"], shard["running"], shard["waiting"], shard["oldest_waiting_at"]) == (1, True, "0", None)
    metrics = auditor.get("sequencer/metrics")
    assert metrics.status == 200
    assert b'tokenbourse_sequencer_running{shard="1"} 1\n' in metrics.content


def test_nobody_else_does(live: LiveMarket, auditor: Api) -> None:
    buyer = api_of(register_party("curious", "Curious", PartyKind.BUYER, actor=ACTOR, now=NOW), Scope.READ)
    pretender = api_of_old(register_party("pretender", "P", PartyKind.BUYER, actor=ACTOR, now=NOW), Scope.AUDIT)
    for path in ("sequencer", "sequencer/metrics"):
        for caller in (buyer, pretender):
            caller.get(path).problem(403, "not_allowed")
