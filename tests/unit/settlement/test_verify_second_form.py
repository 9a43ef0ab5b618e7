"""The verifier on statements of the second form: each tampered field, record, key and chain has its own code."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.merkle import leaf_hash, tree_root
from settlement.statements.canonical import canonical_bytes, canonical_digest
from settlement.statements.document import Balances, ChainLink
from settlement.statements.verify import CODES, main, verify
from tests.unit.settlement.sample_statements import AUDITOR, EXCHANGE, STRANGER, STRANGER_KEY, published
from tests.unit.settlement.stated_samples import (
    METERING,
    SIGNED_AT,
    Sample,
    exchange_jwk,
    indicative,
    jwks,
    sample,
    source,
)

ROOT = Path(__file__).parents[3]
SECONDS = int(SIGNED_AT.timestamp())
KEYS = jwks()


def code_of(made: Sample, **changed: Any) -> str:
    """What the verifier says of a sample, "" if it verifies."""
    given = {"records": made.file_of_records} | changed
    report = verify(given.pop("file", None) or made.file(), given.pop("keys", KEYS), **given)
    assert report.code in {"", *CODES}, report.code
    assert report.ok == (not report.code)
    return report.code


def test_a_good_statement_verifies_and_says_how() -> None:
    made = sample()
    report = verify(made.file(), KEYS, records=made.file_of_records)
    assert report.ok, report.text()
    names = ["signatures", "canonical form", "content", "balances", "records", "postings", "chain", "log", "checkpoint"]
    assert [check.name for check in report.checks] == names
    assert report.text().splitlines()[-2].startswith("----  checkpoint: ")
    assert report.text().splitlines()[-1] == "VERIFIED, but not: checkpoint"
    assert len(made.file()) < 20_000


def test_an_indicative_statement_stands_outside_chain_and_log() -> None:
    assert code_of(indicative()) == ""
    assert code_of(indicative().put_into_log()) == "not_in_log"
    assert code_of(sample(logged=False)) == "not_in_log"


def test_a_statement_without_records_needs_no_file() -> None:
    assert code_of(sample(lines=[]), records=None) == "records_missing"  # meters' figures and splits are left
    assert code_of(sample(lines=[], metering=[]), records=None) == ""
    made = sample()
    report = verify(made.file(), KEYS, need_records=False)
    assert (report.ok, report.complete) == (True, False)
    assert report.text().splitlines()[-1] == "VERIFIED, but not: records, checkpoint"
    assert code_of(made, records=None) == "records_missing"


# --- The file of records ----------------------------------------------------------------------------------------------


def swapped(records: list[bytes], first: int, second: int) -> list[bytes]:
    records = list(records)
    records[first], records[second] = records[second], records[first]
    return records


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda records: records[:-1], "records_truncated"),
        (lambda records: [], "records_truncated"),
        (lambda records: records[1:], "wrong_number"),
        (lambda records: records[:3] + records[2:], "wrong_number"),
        (lambda records: [*records, records[-1]], "wrong_number"),
        (lambda records: swapped(records, 1, 2), "wrong_number"),
        (lambda records: swapped(records, 0, 9), "wrong_number"),
        (lambda records: [*records, records[-1].replace(b'"number":12', b'"number":13')], "records_changed"),
        (lambda records: [records[0].replace(b"0.336000", b"0.336001"), *records[1:]], "records_changed"),
        (lambda records: [records[0] + b" ", *records[1:]], "records_changed"),
    ],
)
def test_records_cut_doubled_moved_or_changed_are_told_apart(
    change: Callable[[list[bytes]], list[bytes]], code: str
) -> None:
    made = sample()
    records = b"".join(record + b"\n" for record in change(made.records))
    assert code_of(made, records=records) == code


def test_a_last_record_without_its_end_is_a_cut_file() -> None:
    made = sample()
    for cut in (1, 2, 40):
        assert code_of(made, records=made.file_of_records[:-cut]) == "records_truncated"


def test_every_value_in_every_record_is_under_the_root() -> None:
    made = sample()
    for place, record in enumerate(made.records):
        for path in places(json.loads(record)):
            changed = replaced(json.loads(record), path, "tampered")
            records = [*made.records[:place], canonical_bytes(changed), *made.records[place + 1 :]]
            code = code_of(made, records=b"".join(each + b"\n" for each in records))
            assert code in ("records_changed", "wrong_number"), (place, path)


# --- Fields under a broken signature ----------------------------------------------------------------------------------


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The path to every value inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (key,)
        yield from ((key, *path) for path in places(inner))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = by
    return changed


def with_payload(file: bytes, payload: Any) -> bytes:
    envelope = json.loads(file)
    envelope["payload"] = base64.urlsafe_b64encode(canonical_bytes(payload)).rstrip(b"=").decode()
    return canonical_bytes(envelope)


def test_each_field_of_core_and_annex_is_under_the_signature() -> None:
    made = sample()
    payload = made.payload()
    for path in places(payload):
        file = with_payload(made.file(), replaced(payload, path, "tampered"))
        assert code_of(made, file=file) == "bad_signature", path


def test_each_field_of_the_envelope_is_checked() -> None:
    made = sample()
    envelope = json.loads(made.file())
    codes = {path: code_of(made, file=canonical_bytes(replaced(envelope, path, "AAAA"))) for path in places(envelope)}
    assert set(codes.values()) <= {"bad_envelope", "bad_signature", "wrong_type"}
    assert codes["signatures", 0, "signature"] == "bad_signature"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"alg": "none"}, "wrong_type"),
        ({"alg": "EdDSA"}, "wrong_type"),
        ({"typ": "JWT"}, "wrong_type"),
        ({"crit": ["b64"]}, "wrong_type"),
        ({"kid": "x"}, "unknown_key"),
        ({"iat": SECONDS + 1}, "bad_signature"),
        ({"iat": "x"}, "bad_envelope"),
    ],
)
def test_each_field_of_the_protected_header_is_checked(header: dict[str, Any], code: str) -> None:
    made = sample()
    envelope = json.loads(made.file())
    fields = {"alg": "Ed25519", "kid": EXCHANGE.kid, "typ": "tokenbourse-statement+jws", "iat": SECONDS} | header
    encoded = base64.urlsafe_b64encode(canonical_bytes(fields)).rstrip(b"=").decode()
    envelope["signatures"][0]["protected"] = encoded
    assert code_of(made, file=canonical_bytes(envelope)) == code


# --- Fields under a good signature: a faulty exchange, or its key in wrong hands --------------------------------------


def forged(change: Callable[[dict[str, Any]], object], made: Sample | None = None) -> str:
    """What the verifier says of a core that was changed, with digest, log and signature made to fit again."""
    made = sample(logged=False) if made is None else made
    made.core = json.loads(canonical_bytes(made.core))
    change(made.core)
    return code_of(made.put_into_log())


def test_each_field_of_the_core_is_held_against_its_digest_and_the_log() -> None:
    made = sample()
    for path in places(made.core):
        changed = replaced(json.loads(canonical_bytes(made.core)), path, "tampered")
        assert code_of(made, file=made.file(change=lambda p, c=changed: p.update(core=c))) == "core_changed", path  # type: ignore[misc]

        def refit(payload: dict[str, Any], core: Any = changed) -> None:
            payload.update(core=core, core_digest=canonical_digest(core).hex())

        assert code_of(made, file=made.file(change=refit)), path


def test_a_core_that_adds_up_but_is_not_the_one_in_the_log() -> None:
    def later_deadline(payload: dict[str, Any]) -> None:
        payload["core"]["notice"]["dispute_until"] = "2027-12-11T14:00:00Z"
        payload["core_digest"] = canonical_digest(payload["core"]).hex()

    made = sample()
    assert code_of(made, file=made.file(change=later_deadline)) == "not_in_log"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda c: c["balances"]["closing"].update(amount="9.000000"), "wrong_balance"),
        (lambda c: c["balances"]["closing"].update(account_seq=9), "wrong_balance"),
        (lambda c: c["balances"].update(available="0.000000"), "wrong_balance"),
        (lambda c: c["records"].update(lines=7, metering=2), "wrong_record"),
        (lambda c: c["records"].update(count=13), "wrong_sum"),
        (lambda c: c["totals"]["by_kind"][0].update(amount="1.000000"), "wrong_sum"),
        (lambda c: c["totals"].update(amount="1.000000"), "wrong_sum"),
        (lambda c: c["totals"]["by_kind"].pop(), "wrong_sum"),
        (lambda c: c["delta"]["by_kind"][0].update(cumulative="1.000000"), "wrong_delta"),
        (lambda c: c["delta"]["by_kind"][0].update(previous="1.000000"), "wrong_delta"),
        (lambda c: c["delta"]["by_kind"].reverse(), "wrong_delta"),
        (lambda c: c["netting"].update(gross_in="1.000000"), "wrong_netting"),
        (lambda c: c["netting"].update(net="1.000000"), "wrong_netting"),
        (lambda c: c["netting"].update(ratio_ppm=1), "wrong_netting"),
        (lambda c: c.update(sequence=2), "wrong_chain"),
        (lambda c: c["run"].update(kind="indicative"), "wrong_record"),
        (lambda c: c.update(party="x"), "core_changed"),
        (lambda c: c.update(surprise="x"), "wrong_schema"),
        (lambda c: c["notice"].update(surprise="x"), "wrong_schema"),
    ],
)
def test_a_signed_and_logged_core_that_does_not_add_up(change: Callable[[dict[str, Any]], object], code: str) -> None:
    assert forged(change) == code


def with_records(made: Sample, records: list[bytes]) -> Sample:
    """The records under a root of their own, logged and signed."""
    made.records = records
    made.core["records"]["root"] = tree_root([leaf_hash(record) for record in records]).hex()
    return made.put_into_log()


def line_changed(change: Callable[[dict[str, Any]], object], place: int = 0) -> str:
    made = sample(logged=False)
    record = json.loads(made.records[place])
    change(record)
    return code_of(with_records(made, [*made.records[:place], canonical_bytes(record), *made.records[place + 1 :]]))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda r: r.update(number=2), "wrong_number"),
        (lambda r: r.update(record="split"), "wrong_record"),
        (lambda r: r.update(salt="00"), "wrong_record"),
        (lambda r: r.update(surprise="x"), "wrong_record"),
        (lambda r: r["body"].update(surprise="x"), "wrong_record"),
        (lambda r: r["body"].pop("tax"), "wrong_record"),
        (lambda r: r["body"].update(exact="336000/2"), "wrong_exact"),
        (lambda r: r["body"].update(exact="336002/1"), "wrong_exact"),
        (lambda r: r["body"].update(exact="672000/2"), "wrong_exact"),
        (lambda r: r["body"].update(exact="1/0"), "wrong_exact"),
        (lambda r: r["body"].update(cumulative="0.336001"), "wrong_delta"),
        (lambda r: r["body"].update(amount="0.000000"), "wrong_record"),
        (lambda r: r["body"].update(amount="0.000001"), "wrong_record"),
        (lambda r: r["body"].update(tokens="1"), "wrong_exact"),
        (lambda r: r["body"].update(kind="overage"), "wrong_sum"),
        (lambda r: r["body"].pop("journal"), "wrong_record"),
        (lambda r: r["body"]["journal"].pop("ref"), "wrong_record"),
        (lambda r: r["body"]["window"].update(end="2026-12-01T14:00:00Z"), "wrong_record"),
        (lambda r: r["body"]["tax"].update(rate_ppm=-1), "wrong_record"),
        (lambda r: r["body"].update(price=1), "wrong_record"),
    ],
)
def test_a_signed_line_that_contradicts_itself(change: Callable[[dict[str, Any]], object], code: str) -> None:
    assert line_changed(change) == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda b: b["buckets"]["input_uncached"].update(difference="11"), "wrong_metering"),
        (lambda b: b["buckets"]["input_uncached"].update(tolerance="-1"), "wrong_metering"),
        (lambda b: b.update(refused_millitokens="-1"), "wrong_metering"),
        (lambda b: b.pop("settled_millitokens"), "wrong_metering"),
        (lambda b: b.update(provider="somebody-else"), "wrong_metering"),
        (lambda b: b.update(verdicts=True), "not_canonical"),
        (lambda b: b.update(verdicts=None), "not_canonical"),
        (lambda b: b.update({"A name": "x"}), "not_canonical"),
    ],
)
def test_signed_figures_of_meters_that_contradict_each_other(
    change: Callable[[dict[str, Any]], object], code: str
) -> None:
    body = copy.deepcopy(METERING)
    change(body)
    made = sample(metering=[METERING], logged=False)
    record = json.loads(made.records[8])
    record["body"] = body
    assert code_of(with_records(made, [*made.records[:8], canonical_bytes(record), *made.records[9:]])) == code
    assert code_of(sample(metering=[METERING, METERING])) == "wrong_metering"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda b: b.update(weight_ppm=1), "wrong_split"),
        (lambda b: b.update(weight_ppm=1_000_001), "wrong_split"),
        (lambda b: b.update(provider="x"), "wrong_split"),
        (lambda b: b.pop("beneficiary"), "wrong_record"),
    ],
)
def test_signed_splits_that_are_not_the_whole(change: Callable[[dict[str, Any]], object], code: str) -> None:
    assert line_changed(lambda record: change(record["body"]), 9) == code


@pytest.mark.parametrize(
    "text", [b'{"a": 1}', b'{"a":1.5}', b"[]", b"{", b"\xff", b'{"a":1,"a":1}', b'{"b":1,"a":1}', b"[" * 100_000]
)
def test_records_in_another_form_under_a_good_root(text: bytes) -> None:
    made = sample(logged=False)
    code = code_of(with_records(made, [text, *made.records[1:]]))
    assert code in ("not_canonical", "wrong_record")


# --- Keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"nbf": SECONDS + 1}, "key_not_yet_valid"),
        ({"status": "next"}, "key_not_yet_valid"),
        ({"exp": SECONDS}, "key_expired"),
        ({"revoked": {"revoked_at": SECONDS}, "status": "revoked"}, "key_revoked"),
        ({"vkey": None, "x": published(STRANGER)["x"]}, "unknown_key"),
        ({"auditor": "Audit & Co"}, "bad_opinion"),
        ({"log_since": 6}, "wrong_checkpoint"),
        ({"log_until": 5}, "wrong_checkpoint"),
        ({"log_until": 6}, ""),
    ],
)
def test_a_key_signs_only_while_it_may(changed: dict[str, Any], code: str) -> None:
    assert code_of(sample(), keys=jwks(exchange_jwk(**changed))) == code


def test_another_partys_key_set_does_not_know_the_key() -> None:
    assert code_of(sample(), keys=jwks(published(STRANGER))) == "unknown_key"
    assert code_of(sample(), keys=b"{}") == "bad_key_set"


def revoked_jwk(batch: int) -> dict[str, Any]:
    """The exchange's old key: retired, and revoked later by the batch of this number."""
    return exchange_jwk(
        status="revoked",
        exp=SECONDS + 600,
        revoked={"revoked_at": SECONDS + 5_000},
        log_until=6,
        log_revoked=batch,
    )


