"""Statements as a run makes them: stated, logged, signed, and checked by our verifier and by other tools."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import KeySet, KeySetSerialization
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from ledger.keys.ring import public_jwks
from ledger.keys.rotation import prepare_next_key, revoke, rotate
from ledger.log.checkpoints import publish_checkpoint
from ledger.models import Transaction
from ledger.verify import parse_jwks
from ledger.verify import verify as verify_evidence
from settlement.models import ClosingBalance, RunKind, SettlementRun, StatedCore, Statement, StatementPart
from settlement.statements.chain import link_before
from settlement.statements.jws import records_file, statement_file
from settlement.statements.proofs import statement_proof
from settlement.statements.signing import ALGORITHM
from settlement.statements.verify import Report, verify
from tests.integration.settlement.trading_day import TradingDay, refusal, requests


def jwks() -> bytes:
    return json.dumps(public_jwks()).encode()


def records_of(statement: Statement) -> bytes:
    return b"".join(records_file(statement))


def check(statement: Statement, previous: Statement | None = None, **given: Any) -> Report:
    before = None if previous is None else statement_file(previous)
    return verify(statement_file(statement), jwks(), before, records=records_of(statement), **given)


def before(statement: Statement) -> Statement | None:
    chain = Statement.objects.filter(party=statement.party, currency=statement.currency)
    return None if statement.sequence is None else chain.filter(sequence=statement.sequence - 1).first()


@pytest.fixture
def traded(day: TradingDay) -> TradingDay:
    """The first worked example, delivered."""
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", [*requests(80_000), refusal(5_000)])
    return day


def statements(run: SettlementRun) -> list[Statement]:
    found = list(
        Statement.objects.filter(run=run).select_related("party", "currency", "stated").order_by("party__code")
    )
    assert found
    return found


def test_every_statement_of_every_run_verifies_and_follows_on_the_one_before(traded: TradingDay) -> None:
    for kind in (RunKind.INITIAL, RunKind.FINAL):
        run = traded.settle(kind)
        for statement in statements(run):
            report = check(statement, before(statement))
            assert report.ok, report.text()
            assert report.core is not None
            closing = ClosingBalance.objects.get(run=run, party=statement.party)
            assert report.core["balances"]["closing"]["account_seq"] == closing.seq


def test_the_statement_tells_the_worked_example(traded: TradingDay) -> None:
    run = traded.settle()
    said = {statement.party.code: json.loads(bytes(core(statement).core)) for statement in statements(run)}
    assert said["provider-1"]["totals"]["amount"] == "-0.010500"
    assert said["buyer-1"]["totals"]["amount"] == "0.056700"
    assert said["house"]["totals"]["amount"] == "0.001121"
    assert said["grid-compute"]["totals"]["amount"] == "0.260875"
    moved = {each["kind"]: each["amount"] for each in said["buyer-1"]["balances"]["movements"]}
    assert (moved["refund_unused"], moved["refund_short"], moved["damages"]) == ("0.025200", "0.021000", "0.010500")
    (provider,) = [each for each in statements(run) if each.party.code == "provider-1"]
    records = [json.loads(line) for line in records_of(provider).splitlines()]
    assert [record["record"] for record in records[-4:]] == ["metering", "split", "split", "split"]
    assert [record["body"]["amount"] for record in records[-3:]] == ["0.260875", "0.074536", "0.037268"]


def core(statement: Statement) -> StatedCore:
    assert statement.stated is not None
    return statement.stated


def test_the_digest_is_in_the_journal_and_the_proof_satisfies_the_ledgers_own_verifier(traded: TradingDay) -> None:
    for statement in statements(traded.settle()):
        stated = core(statement)
        assert stated.transaction_id is not None
        posted = Transaction.objects.get(pk=stated.transaction_id)
        name = f"{statement.party.code}/CNY/{statement.run.key}"
        assert (posted.source, posted.reference) == ("statement", f"{name}/{bytes(stated.digest).hex()}")
        annex = payload_of(statement)["annex"]
        report = verify_evidence(annex["proof"].encode(), parse_jwks(jwks()))
        assert report.ok, report.text()
        assert statement.issued_at == traded.clock.at


def payload_of(statement: Statement) -> dict[str, dict[str, str]]:
    payload: dict[str, dict[str, str]] = json.loads(b64url(json.loads(statement.jws)["payload"]))
    return payload


def b64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_records_are_kept_in_parts_that_say_where_they_stand(
    traded: TradingDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("settlement.statements.stating.RECORDS_A_PART", 5)
    for statement in statements(traded.settle()):
        assert check(statement).ok
        next_record = 1
        for number, part in enumerate(StatementPart.objects.filter(stated=core(statement)).order_by("number"), start=1):
            lines = bytes(part.content).splitlines()
            assert (part.number, part.first_record, part.records) == (number, next_record, len(lines))
            assert json.loads(lines[0])["number"] == next_record
            next_record += len(lines)
        assert next_record == core(statement).records + 1


def test_an_indicative_run_posts_nothing_and_its_statements_stand_outside_the_chain(traded: TradingDay) -> None:
    posted = Transaction.objects.count()
    indicative = traded.settle(RunKind.INDICATIVE)
    assert Transaction.objects.count() == posted
    for statement in statements(indicative):
        assert statement.sequence is None
        assert core(statement).transaction_id is None
        report = check(statement)
        assert report.ok, report.text()
    for statement in statements(traded.settle(RunKind.INITIAL)):
        assert check(statement).ok
        assert statement.sequence == 1
    link = link_before(indicative, traded.parties["buyer-1"].pk)
    assert link is not None
    assert link.sequence == 1


def test_records_of_another_statement_and_an_old_statement_are_refused(traded: TradingDay) -> None:
    first = {each.party.code: each for each in statements(traded.settle(RunKind.INITIAL))}
    second = {each.party.code: each for each in statements(traded.settle(RunKind.FINAL))}
    buyer, provider = first["buyer-1"], first["provider-1"]
    swapped = verify(statement_file(buyer), jwks(), records=records_of(provider))
    assert swapped.code in ("records_changed", "records_truncated")
    if "buyer-1" in second:
        assert check(buyer, second["buyer-1"]).code == "replayed"
        assert check(second["buyer-1"], provider).code == "wrong_chain"
    assert check(buyer, provider).code == "wrong_chain"


def test_joserfc_jwcrypto_and_openssl_accept_every_signature(traded: TradingDay, tmp_path: Path) -> None:
    assert shutil.which("openssl") is not None
    keys = public_jwks()
    for statement in statements(traded.settle()):
        file = statement_file(statement)
        envelope = json.loads(file)
        registry = jws.JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)
        registry.max_payload_length = len(file)
        checked = jws.deserialize_json(
            envelope, KeySet.import_key_set(cast(KeySetSerialization, keys)), registry=registry
        )
        assert json.loads(checked.payload or b"")["core"]["party"] == statement.party.code
        other = JWS()
        other.allowed_algs = [ALGORITHM]
        other.deserialize(file.decode())
        other.verify(JWK(**{name: keys["keys"][0][name] for name in ("kty", "crv", "x")}))
        assert other.is_valid
        signature = envelope["signatures"][0]
        key = Ed25519PublicKey.from_public_bytes(b64url(keys["keys"][0]["x"]))
        (tmp_path / "key.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        (tmp_path / "signed").write_text(f"{signature['protected']}.{envelope['payload']}")
        (tmp_path / "signature").write_bytes(b64url(signature["signature"]))
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "signed"]
        ran = subprocess.run([*command, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_statement_outlives_its_key_and_a_revoked_key_needs_a_newer_proof(traded: TradingDay) -> None:
    statement = statements(traded.settle())[0]
    signer = json.loads(b64url(json.loads(statement.jws)["signatures"][0]["protected"]))["kid"]
    later = traded.clock.at + timedelta(days=30)
    prepare_next_key(actor="olga", now=later)
    rotate(actor="olga", now=later)
    assert check(statement).code == "key_retired"  # whoever has it could have made a log of their own since
    publish_checkpoint(now=later)
    assert check(statement, proof=json.dumps(statement_proof(statement)).encode()).ok
    revoke(signer, "The laptop was stolen.", actor="otto", now=later)
    assert check(statement).code == "key_revoked"
    publish_checkpoint(now=later)
    proof = json.dumps(statement_proof(statement)).encode()
    report = check(statement, proof=proof)
    assert report.ok, report.text()


def test_the_core_says_what_the_run_read(traded: TradingDay) -> None:
    run = traded.settle()
    for statement in statements(run):
        stated = core(statement)
        said = json.loads(bytes(stated.core))
        assert said["run"]["key"] == run.key
        assert said["run"]["input_digest"] == bytes(run.input_digest or b"").hex()
        assert said["inputs"] == {"contracts": 1, "usage_through": str(run.usage_through)}
        assert bytes(statement.core_digest) == bytes(stated.digest)
