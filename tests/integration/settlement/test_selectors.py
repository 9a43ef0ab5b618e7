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
from settlement.selectors.usage import RawTokens, raw_tokens
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


def test_raw_tokens_count_each_request_of_a_side_once_and_refused_ones_too(metered: TradingDay) -> None:
    again = requests(1_000)[0] | {"id": "another id", "source": "meter/buyer-1"}
    metered.report("buyer-1", [again])
    assert raw_tokens([MeterSide.BUYER], start=START, end=END) == RawTokens(21, 20_000 + 5_000 - 1_024, 0)
    assert raw_tokens([MeterSide.BUYER], start=END, end=END) == RawTokens(0, 0, 0)


def test_runs_statements_and_their_status(metered: TradingDay) -> None:
    run = metered.settle()
    assert [each.id for each in list_runs()] == [run.id]
    assert get_run(run.id).state == RunState.PUBLISHED
    progress = progress_of([run.id])[run.id]
    assert (progress.total, progress.done, progress.failed) == (list_jobs(run.id).count(), progress.total, 0)
    buyer = metered.parties["buyer-1"].id
    assert list_position_settlements(run.id).get().buyer_id == buyer
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