def test_a_key_revoked_since_is_judged_by_the_place_in_the_log() -> None:
    """Its own checkpoint vouches for nothing then: who stole the key could have signed it."""
    made = sample()
    assert code_of(made, keys=jwks(revoked_jwk(99))) == "key_revoked"
    newer = copy.deepcopy(made.log)
    newer.key = STRANGER_KEY  # the key that came after
    newer.post(("deposit", "treasury", "much later"))
    proof = json.dumps(newer.transaction_proof(made.logged)).encode()
    next_key = exchange_jwk(STRANGER, log_since=6)
    assert code_of(made, keys=jwks(revoked_jwk(99), next_key), proof=proof) == ""
    assert code_of(made, keys=jwks(revoked_jwk(4), next_key), proof=proof) == "key_revoked"
    assert code_of(made, keys=jwks(revoked_jwk(99)), proof=proof) == "wrong_checkpoint"
    by_the_thief = json.dumps(made.log.transaction_proof(made.logged)).encode()
    assert code_of(made, keys=jwks(revoked_jwk(99), next_key), proof=by_the_thief) == "wrong_checkpoint"
    other = json.dumps(newer.transaction_proof(made.logged - 1)).encode()
    assert code_of(made, keys=jwks(revoked_jwk(99), next_key), proof=other) == "not_in_log"


