"""A party's statement, written again from a recomputed run and its account, beside the one that was signed. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from settlement.recompute.accounts import PartyAccount, read_account
from settlement.recompute.bundle import Bundle
from settlement.recompute.contracts import PartyShare, RecomputedRun
from settlement.recompute.debts import Debts
from settlement.recompute.faults import Check, FaultCode
from settlement.recompute.manifest import ManifestRun, proof_file
from settlement.statements.canonical import canonical_bytes
from settlement.statements.compose import RunInputs, StatedRun, StatementInput, compose_core
from settlement.statements.document import ChainLink
from settlement.statements.party_line import PartyLine, plain_line
from settlement.statements.records import RecordsFold, write_records
from settlement.statements.verify import verify

DIFFERENCES_TOLD = 5
_NOTHING = PartyShare()


@dataclass(frozen=True, slots=True)
class Party:
    """Whose statement is written again: the code, and what the bundle has of the account."""

    code: str
    account: PartyAccount


def check_statement(
    bundle: Bundle, recomputed: RecomputedRun, debts: Debts, party: str, jwks: bytes
) -> Iterator[Check]:
    """Whether the signed statement is what its inputs come to, step by step. Raises `BundleFault`."""
    name = f"statements/{party}"
    signed, records = bundle.read(f"{name}.jws.json"), bundle.read(f"{name}.records.jsonl")
    proof = bundle.read(proof_file(party)) if proof_file(party) in bundle else None
    report = verify(signed, jwks, records=records, proof=proof)
    if not report.ok:
        failed = next(check for check in report.checks if not check.passed)
        yield Check(f"{party}: signature", FaultCode.BAD_STATEMENT, f"{report.code}: {failed.detail}")
    else:
        yield Check(f"{party}: signature")
    account = read_account(bundle, party)
    references = frozenset(recomputed.moves)
    yield from debts.add(party, account, references)
    lines = list(_lines(recomputed, party, account))
    wrong = account.differing(lines, references)
    yield Check(f"{party}: postings", FaultCode.WRONG_POSTINGS if wrong else "", wrong)
    ours, core = _written(bundle.run, recomputed, Party(party, account), lines)
    yield _compare_records(party, ours, records)
    yield _compare_core(party, core, signed)


def _lines(recomputed: RecomputedRun, party: str, account: PartyAccount) -> Iterator[PartyLine]:
    for contract in recomputed.contracts:
        yield from contract.parties.get(party, _NOTHING).lines
        for entry in account.uncovered(contract.moves):
            yield plain_line(
                contract.terms,
                party=party,
                kind=entry.ref,
                micros=entry.micros,
                cumulative_micros=entry.micros,
                reference=entry.reference,
                ref=entry.ref,
            )


def _written(
    run: ManifestRun, recomputed: RecomputedRun, party: Party, lines: Sequence[PartyLine]
) -> tuple[list[bytes], dict[str, Any]]:
    """The records and the core, by the code that wrote those of the run."""
    shares = [contract.parties[party.code] for contract in recomputed.contracts if party.code in contract.parties]
    balances = party.account.balances
    fold = RecordsFold()
    metering = (text for share in shares for text in share.metering)
    splits = (split for share in shares for split in share.splits)
    records = list(write_records(lines, metering, splits, bytes.fromhex(balances.seed), fold))
    chain = None
    if balances.sequence is not None:
        previous = balances.previous_digest
        chain = ChainLink(balances.sequence, None if previous is None else bytes.fromhex(previous))
    source = StatementInput(
        party=party.code,
        currency=run.currency,
        minor_unit=run.minor_unit,
        run=_stated_run(run, recomputed),
        chain=chain,
        balances=party.account.stated(),
        inputs=RunInputs(run.usage_through, len(recomputed.contracts)),
        previous_run=run.previous_run,
        contact=run.contact,
        key_set=run.key_set,
    )
    return records, compose_core(source, fold.summary())


def _stated_run(run: ManifestRun, recomputed: RecomputedRun) -> StatedRun:
    """The run, with the digest over the inputs that are really there."""
    return StatedRun(
        key=run.key,
        kind=run.kind,
        sequence=run.sequence,
        period_start=run.period.start,
        period_end=run.period.end,
        input_digest=recomputed.input_digest,
        rules_version=run.rules_version,
        code_version=run.code_version,
        product=run.product,
        value_date=run.value_date,
        dispute_until=run.dispute_until,
    )


def _compare_records(party: str, ours: Sequence[bytes], stated: bytes) -> Check:
    what = f"{party}: records"
    theirs = stated.split(b"\n")[:-1]
    if stated == b"".join(record + b"\n" for record in ours):
        return Check(what)
    if len(ours) != len(theirs):
        detail = f"the inputs come to {len(ours)} records, and {len(theirs)} are stated"
        return Check(what, FaultCode.RECORDS_DIFFER, detail)
    pairs = zip(ours, theirs, strict=True)
    number, mine, other = next((at, *pair) for at, pair in enumerate(pairs, start=1) if pair[0] != pair[1])
    if _without_salt(mine) == _without_salt(other):
        return Check(what, FaultCode.WRONG_SEED, f"record {number} has another salt")
    detail = f"record {number}: {'; '.join(_differences(_object(mine), _object(other)))}"
    return Check(what, FaultCode.RECORDS_DIFFER, detail)


def _compare_core(party: str, ours: Mapping[str, Any], signed: bytes) -> Check:
    what = f"{party}: core"
    try:
        payload = json.loads(signed)["payload"]
        stated = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["core"]
        same = canonical_bytes(stated) == canonical_bytes(dict(ours))
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        return Check(what, FaultCode.CORE_DIFFERS, f"there is no core to compare with: {error}")
    if same:
        return Check(what)
    run = stated.get("run") if isinstance(stated, Mapping) else None
    if isinstance(run, Mapping) and run.get("input_digest") != ours["run"]["input_digest"]:
        detail = "the inputs are not those that the statement was signed over"
        return Check(what, FaultCode.WRONG_INPUTS, detail)
    return Check(what, FaultCode.CORE_DIFFERS, "; ".join(_differences(ours, stated)))


def _differences(ours: Any, theirs: Any) -> list[str]:
    """Where two JSON values differ: a few of the places, with what the inputs come to and what is stated."""
    return list(_walk("", ours, theirs))[:DIFFERENCES_TOLD] or ["the bytes differ"]


def _walk(path: str, ours: Any, theirs: Any) -> Iterator[str]:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for name in sorted(ours.keys() | theirs.keys()):
            yield from _walk(f"{path}.{name}".lstrip("."), ours.get(name), theirs.get(name))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _walk(f"{path}[{place}]", mine, other)
    elif ours != theirs:
        yield f"{path} comes to {_shown(ours)}, stated is {_shown(theirs)}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)[:80]


def _object(record: bytes) -> Any:
    try:
        return json.loads(record)
    except (ValueError, RecursionError):
        return {}


def _without_salt(record: bytes) -> Any:
    value = _object(record)
    return {name: member for name, member in value.items() if name != "salt"} if isinstance(value, dict) else value
