"""Disputes over REST: a party disputes its own line, both sides speak, an auditor sees all, nobody else anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from config.clock import SimulatedClock
from ledger.clock import get_clock
from ledger.models import PartyKind
from ledger.parties.commands import register_party
from ledger.parties.keys import Scope
from settlement.models import Dispute
from tests.api.client import Api
from tests.api.live_market import api_of
from tests.conftest import DatabaseUrls
from tests.integration.settlement.disputed_day import FILE, DisputedDay, disputed_day
from tests.integration.settlement.trading_day import ACTOR, NOW, SYMBOL, TradingDay


@pytest.fixture
def market(database: DatabaseUrls) -> Iterator[DisputedDay]:
    with override_settings(CLOCK="config.clock.SimulatedClock"):
        get_clock.cache_clear()
        SimulatedClock().set(NOW)
        market = disputed_day(TradingDay(), database)
        SimulatedClock().set(market.now)
        yield market
    get_clock.cache_clear()


def key(market: DisputedDay, code: str, *scopes: Scope) -> Api:
    return api_of(market.day.parties[code], *(scopes or (Scope.READ, Scope.METER)))


def auditor() -> Api:
    return api_of(register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW), Scope.AUDIT)


def a_file(**changes: str) -> dict[str, str]:
    good = {
        "name": FILE.name,
        "media_type": FILE.media_type,
        "content": base64.b64encode(FILE.content).decode(),
        "digest": hashlib.sha256(FILE.content).hexdigest(),
    }
    return good | changes


def body(market: DisputedDay, **changes: Any) -> dict[str, Any]:
    good = {
        "statement": str(market.statement("buyer-1").pk),
        "line": market.number("buyer-1", "delivered"),
        "amount": "0.168000",
        "reason": "quantity",
        "text": "Our meter saw less.",
        "files": [a_file()],
        "usage_records": [{"meter": "meter/buyer-1", "id": "r1"}],
    }
    return good | changes


def test_a_line_is_disputed_once_and_both_sides_and_the_auditor_read_it(market: DisputedDay) -> None:
    buyer, provider = key(market, "buyer-1"), key(market, "provider-1")
    opened = buyer.post("disputes", body(market), idempotency_key="1").ok(201)
    assert buyer.post("disputes", body(market), idempotency_key="1").ok(200) == opened
    buyer.post("disputes", body(market, text="Other."), idempotency_key="1").problem(409, "idempotency_conflict")
    buyer.post("disputes", body(market), idempotency_key="2").problem(409, "dispute_exists")
    dispute = Dispute.objects.get()
    assert {name: opened[name] for name in opened if name not in ("entries", "opened_at", "decide_by")} == {
        "id": str(dispute.pk),
        "statement": str(dispute.statement_id),
        "line": str(dispute.line_number),
        "line_kind": "delivered",
        "contract": SYMBOL,
        "party": "buyer-1",
        "payee": "provider-1",
        "currency": "CNY",
        "reason": "quantity",
        "text": "Our meter saw less.",
        "disputed": "0.168000",
        "suspended": "0.168000",
        "state": "open",
        "decided": None,
        "decided_at": None,
    }
    (entry,) = opened["entries"]
    assert (entry["kind"], entry["by"], entry["details"]["usage_records"][0]["request_id"]) == (
        "opened",
        "buyer-1",
        "r1",
    )
    (file,) = entry["files"]
    assert (file["name"], file["bytes"], file["digest"]) == (
        "count.csv",
        str(len(FILE.content)),
        hashlib.sha256(FILE.content).hexdigest(),
    )
    for reader in (buyer, provider, auditor()):
        assert reader.get(f"disputes/{dispute.pk}").ok() == opened
        assert [each["id"] for each in reader.get("disputes").ok()["items"]] == [opened["id"]]
        answer = reader.get(file["download"])
        assert answer.content == FILE.content
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment")
    told = provider.get("notices").ok()["items"]
    assert [(each["kind"], each["subject"]) for each in told] == [("dispute_opened", f"dispute:{dispute.pk}/1")]


def test_nobody_else_sees_or_says_anything(market: DisputedDay) -> None:
    dispute = market.open()
    (evidence,) = (file for entry in dispute.entries.all() for file in entry.files.all())
    stranger = key(market, "buyer-2")
    assert stranger.get("disputes").ok()["items"] == []
    assert stranger.get("notices").ok()["items"] == []
    paths = [f"disputes/{dispute.pk}", f"disputes/{dispute.pk}/evidence/{evidence.pk}"]
    for path in (*paths, "disputes/999", f"disputes/{dispute.pk}/evidence/999"):
        stranger.get(path).problem(404, "dispute_not_found")
    for path in (f"disputes/{dispute.pk}/entries", f"disputes/{dispute.pk}/withdraw"):
        stranger.post(path, {"text": "Hm."}, idempotency_key=path).problem(404, "dispute_not_found")
        key(market, "buyer-1", Scope.READ).post(path, {"text": "x"}, idempotency_key="r").problem(403, "not_allowed")
        auditor_less = Api()
        auditor_less.post(path, {"text": "x"}, idempotency_key="n").problem(401, "not_authenticated")
    stranger.post("disputes", body(market), idempotency_key="1").problem(404, "not_found")  # another's statement
    Api().get("disputes").problem(401, "not_authenticated")


def test_both_sides_speak_and_the_one_who_opened_it_withdraws(market: DisputedDay) -> None:
    dispute = market.open(micros=168_000)
    buyer, provider = key(market, "buyer-1"), key(market, "provider-1")
    path = f"disputes/{dispute.pk}"
    said = provider.post(f"{path}/entries", {"text": "Ours saw it.", "files": [a_file()]}, idempotency_key="1").ok(201)
    assert [(each["kind"], each["by"]) for each in said["entries"]] == [
        ("opened", "buyer-1"),
        ("evidence", "provider-1"),
    ]
    provider.post(f"{path}/withdraw", {"text": "Leave it."}, idempotency_key="2").problem(404, "dispute_not_found")
    assert buyer.post(f"{path}/withdraw", {"text": "Found it."}, idempotency_key="1").ok(201)["state"] == "withdrawn"
    assert buyer.post(f"{path}/withdraw", {"text": "Found it."}, idempotency_key="1").ok(200)["state"] == "withdrawn"
    buyer.post(f"{path}/withdraw", {"text": "Again."}, idempotency_key="2").problem(409, "wrong_dispute_state")
    assert market.suspense() == 0


def test_what_is_no_dispute_is_refused(market: DisputedDay) -> None:
    buyer = key(market, "buyer-1")
    bodies: list[tuple[dict[str, Any], int, str]] = [
        (body(market, amount="0.336001"), 422, "line_not_disputable"),
        (body(market, amount="0.009999"), 400, "invalid_amount"),
        (body(market, amount="-1"), 400, "invalid_amount"),
        (body(market, amount=0.168), 400, "invalid_amount"),
        (body(market, line=99), 422, "line_not_disputable"),
        (body(market, line=0), 400, "invalid_amount"),
        (body(market, reason="mood"), 400, "invalid_request"),
        (body(market, text=""), 400, "invalid_request"),
        (body(market, more=1), 400, "invalid_request"),
        (body(market, files=[a_file(digest="00" * 32)]), 400, "evidence_mismatch"),
        (body(market, files=[a_file(digest="0")]), 400, "invalid_request"),
        (body(market, files=[a_file(content="%%%")]), 400, "invalid_request"),
        (body(market, files=[a_file(content="")]), 400, "invalid_request"),
        (body(market, files=[a_file(name="a/b")]), 400, "invalid_text"),
        (body(market, files=[a_file(media_type="html")]), 400, "invalid_text"),
        (body(market, files=[a_file()] * 6), 400, "invalid_request"),
        (body(market, usage_records=[{"meter": "meter/buyer-1", "id": "none"}]), 400, "evidence_mismatch"),
        (
            body(market, usage_records=[{"meter": "meter/buyer-1", "id": "r1", "content_hash": "00" * 32}]),
            400,
            "evidence_mismatch",
        ),
    ]
    for number, (sent, status, code) in enumerate(bodies):
        buyer.post("disputes", sent, idempotency_key=f"k{number}").problem(status, code)
    buyer.post("disputes", body(market)).problem(400, "idempotency_key_missing")
    SimulatedClock().set(market.until)
    buyer.post("disputes", body(market), idempotency_key="late").problem(422, "dispute_too_late")
    assert not Dispute.objects.exists()


def test_a_file_of_the_largest_size_arrives_and_a_larger_body_does_not(market: DisputedDay) -> None:
    content = bytes(range(256)) * 3_900
    large = a_file(content=base64.b64encode(content).decode(), digest=hashlib.sha256(content).hexdigest())
    opened = key(market, "buyer-1").post("disputes", body(market, files=[large]), idempotency_key="1").ok(201)
    answer = key(market, "provider-1").get(opened["entries"][0]["files"][0]["download"])
    assert answer.content == content
    path = f"disputes/{opened['id']}/entries"
    huge = {"text": "x", "files": [a_file(content="A" * 8_000_000)]}
    key(market, "buyer-1").post(path, huge, idempotency_key="2").problem(413, "body_too_large")


def test_the_lists_are_narrowed_down(market: DisputedDay) -> None:
    dispute = market.open()
    market.open(kind="damages", micros=10_500)
    reader = auditor()

    def found(**query: str) -> int:
        return len(reader.get("disputes", query).ok()["items"])

    assert found() == found(contract=SYMBOL) == found(state="open") == found(statement=str(dispute.statement_id)) == 2
    assert found(contract="NONE") == found(state="upheld") == found(reason="price") == found(statement="0") == 0
    reader.get("disputes", {"state": "odd"}).problem(400, "invalid_request")
    reader.get("disputes", {"sort": "id"}).problem(400, "invalid_request")
    notices = reader.get("notices", {"party": "provider-1", "kind": "dispute_opened"}).ok()["items"]
    assert len(notices) == 2
