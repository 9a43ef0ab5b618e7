"""Statements in all their forms, their records with paths, auditors' opinions, and runs, over REST."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.merkle import leaf_hash, verify_inclusion
from ledger.models import Party, PartyKind
from ledger.parties.commands import register_currency, register_party
from ledger.parties.keys import Scope
from settlement.commands.register_auditor_key import RegisterAuditorKey, register_auditor_key
from settlement.models import JobState, JobStep, Statement
from settlement.selectors.statement_files import FILE_FORMS
from settlement.statements.canonical import canonical_bytes
from settlement.statements.signing import Signer
from tests.api.client import Api
from tests.api.live_market import api_of
from tests.integration.exchange.market import ACTOR, NOW
from tests.integration.settlement.line_rows import insert_job, published_run
from tests.integration.settlement.stated_rows import keep
from tests.integration.settlement.trading_day import END, START
from tests.unit.settlement.sample_statements_v2 import Sample, sample

AUDITOR_KEY = Ed25519PrivateKey.from_private_bytes(bytes([9] * 32))
CONTENT = sample(30, metering=2)


@pytest.fixture
def provider(stopped_clock: None) -> Party:
    register_currency("CNY", actor=ACTOR, now=NOW)
    return register_party("provider-1", "Provider", PartyKind.PROVIDER, actor=ACTOR, now=NOW)


@pytest.fixture
def statement(provider: Party) -> Statement:
    return keep(published_run("CNY", START, END), provider, CONTENT)


@pytest.fixture
def auditor(provider: Party) -> Api:
    return api_of(register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW), Scope.AUDIT)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def opinion_of(statement: Statement, opinion: str = "agreed", key: Ed25519PrivateKey = AUDITOR_KEY) -> dict[str, str]:
    """The members that an auditor's tool would send."""
    header = {"alg": "Ed25519", "typ": "tokenbourse-statement+jws", "kid": Signer(key).kid,
              "iat": int(NOW.timestamp()), "opinion": opinion}  # fmt: skip
    protected = encoded(canonical_bytes(header))
    payload = json.loads(statement.jws)["payload"]
    return {"protected": protected, "signature": encoded(key.sign(f"{protected}.{payload}".encode()))}


def test_each_form_is_a_file(provider: Party, statement: Statement, auditor: Api) -> None:
    api = api_of(provider)
    (listed,) = api.get("statements").ok()["items"]
    assert set(listed["forms"]) == set(FILE_FORMS)
    for code, address in listed["forms"].items():
        for caller in (api, auditor):
            file = caller.get(address)
            assert file.status == 200
            assert file.headers["Content-Type"] == FILE_FORMS[code].media_type
            assert (
                f'filename="provider-1-CNY-000002.{FILE_FORMS[code].extension}"'
                in (file.headers["Content-Disposition"])
            )
            assert "no-store" in file.headers["Cache-Control"]
        assert api.get(address, accept="text/html").content == file.content  # one form, whatever is accepted
    assert api.get(listed["forms"]["jsonl"]).content.splitlines() == CONTENT.records
    assert api.get(listed["download"]).content == statement.jws.encode()
    api.get(f"statements/{statement.pk}/files/exe").problem(404, "not_found")


def test_records_come_in_stretches(provider: Party, statement: Statement) -> None:
    api = api_of(provider)
    found: list[dict[str, Any]] = []
    start: int | None = 1
    while start is not None:
        page = api.get(f"statements/{statement.pk}/records", {"from": str(start), "limit": "9"}).ok()
        found += page["items"]
        start = page["next"]
    assert found == [json.loads(record) for record in CONTENT.records]
    assert (page["count"], page["root"]) == (len(CONTENT.records), CONTENT.core["records"]["root"])
    assert api.get(f"statements/{statement.pk}/records", {"from": "99"}).ok()["items"] == []
    for query in ({"from": "0"}, {"limit": "1001"}, {"limit": "x"}):
        api.get(f"statements/{statement.pk}/records", query).problem(400, "invalid_amount")
    api.get(f"statements/{statement.pk}/records", {"form": "1"}).problem(400, "invalid_request")


def test_a_record_comes_with_its_path(provider: Party, statement: Statement) -> None:
    api = api_of(provider)
    for number in (1, 16, len(CONTENT.records)):
        proof = api.get(f"statements/{statement.pk}/records/{number}").ok()
        assert proof["text"].encode() == CONTENT.records[number - 1]
        assert proof["record"]["number"] == number
        leaf, root = leaf_hash(proof["text"].encode()), bytes.fromhex(CONTENT.core["records"]["root"])
        path = [bytes.fromhex(node) for node in proof["path"]]
        assert (proof["leaf"], proof["root"]) == (leaf.hex(), root.hex())
        assert verify_inclusion(leaf, proof["index"], proof["size"], path, root)
    api.get(f"statements/{statement.pk}/records/0").problem(404, "not_found")
    api.get(f"statements/{statement.pk}/records/{len(CONTENT.records) + 1}").problem(404, "not_found")


