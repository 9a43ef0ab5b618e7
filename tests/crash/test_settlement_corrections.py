"""Corrected and late events between runs and in the middle of one: a run knows what was there when it was made, the
final run comes to what it would have come to had everything been known from the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from settlement.models import PositionSettlement, RunKind
from tests.conftest import Databases, DatabaseUrls
from tests.crash.settlement_day import LATE, OVER, make_run, move, report_late, settle_day, traded_day, work_off
from tests.crash.settlement_outcome import check_settled
from tests.integration.settlement.trading_day import TradingDay

Figures = dict[tuple[int, int, int], dict[str, Any]]


def test_what_comes_between_the_runs_counts_as_if_it_had_been_known(
    database: DatabaseUrls, databases: Databases
) -> None:
    day = traded_day()
    connections.close_all()
    source = str(conninfo_to_dict(database.owner_url)["dbname"])

    def settled(course: Callable[[TradingDay], None]) -> tuple[Figures, Figures, dict[str, int]]:
        with databases.connected(databases.make(source)):
            move(day, OVER)
            course(day)
            check_settled()
            balances = {code: day.balance(code) for code in day.parties if code != "house"}
            return _figures(RunKind.INITIAL), _figures(RunKind.FINAL), balances

    unknown, known_at_last, balances = settled(lambda day: settle_day(day, work_off, taking=False))
    known, known_all_along, same_balances = settled(_known_from_the_start)
    assert unknown != known
    assert known_at_last == known_all_along
    assert balances == same_balances


def test_what_comes_in_the_middle_of_a_run_is_left_to_the_next(database: DatabaseUrls, databases: Databases) -> None:
    day = traded_day()
    connections.close_all()
    source = str(conninfo_to_dict(database.owner_url)["dbname"])
    with databases.connected(databases.make(source)):
        settle_day(day, work_off, taking=False)
        before, after = _figures(RunKind.INITIAL), _figures(RunKind.FINAL)
    with databases.connected(databases.make(source)):
        move(day, OVER)
        initial = make_run(RunKind.INITIAL, day)
        move(day, LATE)
        report_late(day)
        work_off(initial)
        assert _figures(RunKind.INITIAL) == before
        work_off(make_run(RunKind.FINAL, day))
        assert _figures(RunKind.FINAL) == after
        check_settled()


def _known_from_the_start(day: TradingDay) -> None:
    move(day, LATE)
    report_late(day)
    for kind in (RunKind.INITIAL, RunKind.FINAL):
        work_off(make_run(kind, day))


def _figures(kind: RunKind) -> Figures:
    """Of each position what a run found, all runs before it included."""
    rows = PositionSettlement.objects.filter(run__kind=kind)
    return {(row.contract_id, row.buyer_id, row.provider_id): row.outcome for row in rows}
