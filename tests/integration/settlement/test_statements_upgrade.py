"""Runs of before shards are taken over, their rows defend themselves, and the step back works."""

from __future__ import annotations

import psycopg
import pytest
from django.core.management import call_command

from tests.conftest import DatabaseUrls

RUNS = """
INSERT INTO ledger_asset (code, kind, scale) VALUES ('CNY', 'currency', 6);
INSERT INTO settlement_settlementrun (currency_id, period_start, period_end, kind, state, rules_version, created_at)
SELECT id, '2026-01-01', '2026-01-02', 'initial', 'open', '3', now() FROM ledger_asset;
INSERT INTO settlement_settlementjob (run_id, step, subject_id, state, attempt, lease_owner, fencing, error)
SELECT id, 'settle', subject, 'due', 0, '', 0, '' FROM settlement_settlementrun, unnest(ARRAY[42, 7]) AS subject;
"""
BEFORE = "0006_usage_retention"


def test_each_contract_of_an_old_run_is_a_shard(empty_database: DatabaseUrls) -> None:
    call_command("migrate", "settlement", BEFORE, database="owner", verbosity=0)
    with psycopg.connect(empty_database.owner_url) as owner:
        owner.execute(RUNS)
    call_command("migrate", database="owner", verbosity=0)
    with psycopg.connect(empty_database.owner_url) as owner:
        found = owner.execute("SELECT contract_id, shard, place FROM settlement_runcontract ORDER BY place").fetchall()
        assert found == [(42, 42, 1), (7, 7, 2)]
        owner.execute("UPDATE settlement_settlementrun SET state = 'stating'")
    for attack in (
        "UPDATE settlement_settlementrun SET state = 'open'",
        "UPDATE settlement_settlementrun SET usage_through = 1",
        "UPDATE settlement_runcontract SET shard = 1",
        "DELETE FROM settlement_dispute",
        "TRUNCATE settlement_paymentinstruction CASCADE",
    ):
        with psycopg.connect(empty_database.owner_url) as owner, pytest.raises(psycopg.errors.IntegrityError):
            owner.execute(attack)
    call_command("migrate", "settlement", BEFORE, database="owner", verbosity=0)
    with psycopg.connect(empty_database.owner_url) as owner:
        assert owner.execute("SELECT count(*) FROM settlement_settlementjob").fetchone() == (2,)
        owner.execute("SELECT settlement_ensure_usage_partition('2026-01-01')")
