"""Statements that are posted twice, or changed behind the triggers: refused, or found by the audit."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection, transaction

from ledger import journal
from ledger.drafts import TransactionDraft
from ledger.errors import ReferenceConflict
from ledger.keys.ring import current_signer
from ledger.keys.signers import LocalSigner
from ledger.keys.signers import Signer as KeySigner
from ledger.models import Transaction
from settlement.models import RunKind, StatedCore, Statement, StatementPart
from settlement.statements import audit as statement_audit
from settlement.statements.canonical import canonical_bytes, canonical_digest
from settlement.statements.signing import Signer
from tests.audits import audit, findings, tamper
from tests.conftest import Databases, DatabaseUrls
from tests.integration.settlement.settled_bundles import settled_day

POSTED, STATED, SIGNED = CHECKS = ("settlement.posted_statements", "settlement.stated", "settlement.signed")
CORE = "convert_to(replace(convert_from(core, 'UTF8'), '\"amount\":\"', '\"amount\":\"9'), 'UTF8')"


@pytest.fixture(scope="module")
def settled(databases: Databases, take_clone: Callable[[], str]) -> Iterator[str]:
    """A database after a day with an indicative, an initial and a final run, in parts of a few records."""
    name = take_clone()
    with databases.connected(name), pytest.MonkeyPatch.context() as patch:
        patch.setattr("settlement.statements.stating.RECORDS_A_PART", 2)
        settled_day()
        connection.close()  # what is copied has no other visitors
        yield name


@pytest.fixture
def urls(databases: Databases, settled: str) -> Iterator[DatabaseUrls]:
    with databases.connected(databases.make(settled)) as urls:
        yield urls


def stated(kind: RunKind = RunKind.FINAL) -> StatedCore:
    return StatedCore.objects.select_related("run__product", "party").get(run__kind=kind, party__code="provider-1")


def name_of(core: StatedCore) -> str:
    return f"{core.party.code}/CNY/{core.run.key}"


def post(reference: str, *, source: str = "statement", kind: str = "statement") -> journal.Posted:
    last = Transaction.objects.latest("id")
    draft = TransactionDraft(kind, source, reference, stated().run.period_end, ())
    with transaction.atomic():
        (posted,) = journal.post([draft], actor="mallory", now=last.posted_at)
    return posted


def found() -> dict[str, list[str]]:
    """What the audit says of statements, by check."""
    told = findings(audit(*CHECKS))
    return {check: [detail for _, detail in each] for check, each in told.items()}


def test_what_a_run_stated_is_clean_however_it_is_cut(urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = audit(*CHECKS)
    assert findings(whole) == {}
    rows = {check.name: check.outcome.rows for check in whole.checks}
    assert rows == {
        POSTED: StatedCore.objects.filter(transaction_id__isnull=False).count(),
        STATED: StatedCore.objects.count() + sum(StatedCore.objects.values_list("records", flat=True)),
        SIGNED: Statement.objects.count(),
    }
    assert StatementPart.objects.filter(number__gt=1).exists()
    monkeypatch.setattr(statement_audit, "RECORDS_A_RANGE", 1)
    monkeypatch.setattr(statement_audit, "STATEMENTS_A_RANGE", 1)
    assert findings(audit(*CHECKS)) == {}


def test_a_second_statement_of_a_party_and_run_is_refused(urls: DatabaseUrls) -> None:
    core = stated()
    name, digest = name_of(core), bytes(core.digest).hex()
    assert post(f"{name}/{digest}") == journal.Posted(core.transaction_id or 0, repeated=True)
    last = Transaction.objects.latest("id").pk
    with pytest.raises(ReferenceConflict, match=name) as refused:
        post(f"{name}/{'0' * 64}")
    assert refused.value.fields == {"field": "reference", "rule": "statement_stated_once"}
    assert Transaction.objects.latest("id").pk == last
    assert not post(f"{name}/{'0' * 64}", source="elsewhere", kind="other").repeated
    assert not post(f"{name}-2/{'0' * 64}").repeated


def test_a_second_statement_without_the_rule_is_found(urls: DatabaseUrls) -> None:
    tamper(urls, "DROP INDEX statement_stated_once")
    core = stated()
    number = post(f"{name_of(core)}/{'0' * 64}").transaction_id
    other = post(f"{name_of(core)}/{'1' * 64}", source="elsewhere").transaction_id
    report = findings(audit(*CHECKS))
    assert [subject for subject, _ in report.pop(POSTED)] == [f"transaction {number}", f"transaction {other}"]
    assert report == {}


TAMPERINGS = {
    "bytes behind the last record": (
        "UPDATE settlement_statementpart SET content = content || 'x'::bytea WHERE stated_id = %s AND number = 2",
        {STATED: ["part 2 of its records is not the next one, not as long as it says, or not whole lines"]},
    ),
    "a record changed": (
        "UPDATE settlement_statementpart SET content = set_byte(content, 40, get_byte(content, 40) # 1)"
        " WHERE stated_id = %s AND number = 1",
        {STATED: ["have the root"]},
    ),
    "a part gone": (
        "DELETE FROM settlement_statementpart WHERE stated_id = %s AND number = 1",
        {STATED: ["part 2 of its records", "have the root"]},
    ),
    "all records gone": (
        "DELETE FROM settlement_statementpart WHERE stated_id = %s",
        {STATED: ["its 0 records have the root"]},
    ),
    "a core changed": (
        f"UPDATE settlement_statedcore SET core = {CORE} WHERE id = %s",
        {STATED: ["its core has the digest", "the journal holds"]},
    ),
    "a core changed with its digest": (
        f"UPDATE settlement_statedcore SET core = {CORE}, digest = sha256({CORE}) WHERE id = %s",
        {STATED: ["the journal holds"], SIGNED: ["not of the stated core"]},
    ),
    "a core that is no JSON": (
        "UPDATE settlement_statedcore SET core = '{'::bytea, digest = sha256('{'::bytea) WHERE id = %s",
        {STATED: ["the journal holds", "of another statement", "its core says -1"], SIGNED: ["not of the stated core"]},
    ),
    "more records than there are": (
        "UPDATE settlement_statedcore SET records = 9000000000000000000 WHERE id = %s",
        {STATED: ["of another statement, place in the chain or number of records"]},
    ),
    "another place in the chain": (
        "UPDATE settlement_statedcore SET sequence = 7 WHERE id = %s",
        {STATED: ["of another statement"], SIGNED: ["not of the stated core"]},
    ),
    "no transaction": (
        "UPDATE settlement_statedcore SET transaction_id = NULL WHERE id = %s",
        {POSTED: ["is what no stated core was posted by"], STATED: ["the journal holds nothing in transaction None"]},
    ),
    "a transaction of something else": (
        "UPDATE settlement_statedcore SET transaction_id = 1 WHERE id = %s",
        {POSTED: ["is what no stated core was posted by"], STATED: ["the journal holds nothing in transaction 1"]},
    ),
    "its transaction gone": (
        "DELETE FROM ledger_transaction WHERE id = (SELECT transaction_id FROM settlement_statedcore WHERE id = %s)",
        {STATED: ["the journal holds nothing"]},
    ),
    "its transaction with another digest": (
        "UPDATE ledger_transaction SET reference = left(reference, -1) || 'x'"
        " WHERE id = (SELECT transaction_id FROM settlement_statedcore WHERE id = %s)",
        {STATED: ["the journal holds 'provider-1/CNY/"]},
    ),
    "its transaction of another kind": (
        "UPDATE ledger_transaction SET kind = 'deposit'"
        " WHERE id = (SELECT transaction_id FROM settlement_statedcore WHERE id = %s)",
        {POSTED: ["a deposit of source statement with 0 legs"]},
    ),
    "no signed statement": (
        "DELETE FROM settlement_statement WHERE stated_id = %s",
        {STATED: ["its run is published, and it is not signed"]},
    ),
    "no statement in the file": (
        "UPDATE settlement_statement SET jws = '{}' WHERE stated_id = %s",
        {SIGNED: ["is not a statement that a key of the house signed"]},
    ),
    "the file of another statement": (
        "UPDATE settlement_statement SET jws = (SELECT jws FROM settlement_statement ORDER BY id LIMIT 1)"
        " WHERE stated_id = %s",
        {SIGNED: ["its file holds a core of digest"]},
    ),
    "another digest beside the file": (
        "UPDATE settlement_statement SET core_digest = sha256('x'::bytea) WHERE stated_id = %s",
        {SIGNED: ["not of the stated core", "its file holds a core of digest"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_the_owner_changes_behind_the_triggers_is_found(urls: DatabaseUrls, name: str) -> None:
    statement, expected = TAMPERINGS[name]
    tamper(urls, statement, [stated().pk])
    told = found()
    assert told.keys() == expected.keys()
    for check, details in expected.items():
        assert len(told[check]) == len(details), told
        for detail, wanted in zip(told[check], details, strict=True):
            assert wanted in detail


def test_an_indicative_statement_has_no_transaction(urls: DatabaseUrls) -> None:
    core = stated()
    tamper(urls, "UPDATE settlement_statedcore SET transaction_id = NULL WHERE id = %s", [core.pk])
    indicative = stated(RunKind.INDICATIVE)
    tamper(
        urls, "UPDATE settlement_statedcore SET transaction_id = %s WHERE id = %s", [core.transaction_id, indicative.pk]
    )
    told = found()
    assert told.keys() == {STATED}  # the transaction is somebody's, if the wrong one's
    assert told[STATED][0] == f"it is indicative, and names transaction {core.transaction_id}"


def forged(
    statement: Statement, change: Callable[[dict[str, Any]], object], *, signer: KeySigner | None = None
) -> tuple[str, dict[str, Any]]:
    """The file with another payload, signed by whoever has the house's key or another one, and that payload."""
    payload = json.loads(base64.urlsafe_b64decode(json.loads(statement.jws)["payload"] + "=="))
    change(payload)
    file = Signer(signer or current_signer()).sign(payload, signed_at=statement.issued_at)
    return file.decode(), payload


