"""Runs of other kinds come out the same, too: after a dispute whose payee could not pay, and when it paid later."""

from __future__ import annotations

import json
from pathlib import Path

from ledger.chart import Role
from ledger.keys.ring import public_jwks
from ledger.models import Transaction
from settlement.bundles.write import sink_at, write_bundle
from settlement.models import RunKind, SettlementRun
from settlement.recompute.bundle import open_files
from settlement.recompute.files import Files
from settlement.recompute.report import recompute
from tests.conftest import DatabaseUrls
from tests.integration.settlement.disputed_day import disputed_day
from tests.integration.settlement.test_dispute_run import HALF, run_of
from tests.integration.settlement.trading_day import TradingDay
from tests.two_operators import deposit, withdraw


def test_debts_of_a_dispute_and_their_payment_come_out_the_same(
    day: TradingDay, database: DatabaseUrls, tmp_path: Path
) -> None:
    market = disputed_day(day, database)
    provider, free = market.party_id("provider-1"), day.balance("provider-1") - day.held("provider-1")
    withdraw(provider, day.currency_id, free - 1_000, reference="most", now=market.now)
    dispute = market.open(micros=HALF)
    market.decide(dispute, HALF)
    run_of(market, dispute)
    assert day.balance("provider-1", Role.DEBT) < 0
    deposit(provider, day.currency_id, HALF, reference="enough", now=market.now)
    day.settle(RunKind.FINAL)
    assert Transaction.objects.filter(kind="clear_debt").exists()
    keys = json.dumps(public_jwks()).encode()
    before: list[Files] = []
    for run in SettlementRun.objects.order_by("id"):
        with sink_at(tmp_path / run.kind) as sink:
            write_bundle(run.pk, sink)
        files = open_files(tmp_path / run.kind)
        report = recompute(files, keys, before)
        assert report.exit_status == 0, report.text()
        assert not any("earlier figures" in each for each in report.given)
        before.append(files)
    assert len(before) == 3
