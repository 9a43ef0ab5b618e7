"""The bundles of a day that was settled three times, and after which its signing key was revoked."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from ledger.keys.ring import current_signer, public_jwks
from ledger.keys.rotation import prepare_next_key, revoke, rotate
from ledger.log.checkpoints import publish_checkpoint
from settlement.bundles.write import sink_at, write_bundle
from settlement.models import RunKind, SettlementLine, SettlementRun
from tests.integration.settlement.test_corrections import correction
from tests.integration.settlement.trading_day import TradingDay, refusal, requests, usage
from tests.two_operators import withdraw


def settled_day() -> TradingDay:
    """Positions with shares, refusals, overage, one-sided and unmatched usage, corrections, and debts in the end."""
    day = TradingDay()
    day.sell("provider-1", 10, 420)
    day.sell("provider-2", 5, 430)
    day.buy("buyer-1", 7, 430, overage_permille=100)
    day.buy("buyer-2", 8, 430)
    day.deliver()
    day.report_both("buyer-1", "provider-1", [*requests(80_000), refusal(5_000)])
    day.report("provider-2", [usage("alone", 700, buyer="buyer-2", provider="provider-2")])
    day.report("provider-2", [usage("stranger", 900, buyer="buyer-3", provider="provider-2")])
    day.report_both("buyer-2", "provider-2", requests(9_000, each=900, buyer="buyer-2", provider="provider-2"))
    day.settle(RunKind.INDICATIVE)
    day.settle()
    day.report("provider-1", [correction("less", "r3", 10, "r3")])
    fewer = correction("fewer", "r5", 10, "r5", buyer="buyer-2", provider="provider-2")
    day.report("provider-2", [fewer | {"source": "meter/provider-2"}])
    owing = day.parties["model-lab"].pk
    withdraw(owing, day.currency_id, day.balance("model-lab"), reference="all it has", now=day.clock.at)
    day.settle(RunKind.FINAL)
    assert SettlementLine.objects.filter(kind="debt", party_id=owing).exists()
    publish_checkpoint(now=day.clock.at)
    return day


def export(folder: Path) -> dict[str, Path]:
    """The bundle of each run by its kind, and the final run's again once its key was `revoked`; the published keys
    before and after are `keys` and `keys after`."""
    day = settled_day()
    found = {"keys": _keys(folder / "keys.json")}
    for run in SettlementRun.objects.order_by("id"):
        found[run.kind] = _bundle(run, folder / run.kind)
    signer, later = current_signer().kid, day.clock.at + timedelta(days=1)
    prepare_next_key(actor="olga", now=later)
    rotate(actor="olga", now=later)
    revoke(signer, "The laptop was stolen.", actor="otto", now=later)
    publish_checkpoint(now=later)
    found["revoked"] = _bundle(SettlementRun.objects.get(kind=RunKind.FINAL), folder / "revoked")
    return found | {"keys after": _keys(folder / "keys_after.json")}


def _bundle(run: SettlementRun, path: Path) -> Path:
    with sink_at(path) as sink:
        write_bundle(run.pk, sink)
    return path


def _keys(path: Path) -> Path:
    path.write_text(json.dumps(public_jwks()))
    return path
