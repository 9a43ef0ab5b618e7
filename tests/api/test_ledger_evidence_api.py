"""Evidence over REST: proofs that verify offline, heads of the log for everyone, audits for auditors."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from ledger.keys.ring import public_jwks
from ledger.log.checkpoints import publish_checkpoint
from ledger.log.seals import seal_ended_periods
from ledger.models import Account, AuditRun, AuditScope, Batch, Checkpoint, Entry, PartyKind, PeriodSeal, Transaction
from ledger.parties.commands import register_party
from ledger.parties.keys import Scope
from ledger.verify import parse_jwks, verify
from tests.api.client import Answer, Api
from tests.api.live_market import MarketClock, api_of, api_of_old
from tests.integration.settlement.trading_day import ACTOR, NOW, SYMBOL, TradingDay

TOMORROW = NOW + timedelta(days=1)


@pytest.fixture
def day(stopped_clock: None) -> TradingDay:
    clock: Any = MarketClock()
    day = TradingDay(clock)
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 6, 420)
    return day


@pytest.fixture
def auditor(day: TradingDay) -> Api:
    return api_of(register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW), Scope.AUDIT)


def publish(now: datetime = NOW) -> Checkpoint:
    checkpoint = publish_checkpoint(now=now)
    assert checkpoint is not None
    return checkpoint


def verified(answer: Answer) -> Any:
    """A proof that holds, checked with nothing but the file and the published keys."""
    assert answer.status == 200, answer.body
    report = verify(answer.content, parse_jwks(json.dumps(public_jwks()).encode()))
    assert report.ok, report.text()
    return answer.body


def numbers_of(day: TradingDay, code: str) -> set[int]:
    """The transactions with a leg of a party."""
    accounts = Account.objects.filter(party=day.parties[code]).values("id")
    return set(Entry.objects.filter(account_id__in=accounts).values_list("transaction_id", flat=True))


def test_a_transaction_is_proved_with_the_callers_own_items_and_no_others(day: TradingDay, auditor: Api) -> None:
    publish()
    both = max(numbers_of(day, "buyer-1") & numbers_of(day, "provider-1"))
    path = f"ledger/transactions/{both}/proof"
    for code in ("buyer-1", "provider-1"):
        proof = verified(api_of(day.parties[code]).get(path))
        own = {str(row) for row in Account.objects.filter(party=day.parties[code]).values_list("id", flat=True)}
        assert {str(item["decoded"]["account"]) for item in proof["items"]} <= own
        assert proof["items"]
    whole = verified(auditor.get(path))
    assert len(whole["items"]) >= Transaction.objects.get(id=both).legs
    api_of(day.parties["buyer-2"]).get(path).problem(404, "not_found")


def test_a_proof_is_made_under_the_checkpoint_that_is_named_if_it_covers_it(day: TradingDay) -> None:
    api = api_of(day.parties["buyer-1"])
    number = max(numbers_of(day, "buyer-1"))
    path = f"ledger/transactions/{number}/proof"
    waiting = api.get(path)
    waiting.problem(503, "not_in_checkpoint_yet")
    assert waiting.headers["Retry-After"]
    first = publish()
    day.buy("buyer-2", 1, 420)
    api.get(path, {"checkpoint": str(first.size + 1)}).problem(404, "not_found")
    second = publish()
    for query, checkpoint in (({}, second), ({"checkpoint": str(first.size)}, first)):
        assert verified(api.get(path, query))["checkpoint"] == checkpoint.note


def test_the_balances_of_a_sealed_period_are_proved_to_their_owner(day: TradingDay, auditor: Api) -> None:
    seal_ended_periods(actor=ACTOR, now=TOMORROW)
    publish(TOMORROW)
    api = api_of(day.parties["buyer-1"])
    (seal,) = api.get("ledger/seals").ok()["items"]
    assert (seal["period"], seal["root"]) == ("2026-12-01", bytes(PeriodSeal.objects.get().root).hex())
    account = Account.objects.get(party=day.parties["buyer-1"], asset__code=SYMBOL)
    path, query = f"ledger/seals/{seal['period']}/proof", {"account": str(account.pk)}
    for reader in (api, auditor):
        balance = verified(reader.get(path, query))["balance"]["decoded"]
        assert (balance["balance"], balance["seq"]) == (str(account.balance), account.seq)
    api_of(day.parties["provider-1"]).get(path, query).problem(404, "not_found")
    api.get("ledger/seals/2026-11/proof", query).problem(404, "not_found")
    api.get(path, {"account": str(2**62)}).problem(404, "not_found")


def test_the_log_is_consistent_for_everyone(day: TradingDay) -> None:
    first = publish()
    day.buy("buyer-2", 1, 420)
    second = publish()
    anyone = Api()
    sizes = {"first": str(first.size), "second": str(second.size)}
    proof = verified(anyone.get("ledger/log/consistency", sizes))
    assert (proof["first"], proof["second"]) == (first.note, second.note)
    listed = anyone.get("ledger/checkpoints").ok()["items"]
    assert [(row["size"], row["note"]) for row in listed] == [(str(head.size), head.note) for head in (second, first)]
    page = anyone.get("ledger/checkpoints", {"limit": "1"}).ok()
    assert anyone.get("ledger/checkpoints", {"limit": "1", "cursor": page["next_cursor"]}).ok()["items"] == listed[1:]
    anyone.get("ledger/log/consistency", {"first": str(second.size), "second": str(first.size)}).problem(
        404, "not_found"
    )


def test_the_checkpoint_has_a_static_address_for_anyone(day: TradingDay) -> None:
    anyone = Api()
    anyone.get("/checkpoint").problem(404, "not_found")
    first = publish()
    answer = anyone.get("/checkpoint")
    assert (answer.status, answer.content.decode()) == (200, first.note)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "max-age=10" in answer.headers["Cache-Control"]
    etag = answer.headers["ETag"]
    head = anyone.call("HEAD", "/checkpoint")
    assert (head.status, head.content) == (200, b"")
    assert {name: head.headers[name] for name in ("ETag", "Content-Type", "Content-Length")} == {
        "ETag": etag,
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(answer.content)),
    }
    for method in ("GET", "HEAD"):
        same = anyone.call(method, "/checkpoint", headers={"if_none_match": etag})
        assert (same.status, same.content, same.headers["ETag"]) == (304, b"", etag)
    day.buy("buyer-2", 1, 420)
    second = publish()
    fresh = anyone.get("/checkpoint", if_none_match=etag)
    assert (fresh.status, fresh.content.decode()) == (200, second.note)
    assert fresh.headers["ETag"] != etag
    for checkpoint in (first, second):
        kept = anyone.get(f"/checkpoint/{checkpoint.size}", accept="application/json")
        assert kept.content.decode() == checkpoint.note
        assert "immutable" in kept.headers["Cache-Control"]
    for size in (0, second.size + 1, 2**70):
        anyone.get(f"/checkpoint/{size}").problem(404, "not_found")
    anyone.get("/checkpoint/newest").problem(404, "route_not_found")
    anyone.call("POST", "/checkpoint", b"{}").problem(405, "method_not_allowed")
    assert anyone.get("/checkpoint", authorization="Bearer nonsense").status == 200
    assert second.size == Batch.objects.count()


def audit(**changes: Any) -> AuditRun:
    """An audit that looked at all and found one thing."""
    report = [
        {
            "check": "zero_sum",
            "title": "Every transaction sums to zero",
            "rows": 12,
            "milliseconds": 3,
            "found": 1,
            "findings": [{"subject": "transaction:1", "detail": "sums to 5"}],
        }
    ]
    facts: dict[str, Any] = {
        "scope": AuditScope.FULL,
        "actor": ACTOR,
        "started_at": NOW,
        "finished_at": NOW,
        "from_transaction": 1,
        "through_transaction": 9,
        "through_batch": 9,
        "entries": 12,
        "findings": 1,
        "report": report,
    }
    return AuditRun.objects.create(**facts | changes)


def test_audits_are_for_auditors(day: TradingDay, auditor: Api) -> None:
    run = audit()
    (listed,) = auditor.get("ledger/audit-runs").ok()["items"]
    assert (listed["id"], listed["scope"], listed["findings"], listed["entries"]) == (str(run.pk), "full", "1", "12")
    shown = auditor.get(f"ledger/audit-runs/{run.pk}").ok()
    assert {name: shown[name] for name in listed} == listed
    (check,) = shown["report"]
    assert (check["check"], check["found"]) == ("zero_sum", "1")
    assert check["findings"] == [{"subject": "transaction:1", "detail": "sums to 5"}]
    auditor.get(f"ledger/audit-runs/{2**70}").problem(404, "not_found")
    for path in ("ledger/audit-runs", f"ledger/audit-runs/{run.pk}", "ledger/audit-runs/999"):
        for party in ("buyer-1", "house"):
            api_of(day.parties[party]).get(path).problem(403, "not_allowed")
        api_of_old(day.parties["buyer-1"], *Scope).get(path).problem(403, "not_allowed")


FORGED: list[tuple[str, dict[str, str], int, str]] = [
    ("ledger/transactions/1/proof", {"checkpoint": "0"}, 400, "invalid_amount"),
    ("ledger/transactions/1/proof", {"checkpoint": ""}, 400, "invalid_amount"),
    ("ledger/transactions/1/proof", {"checkpoint": str(2**63)}, 400, "invalid_amount"),
    ("ledger/transactions/1/proof", {"party": "buyer-1"}, 400, "invalid_request"),
    (f"ledger/transactions/{2**70}/proof", {}, 404, "not_found"),
    ("ledger/seals/2026-12-01/proof", {}, 400, "invalid_amount"),
    ("ledger/seals/2026-12-01/proof", {"account": "-1"}, 400, "invalid_amount"),
    ("ledger/seals/2026-12-01/proof", {"account": "1", "x": "1"}, 400, "invalid_request"),
    ("ledger/seals/2026.12/proof", {"account": "1"}, 404, "route_not_found"),
    ("ledger/seals", {"period": "2026-12"}, 400, "invalid_request"),
    ("ledger/seals", {"cursor": "WyJ4Il0"}, 400, "invalid_cursor"),
    ("ledger/log/consistency", {}, 400, "invalid_amount"),
    ("ledger/log/consistency", {"first": "1"}, 400, "invalid_amount"),
    ("ledger/log/consistency", {"first": "0", "second": "1"}, 400, "invalid_amount"),
    ("ledger/log/consistency", {"first": str(2**63), "second": "1"}, 400, "invalid_amount"),
    ("ledger/log/consistency", {"first": "1", "second": "1", "third": "1"}, 400, "invalid_request"),
    ("ledger/log/consistency", {"first": "1", "second": str(2**62)}, 404, "not_found"),
    ("ledger/checkpoints", {"cursor": "e30"}, 400, "invalid_cursor"),
    ("ledger/checkpoints", {"limit": "501"}, 400, "invalid_amount"),
    ("ledger/checkpoints", {"size": "1"}, 400, "invalid_request"),
    ("ledger/audit-runs", {"cursor": "eA"}, 400, "invalid_cursor"),
    ("ledger/audit-runs", {"scope": "full"}, 400, "invalid_request"),
]


def test_what_is_forged_or_misspelt_is_refused_with_a_problem(day: TradingDay, auditor: Api) -> None:
    for path, query, status, code in FORGED:
        assert auditor.get(path, query).problem(status, code), (path, query)
