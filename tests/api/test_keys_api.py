"""API keys over REST: shown once, within the caller's own scopes, revoked at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.models import ActionLog, ApiKey, IdempotentRequest, Party, PartyKind
from ledger.parties.commands import register_party
from ledger.parties.keys import Scope, issue_key
from tests.api.client import Api
from tests.conftest import DatabaseUrls

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)


def make_party(code: str, kind: PartyKind = PartyKind.BUYER) -> Party:
    return register_party(code, code.title(), kind, actor="test", now=NOW)


def make_key(party: Party, *scopes: Scope) -> str:
    return issue_key(party, "test", scopes, actor="test", now=NOW).text


@pytest.fixture
def buyer(database: DatabaseUrls) -> Party:
    return make_party("buyer-one")


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"authorization": "Basic dTpw"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer tb_000000000000_" + "0" * 64},
        {"authorization": "Bearer tb_\u00e9"},
        {"authorization": "Bearer x y z"},
    ],
)
def test_without_a_live_key_nothing_is_answered(buyer: Party, sent: dict[str, Any]) -> None:
    answer = Api().get("balances", **sent)
    answer.problem(401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_is_shown_once_and_works(buyer: Party) -> None:
    api = Api(make_key(buyer, Scope.READ, Scope.TRADE))
    wanted = {"label": "desk", "scopes": ["read"]}
    issued = api.post("keys", wanted, idempotency_key="k1")
    first = issued.ok(201)
    assert issued.headers["Cache-Control"] == "no-store"
    assert Api(first["key"]).get("balances").ok() == {"items": [], "next_cursor": None}
    repeat = api.post("keys", wanted, idempotency_key="k1").ok(200)
    assert repeat == first | {"key": None}
    kept = str([*ApiKey.objects.values(), *IdempotentRequest.objects.values(), *ActionLog.objects.values()])
    assert first["prefix"] in kept
    assert first["key"].split("_")[2] not in kept
    assert {key["prefix"] for key in api.get("keys").ok()["items"]} == {first["prefix"], key_prefix(api)}
    assert ActionLog.objects.get(action="issue_key", subject=f"key:{first['prefix']}").actor == f"key:{key_prefix(api)}"


def key_prefix(api: Api) -> str:
    assert api.key is not None
    return api.key.split("_")[1]


def test_the_same_idempotency_key_with_other_content_conflicts(buyer: Party) -> None:
    api = Api(make_key(buyer, Scope.READ, Scope.TRADE))
    api.post("keys", {"label": "desk", "scopes": ["read"]}, idempotency_key="k1").ok(201)
    problem = api.post("keys", {"label": "desk", "scopes": ["trade"]}, idempotency_key="k1").problem(
        409, "idempotency_conflict"
    )
    assert problem["field"] == "scopes"
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize("key", ["", "a" * 121, "with space", "caf\u00e9"])
def test_a_changing_request_needs_an_idempotency_key(buyer: Party, key: str) -> None:
    api = Api(make_key(buyer, Scope.READ))
    headers = {"idempotency_key": key} if key else {}
    api.post("keys", {"label": "x", "scopes": ["read"]}, **headers).problem(400, "idempotency_key_missing")
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        ({}, {"label", "scopes"}),
        ({"label": 5, "scopes": ["read"]}, {"label"}),
        ({"label": "x", "scopes": []}, {"scopes"}),
        ({"label": "x", "scopes": ["root"]}, {"scopes.0"}),
        ({"label": "x" * 81, "scopes": "read"}, {"label", "scopes"}),
        ({"label": "x", "scopes": ["read"], "party": "other"}, {"party"}),
        ([], {""}),
    ],
)
def test_a_wrong_body_names_each_wrong_field(buyer: Party, content: object, fields: set[str]) -> None:
    problem = (
        Api(make_key(buyer, Scope.READ)).post("keys", content, idempotency_key="k").problem(400, "invalid_request")
    )
    assert {error["field"] for error in problem["errors"]} == fields
    assert ApiKey.objects.count() == 1


def test_no_key_reaches_beyond_its_own_scopes(buyer: Party) -> None:
    trading = make_key(buyer, Scope.TRADE)
    reading = Api(make_key(buyer, Scope.READ))
    problem = reading.post("keys", {"label": "x", "scopes": ["trade", "audit"]}, idempotency_key="k").problem(
        403, "not_allowed"
    )
    assert problem["required_scopes"] == ["audit", "trade"]
    reading.delete(f"keys/{trading.split('_')[1]}").problem(403, "not_allowed")
    assert ApiKey.objects.filter(revoked_at__isnull=True).count() == 2
    meter = Api(make_key(buyer, Scope.METER)).get("balances")
    assert meter.problem(403, "not_allowed")["key_scopes"] == ["meter"]


def test_a_provider_gets_no_key_to_trade(buyer: Party) -> None:
    provider = make_party("north", PartyKind.PROVIDER)
    api = Api(make_key(provider, Scope.READ, Scope.METER))
    old = make_key(provider, Scope.READ)
    ApiKey.objects.filter(prefix=old.split("_")[1]).update(scopes=["read", "trade"])  # from before the rule
    for caller in (api, Api(old)):
        problem = caller.post("keys", {"label": "x", "scopes": ["read", "trade"]}, idempotency_key="k")
        assert problem.problem(403, "not_allowed")["required_scopes"] == ["trade"]
    assert api.delete(f"keys/{old.split('_')[1]}").ok()["revoked_at"]  # it reached no further than this one


def test_a_revoked_key_is_refused_at_once(buyer: Party) -> None:
    api = Api(make_key(buyer, Scope.READ))
    other = make_key(buyer, Scope.READ)
    revoked = api.delete(f"keys/{other.split('_')[1]}").ok()
    assert revoked["revoked_at"] is not None
    assert api.delete(f"keys/{other.split('_')[1]}").ok() == revoked
    Api(other).get("balances").problem(401, "not_authenticated")
    api.delete(f"keys/{key_prefix(api)}").ok()
    api.get("balances").problem(401, "not_authenticated")


def test_another_partys_key_is_not_there(buyer: Party) -> None:
    foreign = make_key(make_party("buyer-two"), Scope.READ)
    Api(make_key(buyer, Scope.READ)).delete(f"keys/{foreign.split('_')[1]}").problem(404, "key_not_found")
    Api(foreign).get("balances").ok()


def test_head_and_options_need_what_get_needs(buyer: Party) -> None:
    for method in ("HEAD", "OPTIONS"):
        assert Api().call(method, "balances").status == 401
        assert Api(make_key(buyer, Scope.READ)).call(method, "balances").status == 200
    assert Api(make_key(buyer, Scope.METER)).call("HEAD", "balances").status == 403
    assert Api(make_key(buyer, Scope.READ)).call("PUT", "balances").status == 405
