from __future__ import annotations

import hashlib
import hmac
import json
from collections import defaultdict
from dataclasses import replace

import pytest

from ledger.merkle import inclusion_proof, leaf_hash, tree_root, verify_inclusion
from settlement.calculation import calculate, exact_figures
from settlement.netting import ratio_ppm
from settlement.postings import position_legs
from settlement.statements.canonical import canonical_bytes
from settlement.statements.compose import TRANSACTIONS_LISTED, Annex, compose_core, statement_payload
from settlement.statements.party_lines import PartyLine, plain_line, position_lines, unmatched_line
from settlement.statements.records import RecordsFold, line_seed, write_records
from tests.unit.settlement.stated_samples import (
    CODES,
    LINE_TERMS,
    METERING,
    REFERENCE,
    SEED,
    SIGNED_AT,
    lines_of,
    sample,
    source,
    splits,
)
from tests.unit.settlement.worked_examples import ACCOUNTS, EXAMPLE_1, EXAMPLE_2, TERMS, use


def test_a_record_is_canonical_and_salted() -> None:
    made = sample()
    salts = set()
    for number, data in enumerate(made.records, start=1):
        record = json.loads(data)
        assert canonical_bytes(record) == data
        assert (set(record), record["number"]) == ({"body", "number", "record", "salt"}, number)
        salts.add(record["salt"])
    assert len(salts) == len(made.records)
    assert {len(salt) for salt in salts} == {32}


def test_texts_of_any_kind_stay_canonical() -> None:
    odd = '"\\/\b\f\n\r\t\u0001\u007f\u2028 ü € 😀 \ufb33'
    line = plain_line(
        replace(LINE_TERMS, tax_category=odd),
        party="provider-p",
        kind="debt",
        micros=-1,
        cumulative_micros=-1,
        reference=odd,
        ref="debt",
    )
    (data,) = write_records([line], [], [], SEED, RecordsFold())
    assert canonical_bytes(json.loads(data)) == data
    assert b"\n" not in data


def test_the_root_is_over_the_bytes_and_one_record_can_be_shown_alone() -> None:
    made = sample()
    hashes = [leaf_hash(record) for record in made.records]
    assert made.core["records"]["root"] == tree_root(hashes).hex()
    for index, record in enumerate(made.records):
        proof = inclusion_proof(hashes, index)
        assert verify_inclusion(leaf_hash(record), index, len(hashes), proof, tree_root(hashes))


@pytest.mark.parametrize("count", [0, 1, 1_023, 1_024, 1_025, 3_000])
def test_the_root_of_many_records_is_that_of_one_tree(count: int) -> None:
    fold = RecordsFold()
    records = list(write_records([], ["{}"] * count, [], SEED, fold))
    assert (fold.count, fold.summary().count) == (count, count)
    assert fold.summary().root == tree_root([leaf_hash(record) for record in records])


@pytest.mark.parametrize("seed", [SEED, b"s" * 64, b"s" * 65])
def test_a_salt_is_the_hmac_of_the_records_number(seed: bytes) -> None:
    for number, record in enumerate(write_records([], ["{}"] * 12, [], seed, RecordsFold()), start=1):
        assert json.loads(record)["salt"] == hmac.digest(seed, b"%d" % number, "sha256")[:16].hex()


def test_salts_follow_from_statement_and_secret_alone() -> None:
    assert line_seed("s", "a/CNY/r") == line_seed("s", "a/CNY/r")
    assert len({line_seed("s", "a/CNY/r"), line_seed("t", "a/CNY/r"), line_seed("s", "b/CNY/r")}) == 3
    again = [
        list(write_records(lines_of("provider-p"), [], [], seed, RecordsFold())) for seed in (SEED, SEED, bytes(32))
    ]
    assert again[0] == again[1] != again[2]


def test_the_core_does_not_depend_on_when_it_is_issued_and_says_everything_without_null() -> None:
    made = sample()
    early, late = (statement_payload(made.core, made.annex(at)) for at in (SIGNED_AT, SIGNED_AT.replace(year=2027)))
    assert early["core_digest"] == late["core_digest"] == hashlib.sha256(canonical_bytes(made.core)).hexdigest()
    assert early != late
    assert b"null" not in canonical_bytes(made.core)
    assert made.core["netting"]["ratio_ppm"] == ratio_ppm(373_800 + 384_300, 10_500)