# --- Log --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda a: a.pop("proof"), "not_in_log"),
        (lambda a: a.update(proof="{}"), "not_in_log"),
        (lambda a: a.update(proof="x"), "not_in_log"),
        (lambda a: a.update(proof=a["proof"].replace('"legs": 0', '"legs": 1')), "not_in_log"),
        (lambda a: a.update(checkpoint="x"), "wrong_checkpoint"),
        (lambda a: a.update(surprise="x"), "wrong_schema"),
        (lambda a: a.update(issued_at="yesterday"), "wrong_schema"),
        (lambda a: a.pop("transactions"), "wrong_schema"),
    ],
)
def test_an_annex_that_proves_nothing(change: Callable[[dict[str, Any]], object], code: str) -> None:
    made = sample()
    assert code_of(made, file=made.file(change=lambda payload: change(payload["annex"]))) == code


def test_each_part_of_the_proof_is_checked() -> None:
    made = sample()
    proof = json.loads(made.annex().log.proof)  # type: ignore[union-attr]
    for path in places(proof):
        changed = json.dumps(replaced(proof, path, "AAAA"))
        file = made.file(change=lambda payload, text=changed: payload["annex"].update(proof=text))  # type: ignore[misc]
        assert code_of(made, file=file) in ("not_in_log", "wrong_checkpoint"), path


