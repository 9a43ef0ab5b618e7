"""The settlement's benchmark of runs at its smallest, so that it cannot rot. What it measures here means nothing."""

from __future__ import annotations

import pytest

from settlement.models import PositionSettlement, RunState, SettlementRun, Statement
from tests.audits import audit, findings
from tests.bench.parts import Bench
from tests.bench.settlement.runs import Split, measure_runs

pytestmark = pytest.mark.xdist_group("servers")


def test_runs_are_settled_by_workers_of_their_own_and_all_of_it_is_sound(bench: Bench) -> None:
    figures = {figure.name: figure for figure in measure_runs(bench, Split(2, 1, 1, buyers=6, providers=5))}
    assert list(figures) == [
        "settlement.obligations_per_s", "settlement.usage_events_per_s", "settlement.vs_sql_floor",
        "settlement.two_workers_vs_one", "settlement.worker_rss_mib",
    ]  # fmt: skip
    assert all(min(figure.value, figure.baseline) > 0 for figure in figures.values())
    assert set(SettlementRun.objects.values_list("state", flat=True)) == {RunState.PUBLISHED}
    assert PositionSettlement.objects.count() == 4 * 30
    assert Statement.objects.count() > 3 * 12
    assert findings(audit("settlement.lines", "settlement.debts", "holds", "stored_balances")) == {}