def test_a_statement_of_many_postings_lists_their_root_instead() -> None:
    made = sample()
    few = [("settlement", f"r/{number}", number) for number in range(TRANSACTIONS_LISTED)]
    many = [*few, ("settlement", "r/last", 1_000)]
    listed = statement_payload(made.core, Annex(SIGNED_AT, few))["annex"]
    assert len(listed["transactions"]) == TRANSACTIONS_LISTED
    counted = statement_payload(made.core, Annex(SIGNED_AT, many))["annex"]
    assert counted["transactions_count"] == TRANSACTIONS_LISTED + 1
    assert len(bytes.fromhex(counted["transactions_root"])) == 32
    assert len(canonical_bytes(counted)) < 1_000


def test_a_later_run_tells_what_it_changed_and_what_all_runs_came_to() -> None:
    before = calculate(TERMS, EXAMPLE_1)
    position = replace(EXAMPLE_1, minutes=(use(85_000), use(0, 5_000, minute=1)))
    after = calculate(TERMS, position)
    exact = exact_figures(TERMS, position, after)
    lines = position_lines(LINE_TERMS, after, before, exact, reference=REFERENCE, codes=CODES, place=7)
    assert [line.place for line in lines] == list(range(7, 7 + len(lines)))
    own = {line.kind: line for line in lines if line.party == "provider-p" and not line.beneficiary}
    assert (own["delivered"].tokens, own["delivered"].value_micros) == (5_000, 21_000)
    assert own["delivered"].cumulative_micros == 357_000
    assert own["delivered"].exact == (357_000, 1)
    assert "short" not in own  # nothing changed
    fold = RecordsFold()
    told = [line for line in lines if line.party == "provider-p"]
    list(write_records(told, [json.dumps(METERING)], splits(), SEED, fold))
    core = compose_core(source("final", previous_run="the/initial/run"), fold.summary())
    assert core["delta"]["previous_run"] == "the/initial/run"
    changes = {each["kind"]: each for each in core["delta"]["by_kind"]}
    assert changes["delivered"] == {
        "kind": "delivered",
        "previous": "0.336000",
        "value": "0.021000",
        "cumulative": "0.357000",
    }


@pytest.mark.parametrize("position", [EXAMPLE_1, EXAMPLE_2])
def test_each_partys_lines_sum_to_what_the_legs_of_each_ref_moved(position: object) -> None:
    outcome = calculate(TERMS, position)  # type: ignore[arg-type]
    exact = exact_figures(TERMS, position, outcome)  # type: ignore[arg-type]
    lines = position_lines(LINE_TERMS, outcome, None, exact, reference=REFERENCE, codes=CODES)
    names = {21: "buyer-a", 22: "provider-p", 10: "house"} | CODES
    moved: dict[tuple[str, str], int] = defaultdict(int)
    for leg in position_legs(outcome, ACCOUNTS):
        if leg.account.role in ("cash", "fees"):
            moved[names[leg.account.party_id], leg.ref] += leg.amount
    stated: dict[tuple[str, str], int] = defaultdict(int)
    for line in lines:
        assert bool(line.reference) == bool(line.ref) == bool(line.value_micros)
        stated[line.party, line.ref] += line.amount_micros
    assert {key: micros for key, micros in stated.items() if micros} == {
        key: micros for key, micros in moved.items() if micros
    }


def test_the_overage_line_states_the_price_it_was_charged_at() -> None:
    position = replace(
        EXAMPLE_1,
        minutes=(use(110_000),),
        reference_price_micros=5_000_000,
        overage_cap_tokens=10_000,
        overage_hold_micros=90_000,
    )
    outcome = calculate(TERMS, position)
    terms = replace(LINE_TERMS, reference_price_micros=5_000_000)
    lines = position_lines(
        terms, outcome, None, exact_figures(TERMS, position, outcome), reference=REFERENCE, codes=CODES
    )
    (line,) = [line for line in lines if (line.party, line.kind) == ("buyer-a", "overage")]
    assert (line.tokens, line.price_micros, line.amount_micros) == (10_000, 5_000_000, -50_000)


def test_an_indicative_line_names_no_posting() -> None:
    lines = lines_of("provider-p", reference="")
    assert lines
    assert not any(line.reference or line.ref for line in lines)


def test_usage_without_a_position_is_told_and_never_charged() -> None:
    line: PartyLine = unmatched_line(LINE_TERMS, party="buyer-a", counterparty="provider-p", tokens=7, place=3)
    assert (line.kind, line.tokens, line.amount_micros, line.value_micros) == ("unmatched", 7, 0, 0)
    assert (line.reference, line.place) == ("", 3)