# --- Chain ------------------------------------------------------------------------------------------------------------


def second(first: Sample, **changed: Any) -> Sample:
    closing = first.core["balances"]["closing"]
    micros = int(closing["amount"].replace(".", ""))
    link = ChainLink(2, canonical_digest(first.core))
    statement = replace(
        source("final"),
        chain=link,
        balances=Balances(micros, closing["account_seq"], (), micros, closing["account_seq"]),
        **changed,
    )
    return sample(statement, lines=[], metering=[])


def test_the_chain_to_the_previous_statement() -> None:
    first = sample()
    following = second(first)
    assert code_of(following) == ""
    assert code_of(following, previous=first.file()) == ""
    assert code_of(first, previous=following.file()) == "replayed"
    assert code_of(first, previous=first.file()) == "replayed"
    other = second(sample(replace(source(), contact="somebody else")))
    assert code_of(following, previous=sample(replace(source(), contact="somebody else")).file()) == "wrong_chain"
    assert code_of(other, previous=first.file()) == "wrong_chain"
    assert code_of(second(first, party="provider-q"), previous=first.file()) != ""
    assert code_of(following, previous=b"{}") == "wrong_chain"


# --- Opinions ---------------------------------------------------------------------------------------------------------

DIGEST = "ab" * 32


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"opinion": "agreed"}, ""),
        ({"opinion": "refused"}, ""),
        ({"opinion": "refused", "findings_digest": DIGEST}, ""),
        ({"opinion": "agreed_with_findings", "findings_digest": DIGEST}, ""),
        ({"opinion": "agreed_with_findings"}, "bad_opinion"),
        ({"opinion": "agreed_with_findings", "findings_digest": "x"}, "bad_opinion"),
        ({"opinion": "splendid"}, "bad_opinion"),
        ({"opinion": "agreed", "surprise": "x"}, "bad_opinion"),
        ({}, "bad_opinion"),
    ],
)
def test_an_auditors_signature_says_what_the_auditor_thinks(header: dict[str, str], code: str) -> None:
    made = sample()
    file = AUDITOR.add_signature(made.file(), signed_at=SIGNED_AT, header=header)
    assert code_of(made, file=file) == code
    if not code:
        report = verify(file, KEYS, records=made.file_of_records)
        assert report.opinions == [f"{header['opinion']} by Audit & Co"]