def test_nobody_sees_anothers_files_records_or_opinions(statement: Statement, auditor: Api) -> None:
    stranger = api_of(register_party("buyer-9", "Buyer", PartyKind.BUYER, actor=ACTOR, now=NOW))
    own = f"statements/{statement.pk}"
    paths = [f"{own}/files/{code}" for code in FILE_FORMS]
    paths += [f"{own}/records", f"{own}/records/1", f"{own}/opinions", f"{own}/proof"]
    for path in paths:
        stranger.get(path).problem(404, "not_found")
        Api().get(path).problem(401, "not_authenticated")
    stranger.post(f"{own}/opinions", opinion_of(statement), idempotency_key="a").problem(403, "not_allowed")
    for path in ("settlement-runs", f"settlement-runs/{statement.run_id}"):
        stranger.get(path).problem(403, "not_allowed")
        assert auditor.get(path).status == 200
    auditor.get("settlement-runs/999999").problem(404, "not_found")


def test_an_auditor_signs_an_opinion(provider: Party, statement: Statement, auditor: Api) -> None:
    register_auditor_key(
        RegisterAuditorKey("Audit AG", AUDITOR_KEY.public_key().public_bytes_raw()),
        actor=ACTOR,
        now=NOW - timedelta(hours=1),
    )
    path, given = f"statements/{statement.pk}/opinions", opinion_of(statement)
    auditor.post(path, given).problem(400, "idempotency_key_missing")
    first = auditor.post(path, given, idempotency_key="one").ok(201)
    assert (first["auditor"], first["opinion"], first["findings_digest"]) == ("Audit AG", "agreed", None)
    assert auditor.post(path, given, idempotency_key="one").ok(200) == first
    assert api_of(provider).get(path).ok() == {"items": [first]}
    file = json.loads(api_of(provider).get(f"statements/{statement.pk}/download").content)
    assert file["signatures"][1] == given
    assert file["payload"] == json.loads(statement.jws)["payload"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda given: given | {"signature": given["signature"][::-1]},
        lambda given: given | {"protected": "e30"},
        lambda given: given | {"protected": "!"},
    ],
)
def test_an_opinion_that_is_not_an_auditors_is_refused(
    statement: Statement, auditor: Api, spoil: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    path, key = f"statements/{statement.pk}/opinions", AUDITOR_KEY.public_key().public_bytes_raw()
    auditor.post(path, opinion_of(statement), idempotency_key="a").problem(401, "invalid_opinion")  # nobody's key
    register_auditor_key(RegisterAuditorKey("Audit AG", key), actor=ACTOR, now=NOW - timedelta(hours=1))
    auditor.post(path, spoil(opinion_of(statement)), idempotency_key="b").problem(401, "invalid_opinion")
    auditor.post(path, {"protected": "e30"}, idempotency_key="c").problem(400, "invalid_request")
    auditor.post(path, opinion_of(statement) | {"more": "1"}, idempotency_key="d").problem(400, "invalid_request")
    auditor.post("statements/999999/opinions", opinion_of(statement), idempotency_key="e").problem(404, "not_found")
    assert auditor.get(path).ok() == {"items": []}


def test_runs_tell_how_far_they_are_and_what_failed(statement: Statement, auditor: Api) -> None:
    run = statement.run
    jobs: list[dict[str, Any]] = [
        {"step": JobStep.SETTLE, "subject_id": 1, "state": JobState.DONE},
        {"step": JobStep.STATE, "subject_id": 7, "state": JobState.FAILED, "attempt": 5, "error": "Boom: no."},
        {"step": JobStep.STATE, "subject_id": 8},
    ]
    for job in jobs:
        insert_job(run, **job)
    (listed,) = auditor.get("settlement-runs", {"kind": "initial", "state": "published"}).ok()["items"]
    assert (listed["key"], listed["kind"], listed["product"]) == (run.key, "initial", None)
    assert auditor.get("settlement-runs", {"kind": "final"}).ok()["items"] == []
    shown = auditor.get(f"settlement-runs/{run.pk}").ok()
    assert {name: shown[name] for name in listed} == listed
    settle, state = shown["steps"]
    assert settle == {"step": "settle", "total": 1, "done": 1, "running": 0, "failed": 0, "waiting": 0}
    assert state == {"step": "state", "total": 2, "done": 0, "running": 0, "failed": 1, "waiting": 1}
    (failure,) = shown["failures"]
    assert (failure["step"], failure["subject"], failure["attempt"], failure["error"]) == ("state", "7", 5, "Boom: no.")


def test_an_indicative_statement_has_no_place_in_the_chain(provider: Party) -> None:
    content: Sample = sample(3, kind="indicative")
    statement = keep(published_run("CNY", START, END, "indicative"), provider, content)  # type: ignore[arg-type]
    api = api_of(provider)
    (listed,) = api.get("statements").ok()["items"]
    assert (listed["sequence"], listed["previous_digest"]) == (None, None)
    file = api.get(f"statements/{statement.pk}/download")
    assert "provider-1-CNY-20261201T1400Z-60-indicative.jws.json" in file.headers["Content-Disposition"]
    api.get(f"statements/{statement.pk}/proof").problem(404, "not_found")