def test_a_whole_forged_statement_is_found_by_the_journal_alone(urls: DatabaseUrls) -> None:
    core = stated()
    statement = Statement.objects.get(stated=core)

    def more(payload: dict[str, Any]) -> None:
        payload["core"]["totals"]["amount"] = "9.000000"
        payload["core_digest"] = canonical_digest(payload["core"]).hex()

    file, payload = forged(statement, more)
    content, digest = canonical_bytes(payload["core"]), canonical_digest(payload["core"])
    tamper(
        urls, "UPDATE settlement_statement SET jws = %s, core_digest = %s WHERE id = %s", [file, digest, statement.pk]
    )
    tamper(urls, "UPDATE settlement_statedcore SET core = %s, digest = %s WHERE id = %s", [content, digest, core.pk])
    told = found()
    assert told.keys() == {STATED}
    (detail,) = told[STATED]
    assert f"the journal holds '{name_of(core)}/{bytes(core.digest).hex()}'" in detail


def test_a_file_that_calls_its_core_something_else_is_found(urls: DatabaseUrls) -> None:
    statement = Statement.objects.get(stated=stated())
    file, _ = forged(statement, lambda payload: payload.update(core_digest="0" * 64))
    tamper(urls, "UPDATE settlement_statement SET jws = %s WHERE id = %s", [file, statement.pk])
    assert [f"calls it {'0' * 64}" in detail for detail in found()[SIGNED]] == [True]


def test_a_file_that_another_key_signed_or_whose_annex_changed_is_found(urls: DatabaseUrls) -> None:
    statement = Statement.objects.get(stated=stated())
    stranger = LocalSigner(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    file, _ = forged(statement, lambda payload: None, signer=stranger)
    envelope, genuine = json.loads(statement.jws), json.loads(forged(statement, rewritten)[0])
    patched = canonical_bytes(envelope | {"payload": genuine["payload"]}).decode()
    for jws in (file, patched):
        tamper(urls, "UPDATE settlement_statement SET jws = %s WHERE id = %s", [jws, statement.pk])
        assert found() == {SIGNED: ["its file is not a statement that a key of the house signed"]}


def rewritten(payload: dict[str, Any]) -> None:
    payload["annex"]["issued_at"] = "2020-01-01T00:00:00Z"
