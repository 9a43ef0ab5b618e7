"""A worker killed at any statement of a run: the next one goes on, and everything comes out byte for byte the same."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connections
from psycopg import sql

from config.environment import CHECKOUT
from settlement.models import RunKind
from settlement.runs.create import create_run
from tests.conftest import DatabaseUrls
from tests.integration.settlement.trading_day import ACTOR, END, START, TradingDay, refusal, requests

KILLS = 5
WORKER = "tests.integration.settlement.worker_process"
# Everything a run leaves behind that must not depend on how often its workers died.
TRACES = {
    "statements": "SELECT party_id, sequence, encode(core_digest, 'hex'), jws FROM settlement_statement ORDER BY 1, 2",
    "entries": "SELECT account_id, account_seq, transaction_id, amount, balance_after FROM ledger_entry ORDER BY 1, 2",
    "transactions": "SELECT id, kind, reference, encode(leaf, 'hex') FROM ledger_transaction ORDER BY 1",
    "accounts": "SELECT id, balance, held, seq FROM ledger_account ORDER BY 1",
    "runs": "SELECT state, encode(input_digest, 'hex') FROM settlement_settlementrun ORDER BY id",
    "jobs": "SELECT step, subject_id, state, encode(input_digest, 'hex'), encode(result_digest, 'hex')"
    " FROM settlement_settlementjob ORDER BY id",
    "open": "SELECT id FROM settlement_settlementjob WHERE state <> 'done'",
}


@contextmanager
def clone(database: DatabaseUrls) -> Iterator[DatabaseUrls]:
    """A copy of the database as it is now, for a worker's process alone."""
    source, name = psycopg.conninfo.conninfo_to_dict(database.owner_url)["dbname"], f"test_{secrets.token_hex(6)}"
    urls = DatabaseUrls(*(url.replace(str(source), name) for url in (database.app_url, database.owner_url)))
    maintenance = database.owner_url.replace(str(source), "postgres")
    with psycopg.connect(maintenance, autocommit=True) as owner:
        owner.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(str(source)))
        )
        try:
            yield urls
        finally:
            with psycopg.connect(urls.app_url, autocommit=True) as application:  # what killed workers left behind
                application.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
                )
            owner.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def work(database: DatabaseUrls, dies_at: int = 0) -> int:
    """Let a worker's process work everything off; how many statements it took, or minus the signal it died of."""
    done = subprocess.run(
        [sys.executable, "-m", WORKER, str(dies_at)],
        env=database.environment(),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return int(done.stdout) if done.returncode == 0 else done.returncode


def traces(database: DatabaseUrls) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(database.app_url) as connection:
        return {name: connection.execute(query).fetchall() for name, query in TRACES.items()}


@pytest.mark.parametrize("kind", [RunKind.INITIAL, RunKind.FINAL])
def test_a_killed_worker_changes_nothing(database: DatabaseUrls, kind: RunKind) -> None:
    day = TradingDay()
    day.sell("provider-1", 10, 420)
    day.sell("provider-2", 5, 430)
    day.buy("buyer-1", 7, 430, overage_permille=100)
    day.buy("buyer-2", 8, 430)
    day.deliver()
    day.report_both("buyer-1", "provider-1", [*requests(80_000), refusal(5_000)])
    if kind is RunKind.FINAL:
        day.settle()
        late = requests(9_000, each=900, buyer="buyer-2", provider="provider-2")
        day.report_both("buyer-2", "provider-2", late)
    create_run("CNY", START, END, kind, actor=ACTOR, now=END)
    connections["default"].close()

    with clone(database) as undisturbed:
        statements = work(undisturbed)
        expected = traces(undisturbed)
    assert expected["open"] == []
    for kill in range(KILLS):
        with clone(database) as disturbed:
            dies_at = 1 + statements * kill // KILLS
            assert work(disturbed, dies_at) == -signal.SIGKILL
            assert work(disturbed) > 0
            found = traces(disturbed)
        assert found == expected, f"killed at statement {dies_at} of {statements}"
