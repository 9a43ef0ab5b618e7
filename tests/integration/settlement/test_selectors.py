"""What can be asked about usage and runs."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from ledger.errors import NotFound
from settlement.models import MeterSide, RunState
from settlement.selectors.runs import get_run, list_jobs, list_position_settlements, list_runs, progress_of
from settlement.selectors.statements import get_statement, list_statements, previous_of
from settlement.selectors.usage import (
    RawTokens,
    list_conflicts,
    list_quarantined,
    list_unmatched,
    metered_usage,
    raw_tokens,
)
from tests.integration.settlement.trading_day import END, START, TradingDay, refusal, requests, usage


@pytest.fixture
def metered(day: TradingDay) -> TradingDay:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", [*requests(20_000), refusal(5_000)])
    other: dict[str, Any] = {"buyer": "buyer-2", "provider": "provider-2"}
    day.report("provider-2", [usage("x1", 700, **other), usage("x2", -1, **other), usage("x1", 800, **other)])
    return day


def test_usage_by_pair_and_side(metered: TradingDay) -> None:
    parties = {code: party.id for code, party in metered.parties.items()}
    found = metered_usage(metered.contract.id)
    figures = {(each.provider_id, each.side): each for each in found}
    own = figures[parties["provider-1"], MeterSide.BUYER]
    assert (own.completed, own.refused, own.has_position) == (20, 1, True)
    assert (own.delivered_millitokens, own.refused_millitokens) == (20_000_000, 5_000_000)
    assert not figures[parties["provider-2"], MeterSide.PROVIDER].has_position
    assert len(metered_usage(metered.contract.id, party_ids=[parties["buyer-2"]])) == 1


def test_raw_tokens_count_each_request_of_a_side_once_and_refused_ones_too(metered: TradingDay) -> None:
    again = requests(1_000)[0] | {"id": "another id", "source": "meter/buyer-1"}
    metered.report("buyer-1", [again])
    assert raw_tokens(MeterSide.BUYER, start=START, end=END) == RawTokens(21, 20_000 + 5_000 - 1_024, 0)
    assert raw_tokens(MeterSide.BUYER, start=END, end=END) == RawTokens(0, 0, 0)


def test_what_was_set_aside_is_seen_by_those_it_concerns(metered: TradingDay) -> None:
    buyer_1, buyer_2, provider_2 = (metered.parties[code].id for code in ("buyer-1", "buyer-2", "provider-2"))
    assert [event.event_id for event in list_quarantined(party_ids=[buyer_2])] == ["x2"]
    assert list(list_quarantined(party_ids=[buyer_1])) == []
    assert [conflict.event_id for conflict in list_conflicts(party_ids=[provider_2])] == ["x1"]
    assert list(list_conflicts(party_ids=[buyer_2])) == []
    run = metered.settle()
    assert [row.tokens for row in list_unmatched(run_id=run.id, party_ids=[buyer_2])] == [700]
    assert list(list_unmatched(party_ids=[buyer_1])) == []


def test_runs_statements_and_their_status(metered: TradingDay) -> None:
    run = metered.settle()
    assert [each.id for each in list_runs()] == [run.id]
    assert get_run(run.id).state == RunState.PUBLISHED
    progress = progress_of([run.id])[run.id]
    assert (progress.total, progress.done, progress.failed) == (list_jobs(run.id).count(), progress.total, 0)
    buyer = metered.parties["buyer-1"].id
    assert list_position_settlements(run_id=run.id, contract_id=metered.contract.id, party_id=buyer).count() == 1
    (statement,) = list_statements([buyer])
    assert get_statement(statement.id, [buyer]) == statement
    assert previous_of(statement) is None
    with pytest.raises(NotFound):
        get_statement(statement.id, [metered.parties["buyer-2"].id])
    with pytest.raises(NotFound):
        get_run(run.id + 1)
    out = StringIO()
    call_command("settlement_status", stdout=out)
    assert f"run {run.id} CNY/{run.key} published" in out.getvalue()
