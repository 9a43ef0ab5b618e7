"""The benchmark of one long statement, run small, so that it works when somebody measures."""

from __future__ import annotations

from tests.bench.parts import Bench
from tests.bench.settlement.statement import measure_statement


def test_a_statement_is_made_and_checked(bench: Bench) -> None:
    names = ["settlement.statement_sign_s", "settlement.statement_verify_s"]
    figures = measure_statement(bench, lines=8 * 25)
    assert [figure.name for figure in figures] == names
    assert all(figure.value > 0 and figure.baseline > 0 for figure in figures)