def test_an_auditors_key_does_not_speak_for_the_exchange_nor_the_other_way_round() -> None:
    made = sample()
    assert code_of(made, file=made.file(AUDITOR)) == "bad_opinion"
    keys = jwks(exchange_jwk(), published(AUDITOR))  # not an auditor's
    file = AUDITOR.add_signature(made.file(), signed_at=SIGNED_AT, header={"opinion": "agreed"})
    assert code_of(made, file=file, keys=keys) == "bad_opinion"


# --- The command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = sample()
    (tmp_path / "s.jws.json").write_bytes(made.file())
    (tmp_path / "s.records.jsonl").write_bytes(made.file_of_records)
    (tmp_path / "lonely.jws.json").write_bytes(made.file())
    (tmp_path / "keys").write_bytes(KEYS)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["s.jws.json", "--jwks", "keys"], 0, "VERIFIED"),
        (["lonely.jws.json", "--jwks", "keys"], 1, "[records_missing]"),
        (["lonely.jws.json", "--jwks", "keys", "--records", "s.records.jsonl"], 0, "VERIFIED"),
        (["s.jws.json", "--jwks", "keys", "--records", "keys"], 1, "[records_"),
        (["s.jws.json", "--jwks", "keys", "--records", "absent"], 2, ""),
        (["s.jws.json", "--jwks", "keys", "--proof", "absent"], 2, ""),
    ],
)
def test_the_exit_status(
    arguments: list[str], status: int, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([each if each.startswith("--") else str(folder / each) for each in arguments]) == status
    assert said in capsys.readouterr().out


def test_a_lone_copy_of_the_verifier_runs(folder: Path) -> None:
    copy_of_it = folder / "verify_statement.py"
    copy_of_it.write_bytes((ROOT / "settlement/statements/verify.py").read_bytes())
    alone = [sys.executable, "-I", str(copy_of_it), "s.jws.json", "--jwks", "keys"]
    ran = subprocess.run(alone, cwd=folder, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "VERIFIED, but not: checkpoint"), (
        ran.stdout + ran.stderr
    )


def test_any_part_of_another_kind_under_a_good_signature_never_crashes_the_verifier() -> None:
    made = sample()
    core = json.loads(canonical_bytes(made.core))
    others: list[Any] = [0, "", "1", [], {}, [[]], [{}]]
    for by in others:
        for path in places(core):
            changed = replaced(core, path, by)

            def refit(payload: dict[str, Any], core: Any = changed) -> None:
                payload.update(core=core, core_digest=canonical_digest(core).hex())

            report = verify(made.file(change=refit), KEYS, records=made.file_of_records)
            assert report.ok == (changed == core), path
        for path in places(json.loads(made.records[0])):
            record = replaced(json.loads(made.records[0]), path, by)
            fitted = with_records(sample(logged=False), [canonical_bytes(record), *made.records[1:]])
            verify(fitted.file(), KEYS, records=fitted.file_of_records).text()
