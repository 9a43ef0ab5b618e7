"""What somebody with a key of the exchange could try on whoever checks statements: each is refused, or said aloud."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from ledger.merkle import leaf_hash, tree_root
from settlement.statements.canonical import canonical_bytes, canonical_digest
from settlement.statements.document import Balances, ChainLink
from settlement.statements.party_lines import PartyLine
from settlement.statements.verify import CODES, main, verify
from tests.unit.settlement.sample_statements import AUDITOR, STRANGER, STRANGER_KEY, published
from tests.unit.settlement.stated_samples import (
    METERING,
    SIGNED_AT,
    Sample,
    exchange_jwk,
    indicative,
    jwks,
    lines_of,
    sample,
    source,
)

SECONDS = int(SIGNED_AT.timestamp())
KEYS = jwks()


def code_of(made: Sample, **changed: Any) -> str:
    given = {"records": made.file_of_records} | changed
    report = verify(given.pop("file", None) or made.file(), given.pop("keys", KEYS), **given)
    assert report.code in {"", *CODES}, report.code
    return report.code


# --- Keys that are no longer in use, and logs made for one reader -----------------------------------------------------

RETIRED = exchange_jwk(status="retired", exp=SECONDS + 600, log_until=6)
REVOKED = exchange_jwk(
    status="revoked", exp=SECONDS + 600, revoked={"revoked_at": SECONDS + 5_000}, log_until=6, log_revoked=99
)
NEXT = exchange_jwk(STRANGER, log_since=6)


def later(made: Sample, batches: int = 1) -> Sample:
    """The same with a log that went on under the key that came after."""
    other = copy.deepcopy(made)
    other.log.key = STRANGER_KEY
    for number in range(batches):
        other.log.post(("deposit", "treasury", f"much later {number}"))
    return other


def proof_of(made: Sample) -> bytes:
    return json.dumps(made.log.transaction_proof(made.logged)).encode()


@pytest.mark.parametrize(("key", "code"), [(RETIRED, "key_retired"), (REVOKED, "key_revoked")])
def test_a_key_no_longer_in_use_needs_a_newer_proof_or_a_checkpoint_that_was_kept(
    key: dict[str, Any], code: str
) -> None:
    """Who stole it can sign a log of their own, in which the statement stands wherever they like."""
    made = sample()
    keys = jwks(key, NEXT)
    assert code_of(made, keys=keys) == code
    assert code_of(made, keys=keys, proof=proof_of(made)) in ("key_retired", "wrong_checkpoint")
    assert code_of(made, keys=keys, proof=proof_of(later(made))) == ""
    assert code_of(made, keys=keys, checkpoint=made.log.note().encode()) == ""
    private = sample(source(contact="forged"))
    assert code_of(private, keys=keys, checkpoint=made.log.note().encode()) == "log_rewritten"
    too_late = key | {"log_until": 4}
    assert code_of(made, keys=jwks(too_late, NEXT), proof=proof_of(later(made))) in (code, "wrong_checkpoint")


def test_a_checkpoint_that_was_kept_vouches_for_nothing_that_came_after_it() -> None:
    """The log up to there is public: who stole a key can go on from it."""
    made = sample()
    forged = sample(source(contact="forged"), logged=False)
    forged.log = copy.deepcopy(made.log)
    forged.put_into_log()
    kept, size = made.log.note(), len(forged.log.records)
    proof = json.dumps(forged.log.consistency_proof(5, size)).encode()
    given: dict[str, Any] = {"checkpoint": kept.encode(), "consistency": proof}
    assert code_of(forged, **given) == ""
    for key, code in ((RETIRED, "key_retired"), (REVOKED, "key_revoked")):
        assert code_of(forged, keys=jwks(key | {"log_until": 99}, NEXT), **given) == code


def test_a_time_token_does_not_replace_the_log_and_the_checkpoints_signature_is_always_checked() -> None:
    made = sample()

    def unsigned(payload: dict[str, Any]) -> None:
        note = "\n".join([*payload["annex"]["checkpoint"].split("\n")[:-2], "\u2014 x AAAA", ""])
        proof = json.loads(payload["annex"]["proof"]) | {"checkpoint": note}
        payload["annex"].update(proof=json.dumps(proof, sort_keys=True), checkpoint=note)

    file = made.file(change=unsigned)
    for keys in (jwks(REVOKED, NEXT), KEYS):
        for more in ({}, {"token": b"0", "authority": b""}, {"proof": proof_of(later(made))}):
            assert code_of(made, file=file, keys=keys, **more) == "wrong_checkpoint"
    assert code_of(made, keys=jwks(REVOKED), token=b"0", authority=b"") == "key_revoked"


def test_a_checkpoint_that_was_kept_tells_another_log() -> None:
    made = sample()
    grown = later(made, 3)
    kept, newest = made.log.note(3).encode(), grown.log.note().encode()
    assert code_of(made, checkpoint=made.log.note().encode()) == ""
    for checkpoint, first, second in ((kept, 3, 5), (newest, 5, 8)):
        assert code_of(made, checkpoint=checkpoint) == "consistency_missing"
        document = grown.log.consistency_proof(first, second)
        document = {**document, "first": made.log.note(first)} if first == 3 else document
        proof = json.dumps(document).encode()
        report = verify(
            made.file(), KEYS, records=made.file_of_records, checkpoint=checkpoint, consistency=proof, require=["chain"]
        )
        assert (report.ok, report.unchecked) == (True, []), report.text()
        assert report.text().endswith("\nVERIFIED")
        bent = json.dumps(document | {"path": document["path"][::-1] + document["path"][:1]}).encode()
        assert code_of(made, checkpoint=checkpoint, consistency=bent) == "log_rewritten"
        assert code_of(made, checkpoint=b"x", consistency=proof) == "wrong_checkpoint"
    other = sample(source(contact="another view"))
    assert code_of(other, checkpoint=made.log.note().encode()) == "log_rewritten"
    stray = json.dumps(grown.log.consistency_proof(2, 5)).encode()
    assert code_of(made, checkpoint=kept, consistency=stray) == "consistency_missing"


def test_an_indicative_statement_by_a_retired_key_is_not_said_to_be_checked() -> None:
    made = indicative()
    report = verify(made.file(), jwks(RETIRED), records=made.file_of_records)
    assert (report.ok, report.unchecked) == (True, ["log"])
    assert code_of(made, keys=jwks(REVOKED)) == "key_revoked"
    for unused in ("proof", "checkpoint", "previous_records"):
        assert code_of(made, **{unused: b"x"}) == "unused_option"
    assert code_of(sample(), consistency=b"x") == code_of(sample(), token=b"x") == "unused_option"


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (exchange_jwk(status="revoked"), "bad_key_set"),
        (exchange_jwk(status=None), "bad_key_set"),
        (exchange_jwk(status="splendid"), "bad_key_set"),
        (exchange_jwk(revoked={"revoked_at": SECONDS + 9}), "bad_key_set"),
        (exchange_jwk(status="retired", log_until=6), "bad_key_set"),
        (exchange_jwk(status="retired", exp=SECONDS + 9), "bad_key_set"),
        (exchange_jwk(use="enc"), "bad_key_set"),
        (exchange_jwk(alg="RS256"), "bad_key_set"),
        (exchange_jwk(x="AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "bad_key_set"),
        (
            exchange_jwk(x=base64.urlsafe_b64encode(b"\xee" + b"\xff" * 30 + b"\x7f").rstrip(b"=").decode()),
            "bad_key_set",
        ),
        (exchange_jwk(log_until="x"), "not_in_log"),
    ],
)
def test_a_key_whose_state_or_use_is_in_doubt_signs_nothing(key: dict[str, Any], code: str) -> None:
    assert code_of(sample(), keys=jwks(key)) == code


# --- Opinions and times -----------------------------------------------------------------------------------------------


def with_opinion(made: Sample, at: datetime = SIGNED_AT, opinion: str = "agreed") -> bytes:
    return AUDITOR.add_signature(made.file(), signed_at=at, header={"opinion": opinion})


def test_opinions_by_revoked_keys_do_not_count_and_a_refusal_stands_in_the_last_line() -> None:
    made = sample()
    auditor = published(AUDITOR, auditor="Audit & Co", nbf=SECONDS - 900, revoked={"revoked_at": SECONDS + 500})
    file = with_opinion(made)
    report = verify(file, jwks(exchange_jwk(), auditor), records=made.file_of_records)
    assert (report.ok, report.opinions) == (True, [])
    assert report.not_counted == ["agreed by Audit & Co, whose key was revoked"]
    refused = verify(with_opinion(made, opinion="refused"), KEYS, records=made.file_of_records)
    assert refused.text().splitlines()[-1] == "VERIFIED, but not: checkpoint; REFUSED by Audit & Co"


@pytest.mark.parametrize(
    ("at", "code"),
    [(timedelta(minutes=-4), ""), (timedelta(minutes=-6), "wrong_time"), (timedelta(days=9_000), "wrong_time")],
)
def test_an_opinion_is_not_from_before_the_statement_nor_from_the_far_future(at: timedelta, code: str) -> None:
    made = sample()
    assert code_of(made, file=with_opinion(made, SIGNED_AT + at)) == code


def test_a_statement_is_not_from_the_far_future_of_the_readers_clock() -> None:
    assert code_of(sample(), now=SIGNED_AT - timedelta(days=365)) == ""
    assert code_of(sample(), now=SIGNED_AT - timedelta(days=367)) == "wrong_time"


# --- What was not checked ---------------------------------------------------------------------------------------------


def following(first: Sample, factor: int, **changed: Any) -> Sample:
    """A final run that changes nothing, and says that before it there was so many times what there was."""
    closing = first.core["balances"]["closing"]
    micros = int(closing["amount"].replace(".", ""))
    told = [
        msgspec.structs.replace(
            line,
            amount_micros=0,
            value_micros=0,
            tokens=None,
            price_micros=None,
            cumulative_micros=line.cumulative_micros * factor,
            exact=(line.cumulative_micros * factor, 1),
            reference="",
            ref="",
        )
        for line in lines_of("provider-p")
        if line.kind in ("delivered", "damages")
    ]
    statement = replace(
        source("final"),
        chain=ChainLink(2, canonical_digest(first.core)),
        balances=Balances(micros, closing["account_seq"], (), micros, closing["account_seq"]),
        previous_run=first.core["run"]["key"],
        **changed,
    )
    return sample(statement, lines=told)


def test_what_came_before_is_held_against_the_statement_before() -> None:
    first = sample()
    honest, forged = following(first, 1), following(first, 3)
    beside: dict[str, Any] = {"previous": first.file(), "previous_records": first.file_of_records}
    report = verify(honest.file(), KEYS, records=honest.file_of_records, **beside)
    assert (report.ok, report.unchecked) == (True, ["checkpoint"]), report.text()
    assert code_of(forged, **beside) == "wrong_delta"
    assert code_of(forged, previous=first.file()) == "wrong_delta"
    report = verify(forged.file(), KEYS, records=forged.file_of_records)
    assert report.text().splitlines()[-1] == "VERIFIED, but not: chain, earlier figures, checkpoint"
    assert code_of(honest, previous=first.file(), previous_records=b"") == "records_truncated"
    assert code_of(following(first, 1), previous=first.file(), require=["earlier figures"]) == "not_checked"


def test_what_must_be_checked_is_a_fault_if_it_cannot_be() -> None:
    made = sample()
    assert code_of(made, require=["checkpoint"]) == "not_checked"
    assert code_of(made, need_records=False, records=None, require=["records"]) == "not_checked"
    assert code_of(made, need_records=False, records=None) == ""
    made.core["balances"]["movements"] = [
        {"amount": made.core["balances"]["closing"]["amount"], "entries": 3, "kind": "deposit"}
    ]
    assert (
        "postings" in verify(made.put_into_log().file(), KEYS, records=made.file_of_records).unchecked
    )  # another run's statement may tell of them
    assert code_of(made, require=["postings"]) == "not_checked"


def test_the_command_knows_what_can_be_required(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    made = sample()
    for name, content in {"s.jws.json": made.file(), "s.records.jsonl": made.file_of_records, "k": KEYS}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "kept").write_text(made.log.note(), encoding="utf-8")
    command = [str(tmp_path / "s.jws.json"), "--jwks", str(tmp_path / "k")]
    assert main(command) == 0
    assert main([*command, "--require", "chain, log"]) == 0
    assert main([*command, "--strict"]) == 1
    assert main([*command, "--strict", "--checkpoint", str(tmp_path / "kept")]) == 0
    assert capsys.readouterr().out.endswith("\nVERIFIED\n")
    for wrong in (["--require", "everything"], ["--consistency", "x"], ["--time-token", "x"]):
        with pytest.raises(SystemExit):
            main([*command, *wrong])


# --- Content that adds up and cannot be -------------------------------------------------------------------------------


def forged(change: Callable[[dict[str, Any]], object]) -> str:
    made = sample(logged=False)
    made.core = json.loads(canonical_bytes(made.core))
    change(made.core)
    return code_of(made.put_into_log())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda c: c["balances"].update(held="-1.000000", available="1.989500"), "wrong_balance"),
        (lambda c: c["balances"].update(surprise="x"), "wrong_balance"),
        (lambda c: c["balances"]["movements"][0].update(surprise="x"), "wrong_balance"),
        (lambda c: c["balances"]["movements"][0].update(entries=0), "wrong_balance"),
        (lambda c: c["balances"]["opening"].update(amount="-0.000000"), "wrong_balance"),
        (lambda c: c["totals"].update(surprise="x"), "wrong_schema"),
        (lambda c: c["totals"]["by_kind"][0].update(surprise="x"), "wrong_schema"),
        (lambda c: c["inputs"].update(contracts=-4), "wrong_schema"),
        (lambda c: c["inputs"].update(contracts=0), "wrong_record"),
        (lambda c: c["inputs"].update(usage_through=["x"]), "wrong_schema"),
        (lambda c: c["notice"].update(text=["x"]), "wrong_schema"),
        (lambda c: c["run"].update(kind="Initial"), "wrong_schema"),
        (lambda c: c["run"]["period"].update(end="2026-99-99T14:00:00Z"), "wrong_schema"),
        (lambda c: c["run"]["period"].update(start="2026-12-01T15:00:00.000001Z"), "wrong_schema"),
        (lambda c: c.update(currency="C\nY", statement_id=c["statement_id"].replace("CNY", "C\nY")), "wrong_schema"),
    ],
)
def test_a_core_that_no_honest_exchange_makes(change: Callable[[dict[str, Any]], object], code: str) -> None:
    assert forged(change) == code


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (lambda line: {"amount_micros": -line.amount_micros}, "wrong_record"),
        (
            lambda line: {
                "amount_micros": -line.amount_micros,
                "value_micros": -line.value_micros,
                "cumulative_micros": -line.cumulative_micros,
                "exact": (-line.exact[0], line.exact[1]),
            },
            "wrong_record",
        ),
        (lambda line: {"amount_micros": line.value_micros}, "wrong_record"),  # short does not pass through the account
        (lambda line: {"price_micros": 9_000_000} if line.price_micros else {}, "wrong_exact"),
        (lambda line: {"tokens": 1} if line.price_micros else {}, "wrong_exact"),
        (lambda line: {"tokens": -7} if line.tokens else {}, "wrong_exact"),
        (lambda line: {"contract": "OTHER"}, "wrong_metering"),
        (lambda line: {"counterparty": "provider-p"}, "wrong_record"),
        (lambda line: {"kind": "splendid"}, "wrong_record"),
        (lambda line: {"counterparty": "Cafe\u0301"}, "wrong_record"),
        (lambda line: {"counterparty": "caf\u00e9\u202e"}, "wrong_record"),
        (lambda line: {"tokens": 70_000, "exact": (294_000, 1)} if line.kind == "delivered" else {}, "wrong_exact"),
    ],
)
def test_lines_that_no_honest_exchange_writes(changed: Callable[[PartyLine], dict[str, Any]], code: str) -> None:
    told = [msgspec.structs.replace(line, **changed(line)) for line in lines_of("provider-p")]
    assert code_of(sample(lines=told)) == code


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["buckets"]["input_uncached"].update(settled="999999"),
        lambda m: m.update(verdicts={"matched": "58"}),  # then the provider's figure settles
        lambda m: m.update(verdicts={"within_tolerance": "1"}) or m["buckets"]["input_uncached"].update(buyer="10"),
        lambda m: m.update(settled_millitokens="1"),
        lambda m: m.update(settled_millitokens="99000000"),
        lambda m: m.update(buyer="provider-p"),
        lambda m: m.update(surprise="x"),
        lambda m: m["buckets"]["input_uncached"].update(surprise="x"),
        lambda m: m["buckets"]["input_uncached"].pop("difference"),
    ],
)
def test_meters_figures_that_no_honest_exchange_states(change: Callable[[dict[str, Any]], object]) -> None:
    told = copy.deepcopy(METERING)
    change(told)
    assert code_of(sample(metering=[told])) == "wrong_metering"
    assert code_of(sample(metering=[])) == "wrong_metering"


def test_the_annex_names_the_transactions_of_the_lines_and_the_time_of_the_signature() -> None:
    made = sample()
    for change, code in (
        ({"transactions": "anything"}, "wrong_schema"),
        ({"transactions": []}, "wrong_record"),
        ({"issued_at": "1970-01-01T00:00:00Z"}, "wrong_time"),
        ({"key_set": ["x"]}, "wrong_schema"),
    ):
        file = made.file(change=lambda payload, change=change: payload["annex"].update(change))  # type: ignore[misc]
        assert code_of(made, file=file) == code


# --- Bytes that cost the reader more than the sender ------------------------------------------------------------------


def test_bombs_are_refused_before_they_are_read() -> None:
    made = sample()
    assert code_of(made, records=b"\n" * 200_000_000) == "records_changed"
    deep = b"\x30\x84\x04\x00\x00\x00" + b"\x30\x00" * 0x2000000
    assert code_of(made, token=deep, authority=b"") == "bad_time_token"


def test_half_characters_in_a_proof_are_refused() -> None:
    made = sample()
    proof = json.loads(proof_of(made))
    proof["checkpoint"] = proof["checkpoint"].replace("ledger.example", "ledger\ud800")
    assert code_of(made, proof=json.dumps(proof).encode()) == "wrong_checkpoint"
    assert code_of(made, checkpoint=b"\xff") == "wrong_checkpoint"


def test_nothing_of_a_statement_starts_a_line_of_the_report() -> None:
    core = sample().core
    run = core["run"] | {"key": "x\nVERIFIED"}
    made = sample(logged=False)
    made.core = core | {"run": run, "statement_id": f"{core['party']}/{core['currency']}/x\nVERIFIED"}
    report = verify(made.put_into_log().file(), KEYS, records=made.file_of_records)
    assert not report.ok
    assert [line[:4] for line in report.text().splitlines()[:-1]] == ["ok  "] * 3 + ["FAIL"]


def test_the_root_alone_does_not_let_a_split_stand_without_its_position() -> None:
    made = sample(logged=False)
    record = json.loads(made.records[9])
    record["body"]["buyer"] = "nobody"
    made.records[9] = canonical_bytes(record)
    made.core["records"]["root"] = tree_root([leaf_hash(each) for each in made.records]).hex()
    assert code_of(made.put_into_log()) == "wrong_split"
