"""Verify a signed statement offline.

    python -m settlement.statements.verify FILE --jwks KEYS [--records FILE]
        [--previous FILE [--previous-records FILE]] [--proof FILE] [--checkpoint FILE [--consistency FILE]]
        [--time-token FILE --authority PEM] [--require chain,checkpoint | --strict] [--first-form]

This file stands alone: it needs Python's standard library and `cryptography`, nothing else of this project, so an
auditor can read it in one sitting and keep a copy. Exit status: 0 verified, 1 a check failed, 2 a file could not be
read.

Checked, in this order: envelope, signatures and the validity of their keys, canonical form (RFC 8785), digest of the
core, balances, records (Merkle root of RFC 9162 over the bytes as they stand, numbers, exact and posted amounts,
prices, the meters' figures, splits), sums, differences to the runs before, netting, postings, chain, that the core is
in the exchange's signed log, auditors' opinions, time token. Nothing of the content is looked at before a signature
over those very bytes has been verified.

A fault has one of the codes of `CODES`; they do not change. What could not be checked, because nothing was given to
check it with, has a line of its own (`----`) and is named in the last line; --require makes it a fault. Without
--records the file beside the statement is taken, X.records.jsonl for X.jws.json; likewise for the statement before it.

What the log shows. The statement holds a proof that it is in the log, under a checkpoint that the exchange signed. A
log that was made for you alone would look the same: keep a checkpoint, and give it as --checkpoint; where it is of
another size than the proof's, give the consistency proof between the two as well (GET /api/v1/ledger/log/consistency).
A key that was retired or revoked since may be in other hands, which could sign a log of their own: its statements need
a newer proof under a current key (--proof), or a checkpoint that you kept and that covers them. By that they must stand
in the log before the batch that retired or revoked the key. A time token says when a signature was there, never what is
in the log, so it replaces neither; it decides alone only for indicative statements, which are in no log.

Statements of the first form, of earlier releases, have their lines inside and are in no log: whoever has a key of
then can make one. They are refused without --first-form, and with it checked as far as they go.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import gcd
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID

FIRST_SCHEMA = "tokenbourse-statement/1"
SCHEMA = "tokenbourse-statement/2"
TYPE = "tokenbourse-statement+jws"
TRANSACTION_PROOF = "tokenbourse-transaction-proof/1"
CONSISTENCY_PROOF = "tokenbourse-consistency-proof/1"
MAX_BYTES = 256 * 1024 * 1024
MAX_DEPTH = 12
MAX_SIGNATURES = 8
MAX_PATH = 64
MAX_TOKEN_BYTES = 64 * 1024
SKEW_SECONDS = 300  # by which clocks of several machines may differ
AHEAD_SECONDS = 366 * 86_400  # nothing is dated further ahead of the reader's clock
MAX_SAFE_INTEGER = 2**53 - 1
PPM = 10**6
OPINIONS = ("agreed", "agreed_with_findings", "refused")
RUN_KINDS = ("indicative", "initial", "final", "true_up", "disputed_final")
REQUIRABLE = ("records", "postings", "chain", "earlier figures", "log", "checkpoint")
CODES = {
    "bad_key_set": "the key set cannot be read",
    "bad_envelope": "the file is not a JWS in General JSON, canonical form",
    "wrong_type": "a signature is of another algorithm or type",
    "unknown_key": "a signature is of a key that is not in the key set",
    "bad_signature": "a signature does not fit the content",
    "key_not_yet_valid": "a key signed before it was valid",
    "key_expired": "a key signed after it was retired",
    "key_retired": "a key was retired, and nothing shows that it signed before",
    "key_revoked": "a key was revoked, and nothing shows that it signed before",
    "wrong_time": "a signature is from before what it signs, or from the far future",
    "not_canonical": "content is not in the one canonical form",
    "wrong_schema": "the content is not of a form that this verifier knows",
    "first_form": "it is of the first form, which is in no log, and was not asked for as such",
    "unused_option": "something was given that a statement of this kind does not use",
    "not_checked": "a check that was required could not be made",
    "core_changed": "the core is not the one that its digest or its name tells of",
    "records_missing": "the file of records was not given",
    "records_truncated": "records are missing at the end",
    "records_changed": "the records are not those that were signed",
    "wrong_number": "a record is missing, doubled or out of order",
    "wrong_record": "a record contradicts itself or the statement",
    "wrong_sum": "sums are not those of the lines",
    "wrong_balance": "balances do not follow from each other",
    "wrong_delta": "differences to the runs before do not add up, or are not to what was stated then",
    "wrong_netting": "gross, net and ratio do not fit the lines",
    "wrong_exact": "a posted figure is not its exact one, rounded",
    "wrong_metering": "the meters' figures contradict each other",
    "wrong_split": "the weights of a split are not the whole",
    "wrong_chain": "it does not follow on the statement before it",
    "replayed": "it is no newer than the statement before it",
    "not_in_log": "nothing shows that it is in the exchange's log",
    "wrong_checkpoint": "the checkpoint is not one that a key of the set signed",
    "log_rewritten": "the log is another one than that under the checkpoint that was kept",
    "consistency_missing": "the checkpoint that was kept needs a consistency proof to the statement's",
    "bad_opinion": "an auditor's opinion is not well formed, or not by an auditor's key",
    "bad_time_token": "the time token is not over this statement, or not by this authority",
}
_AMOUNT = re.compile(r"(?!-0\.000000)-?(0|[1-9]\d{0,15})\.\d{6}", re.ASCII)
_COUNT = re.compile(r"(?!-0)-?(0|[1-9]\d{0,20})", re.ASCII)
_EXACT = re.compile(r"(0|-?[1-9]\d{0,75})/([1-9]\d{0,37})", re.ASCII)
_SALT = re.compile(r"[0-9a-f]{32}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", re.ASCII)
_NAME = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)
_SIZE = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Fault(Exception):
    """What is wrong with the statement, for a person; `code` for a program, "" for that of the step."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Check:
    """One step: whether it held, and what was found; `code` says what failed."""

    name: str
    passed: bool
    detail: str
    code: str = ""
    made: bool = True  # False where nothing was given to check it with


class _NotMade(str):
    """Why a check could not be made."""


@dataclass
class Report:
    """The steps taken, and the statement's core once its signature is verified (None before).

    `opinions` are those that count; `not_counted` those by keys that were revoked; `refused_by` whoever refused it.
    """

    checks: list[Check] = field(default_factory=list)
    core: dict[str, Any] | None = None
    signers: list[str] = field(default_factory=list)
    opinions: list[str] = field(default_factory=list)
    not_counted: list[str] = field(default_factory=list)
    refused_by: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def code(self) -> str:
        """Why it is not verified; "" if it is."""
        return next((check.code for check in self.checks if not check.passed), "")

    @property
    def unchecked(self) -> list[str]:
        """The names of the checks that could not be made."""
        return [check.name for check in self.checks if not check.made]

    @property
    def complete(self) -> bool:
        """False when the records were left out, as asked."""
        return "records" not in self.unchecked

    @property
    def verdict(self) -> str:
        """The last line of the report."""
        if not self.ok:
            return "NOT VERIFIED"
        but = f", but not: {', '.join(self.unchecked)}" if self.unchecked else ""
        refused = f"; REFUSED by {', '.join(self.refused_by)}" if self.refused_by else ""
        return f"VERIFIED{but}{refused}"

    def text(self) -> str:
        """The report as lines to print; nothing of the statement can start a line of its own."""
        lines = []
        for check in self.checks:
            word = "FAIL" if not check.passed else "ok  " if check.made else "----"
            lines.append(f"{word}  {check.name}: {check.detail}" + (f" [{check.code}]" if check.code else ""))
        return "\n".join(_printable(line) for line in [*lines, self.verdict])


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


@dataclass(frozen=True)
class _Beside:
    """What was given beside the statement."""

    previous: bytes | None
    records: bytes | None
    previous_records: bytes | None
    need_records: bool
    proof: bytes | None
    checkpoint: bytes | None
    consistency: bytes | None
    token: bytes | None
    authority: bytes | None
    now: int

    def given(self, *names: str) -> list[str]:
        """Those of the options that were given."""
        return [name for name in names if getattr(self, name) is not None]


@dataclass(frozen=True)
class _Signature:
    """A signature that was verified."""

    kid: str
    key: dict[str, Any]
    header: dict[str, Any]

    @property
    def signed_at(self) -> int:
        return _integer(self.header, "iat")


@dataclass
class _Found:
    """What a step found and a later one needs: what lines moved by movement, what they came to before this run by line,
    the core of the statement before, and how the log agrees with the checkpoint that was kept."""

    moved: dict[str, int] | None = None
    earlier: dict[_LineKey, int] = field(default_factory=dict)
    before: dict[str, Any] | None = None
    kept: str = ""


@dataclass(frozen=True)
class _Statement:
    """A statement whose signatures and digest were verified."""

    core: dict[str, Any]
    digest: str
    annex: dict[str, Any]
    signatures: list[_Signature]
    as_signed: bytes  # the file with the exchange's signature alone
    found: _Found = field(default_factory=_Found)

    @property
    def indicative(self) -> bool:
        return _text(_inner(self.core, "run"), "kind") == "indicative"


Keys = dict[str, dict[str, Any]]
_LineKey = tuple[str, str, str, str, str]  # contract, counterparty, kind, beneficiary, and out of which payout


def verify(
    statement: bytes,
    jwks: bytes,
    previous: bytes | None = None,
    *,
    records: bytes | None = None,
    previous_records: bytes | None = None,
    need_records: bool = True,
    proof: bytes | None = None,
    checkpoint: bytes | None = None,
    consistency: bytes | None = None,
    token: bytes | None = None,
    authority: bytes | None = None,
    first_form: bool = False,
    require: Collection[str] = (),
    now: datetime | None = None,
) -> Report:
    """Check a statement file against a key set, with its file of records, and with what else is given: the statement
    before it and its records, a newer proof of its place in the log, a checkpoint that the reader kept and the
    consistency proof between the two, a time token (DER) and its authority's certificates (PEM).

    Without `need_records` a missing file of records is no fault. Checks that could not be made are faults if `require`
    (of `REQUIRABLE`) names them, else the report tells which. `first_form`: a statement of the first form is expected.
    `now`: the reader's clock. Never raises on bad content: the first fault ends the report.
    """
    seconds = int((datetime.now(UTC) if now is None else now).timestamp())
    beside = _Beside(
        previous, records, previous_records, need_records, proof, checkpoint, consistency, token, authority, seconds
    )
    report = Report()
    step, code = "key set", "bad_key_set"
    try:
        keys = _keys(jwks)
        step, code = "signatures", "bad_envelope"
        payload_bytes, signatures, as_signed = _open_envelope(statement, keys, seconds)
        report.signers = [signature.kid for signature in signatures]
        report.checks.append(Check(step, True, f"{len(signatures)} by {', '.join(report.signers)}"))
        step, code = "canonical form", "not_canonical"
        payload = _payload(payload_bytes)
        report.checks.append(Check(step, True, f"{len(payload_bytes)} bytes"))
        step, code = "content", "wrong_schema"
        opened, steps = _opened(payload, signatures, as_signed, first_form=first_form)
        report.core = opened.core
        _check_options(opened, beside, first=steps is _FIRST_STEPS)
        report.checks.append(Check(step, True, f"statement {_text(opened.core, 'statement_id')}"))
        for step, code, check in steps:  # noqa: B007 - the fault names the step it ended in
            _add(report, step, check(opened, keys, beside, report), require)
    except Fault as fault:
        report.checks.append(Check(step, False, str(fault), fault.code or code))
    return report


def _payload(data: bytes) -> dict[str, Any]:
    payload = _object(_parse(data, "payload"), "payload")
    if _canonical(payload) != data:
        raise Fault("the payload is not in the canonical form of RFC 8785")
    return payload


def _opened(
    payload: dict[str, Any], signatures: list[_Signature], as_signed: bytes, *, first_form: bool
) -> tuple[_Statement, _Steps]:
    """The statement in a payload, with the steps that check one of its form."""
    first = _text(payload, "schema") == FIRST_SCHEMA
    if first and not first_form:
        raise Fault(f"it is of the form {FIRST_SCHEMA}, which is in no log (--first-form)", "first_form")
    _check_exchange(signatures[0])
    core, digest = _core(payload)
    opened = _Statement(core, digest, _inner(payload, "annex"), signatures, as_signed)
    return opened, _FIRST_STEPS if first else _STEPS


def _add(report: Report, step: str, detail: str | None, require: Collection[str]) -> None:
    """A step that held, or could not be made; nothing for one that does not concern the statement."""
    made = not isinstance(detail, _NotMade)
    if not made and step in require:
        raise Fault(f"it could not be checked: {detail}", "not_checked")
    if detail is not None:
        report.checks.append(Check(step, True, detail, made=made))


# What is of no use without the other.
_NEEDS = (("token", "authority"), ("authority", "token"), ("consistency", "checkpoint"))
_FILES = ("previous", "previous_records", "proof", "checkpoint", "consistency", "token", "authority")


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        statement, keys = _read(options.file), _read(options.jwks)
        given: dict[str, Any] = {
            name: None if getattr(options, name) is None else _read(getattr(options, name)) for name in _FILES
        }
        records = _records_of(options.file, options.records, look=not options.first_form)
        if options.previous is not None:
            given["previous_records"] = _records_of(options.previous, options.previous_records, look=True)
    except OSError as error:
        print(f"Cannot read {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    require = REQUIRABLE if options.strict else options.require
    report = verify(statement, keys, records=records, first_form=options.first_form, require=require, **given)
    print(report.text().encode("ascii", "backslashreplace").decode())  # whatever the terminal's encoding
    return 0 if report.ok else 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="verify", description="Verify a signed statement offline.")
    parser.add_argument("file", type=Path, help="the statement")
    parser.add_argument("--jwks", type=Path, required=True, help="the public keys, as published")
    parser.add_argument("--records", type=Path, help="its records; else the file beside it, X.records.jsonl")
    parser.add_argument("--previous", type=Path, help="the statement before it, to check the chain")
    parser.add_argument("--previous-records", type=Path, help="the records of that; else the file beside it")
    parser.add_argument("--proof", type=Path, help="a newer proof that it is in the log")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint that you kept: the log must agree with it")
    parser.add_argument("--consistency", type=Path, help="the proof that the two checkpoints are of one log")
    parser.add_argument("--time-token", dest="token", type=Path, help="an RFC 3161 time token over it (DER)")
    parser.add_argument("--authority", type=Path, help="certificates of the token's authority (PEM)")
    parser.add_argument("--require", type=_names, default=(), help=f"what must be checked: {', '.join(REQUIRABLE)}")
    parser.add_argument("--strict", action="store_true", help="all of these must be checked")
    parser.add_argument("--first-form", action="store_true", help="it is of the first form, of earlier releases")
    options = parser.parse_args(arguments)
    for one, other in _NEEDS:
        if getattr(options, one) is not None and getattr(options, other) is None:
            parser.error(f"{one} needs {other}")
    return options


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := set(names) - set(REQUIRABLE):
        raise argparse.ArgumentTypeError(f"there is no check {min(unknown)!a}")
    return names


def _records_of(path: Path, named: Path | None, *, look: bool) -> bytes | None:
    """The records that were named for a statement, else those beside it, if they are there."""
    beside = _records_beside(path)
    return _read(named or beside) if named is not None or (look and beside.exists()) else None


def _records_beside(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".json").removesuffix(".jws") + ".records.jsonl")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


# --- JSON, strictly ---------------------------------------------------------------------------------------------------


def _no_float(number: str) -> Any:
    raise Fault(f"it holds {number[:20]}, which is not a whole number")


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise Fault("it repeats a member name")
    return value


def _parse(data: bytes, what: str) -> Any:
    if len(data) > MAX_BYTES:
        raise Fault(f"the {what} is larger than {MAX_BYTES} bytes")
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float
        )
    except Fault as fault:
        raise Fault(f"the {what}: {fault}") from None
    except UnicodeDecodeError:
        raise Fault(f"the {what} is not UTF-8") from None
    except RecursionError:
        raise Fault(f"the {what} is nested too deeply") from None
    except ValueError as error:
        raise Fault(f"the {what} is not JSON: {str(error)[:120]}") from None


def _canonical(value: Any, depth: int = 0) -> bytes:
    """RFC 8785 for the kinds of value a statement holds: objects, lists, strings, whole numbers."""
    if depth > MAX_DEPTH:
        raise Fault(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        try:
            return json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise Fault("a string holds half a character") from None
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > MAX_SAFE_INTEGER:
            raise Fault("a whole number is beyond 2^53")
        return str(value).encode("ascii")
    if isinstance(value, list):
        return b"[" + b",".join(_canonical(item, depth + 1) for item in value) + b"]"
    if isinstance(value, dict):
        # RFC 8785 sorts by UTF-16 code units; half a character must not stop the sort, it is refused as a string.
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        members = (_canonical(name, depth) + b":" + _canonical(value[name], depth + 1) for name in names)
        return b"{" + b",".join(members) + b"}"
    raise Fault(f"a value is {json.dumps(value)}, which statements do not hold")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Fault(f"{what} is not an object")
    return value


def _member(value: dict[str, Any], name: str) -> Any:
    if name not in value:
        raise Fault(f"{name} is missing")
    return value[name]


def _only(value: dict[str, Any], needed: set[str], optional: set[str], what: str) -> dict[str, Any]:
    """The value, if it has all of these members and no others than these."""
    if missing := needed - value.keys():
        raise Fault(f"{what}: {min(missing)} is missing")
    if unknown := value.keys() - needed - optional:
        raise Fault(f"{what} has an unknown member {min(unknown)[:60]!a}")
    return value


def _inner(value: dict[str, Any], name: str) -> dict[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else _object(_member(value, name), name)


def _list(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = _member(value, name)
    if not isinstance(items, list):
        raise Fault(f"{name} is not a list")
    return [_object(item, f"an item of {name}") for item in items]


def _text(value: dict[str, Any], name: str) -> str:
    text = value.get(name)
    if isinstance(text, str):
        return text
    _member(value, name)
    raise Fault(f"{name} is not a string")


def _integer(value: dict[str, Any], name: str) -> int:
    number = _member(value, name)
    if not isinstance(number, int) or isinstance(number, bool):
        raise Fault(f"{name} is not a whole number")
    return number


def _amount(value: dict[str, Any], name: str) -> int:
    """A decimal string with six fraction digits, as integer micros."""
    text = _text(value, name)
    if not _AMOUNT.fullmatch(text):
        raise Fault(f"{name} is not an amount with six fraction digits: {text[:40]!r}")
    return int(text.replace(".", ""))


def _count(value: dict[str, Any], name: str) -> int:
    text = _text(value, name)
    if not _COUNT.fullmatch(text):
        raise Fault(f"{name} is not a whole number in a string: {text[:40]!r}")
    return int(text)


def _time(value: dict[str, Any], name: str) -> datetime:
    text = _text(value, name)
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
    except ValueError:
        pass
    raise Fault(f"{name} is not a UTC time: {text[:40]!r}")


def _spelled(value: dict[str, Any], name: str) -> str:
    """A name as everybody would write it: no second spelling, nothing that is not seen or turns what is."""
    text = _text(value, name)
    if not text.isprintable() or not unicodedata.is_normalized("NFC", text):
        raise Fault(f"{name} is spelt so that it may be taken for another: {text[:60]!a}")
    return text


def _money(micros: int) -> str:
    return f"{'-' if micros < 0 else ''}{abs(micros) // 10**6}.{abs(micros) % 10**6:06d}"


# --- Signatures -------------------------------------------------------------------------------------------------------


def _base64url(text: str, what: str) -> bytes:
    """Strictly: no padding, no spare bits, so that every change of a character is a change of the bytes."""
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        raise Fault(f"{what} is not base64url") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise Fault(f"{what} is not base64url in its one form")
    return data


def _keys(jwks: bytes) -> Keys:
    """The Ed25519 keys of the set by RFC 7638 thumbprint, computed here, whatever names the set gives them."""
    keys: Keys = {}
    for key in _list(_object(_parse(jwks, "key set"), "the key set"), "keys"):
        if key.get("kty") == "OKP" and key.get("crv") == "Ed25519" and _for_signatures(key):
            x = _text(key, "x")
            if len(_base64url(x, "x")) != 32 or _of_small_order(_base64url(x, "x")):
                raise Fault("an Ed25519 key does not have 32 bytes, or is one under which anything verifies")
            thumbprint = hashlib.sha256(_canonical({"crv": "Ed25519", "kty": "OKP", "x": x})).digest()
            kid = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
            if kid in keys:  # which of the two would say when it was valid?
                raise Fault(f"the key set holds key {kid} twice")
            keys[kid] = key
    if not keys:
        raise Fault("the key set holds no Ed25519 key")
    return keys


def _for_signatures(key: dict[str, Any]) -> bool:
    return key.get("use", "sig") == "sig" and key.get("alg", "Ed25519") in ("Ed25519", "EdDSA")


_PRIME = 2**255 - 19
_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7


def _of_small_order(public: bytes) -> bool:
    """Whether it is one of the eight points under which one signature fits many contents, or not in its one form."""
    y = int.from_bytes(public, "little") & (2**255 - 1)
    return y >= _PRIME or y in (0, 1, _PRIME - 1, _OF_ORDER_8, _PRIME - _OF_ORDER_8)


def _status(key: dict[str, Any]) -> str:
    """A key's state; one whose state is not beyond doubt signs nothing."""
    auditors = "auditor" in key
    if auditors and "status" not in key:
        status = "revoked" if "revoked" in key else "current"
    else:
        status = _text(key, "status")
    if status not in ("next", "current", "retired", "revoked") or ("revoked" in key) != (status == "revoked"):
        raise Fault(f"a key has the status {status[:60]!a}, which says nothing or contradicts `revoked`", "bad_key_set")
    if status == "revoked":
        _integer(_inner(key, "revoked"), "revoked_at")
    if status == "retired" and not auditors and not {"exp", "log_until"} <= key.keys():
        raise Fault("a key is retired, but exp or log_until does not say since when", "bad_key_set")
    return status


def _open_envelope(statement: bytes, keys: Keys, now: int) -> tuple[bytes, list[_Signature], bytes]:
    """The payload's bytes, the signatures, and the file with the first of them. Every one present must be good."""
    envelope = _object(_parse(statement, "statement"), "the statement")
    payload, signatures = _text(envelope, "payload"), _list(envelope, "signatures")
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise Fault(f"there must be 1 to {MAX_SIGNATURES} signatures")
    if set(envelope) != {"payload", "signatures"} or _canonical(envelope) != statement:
        raise Fault("the envelope is not JWS General JSON in canonical form")
    checked = [_check_signature(signature, payload, keys, now) for signature in signatures]
    if len({signature.kid for signature in checked}) != len(checked):
        raise Fault("one key signed twice")
    return _base64url(payload, "payload"), checked, _canonical({"payload": payload, "signatures": signatures[:1]})


def _check_signature(signature: dict[str, Any], payload: str, keys: Keys, now: int) -> _Signature:
    if set(signature) != {"protected", "signature"}:
        raise Fault("a signature has members besides protected and signature")
    protected = _text(signature, "protected")
    header = _object(_parse(_base64url(protected, "protected"), "protected header"), "the protected header")
    if header.get("alg") != "Ed25519" or header.get("typ") != TYPE or "crit" in header:
        raise Fault(f"a signature is not of algorithm Ed25519 and type {TYPE}", "wrong_type")
    kid, signed_at = _text(header, "kid"), _integer(header, "iat")
    if kid not in keys:
        raise Fault(f"key {kid[:60]!r} is not in the key set", "unknown_key")
    try:
        Ed25519PublicKey.from_public_bytes(_base64url(_text(keys[kid], "x"), "x")).verify(
            _base64url(_text(signature, "signature"), "signature"), f"{protected}.{payload}".encode()
        )
    except (InvalidSignature, ValueError):
        raise Fault(f"the signature of key {kid} does not fit the content", "bad_signature") from None
    if signed_at > now + AHEAD_SECONDS:
        raise Fault(f"key {kid} signed in the far future", "wrong_time")
    try:
        _check_validity(keys[kid], kid, signed_at)
    except Fault as fault:
        raise Fault(str(fault), fault.code or "bad_key_set") from None
    return _Signature(kid, keys[kid], header)


def _check_validity(key: dict[str, Any], kid: str, signed_at: int) -> None:
    """That a key signed within its time. Of a revoked one of the exchange more is asked where the log is looked at, and
    one of an auditor counts for nothing."""
    status = _status(key)
    if status == "next" or ("nbf" in key and signed_at < _integer(key, "nbf")):
        raise Fault(f"key {kid} signed before it was valid", "key_not_yet_valid")
    if "exp" in key and signed_at >= _integer(key, "exp"):
        raise Fault(f"key {kid} signed after it expired", "key_expired")
    if status == "revoked" and "auditor" not in key and signed_at >= _integer(_inner(key, "revoked"), "revoked_at"):
        raise Fault(f"key {kid} signed after it was revoked", "key_revoked")


def _check_exchange(signature: _Signature) -> None:
    """That the first signature is the exchange's and no auditor's, and no opinion."""
    if "auditor" in signature.key:
        raise Fault("the first signature is an auditor's, not the exchange's", "bad_opinion")
    try:
        _only(signature.header, {"alg", "typ", "kid", "iat"}, set(), "the exchange's signature")
    except Fault as fault:
        raise Fault(str(fault), "bad_opinion") from None


def _check_options(opened: _Statement, beside: _Beside, *, first: bool) -> None:
    """That nothing was given that would go unused: who gives it believes that it was checked."""
    unused = []
    if first:
        unused = beside.given("records", "previous_records", "proof", "checkpoint", "consistency")
    elif opened.indicative:
        unused = beside.given("previous_records", "proof", "checkpoint", "consistency")
    for one, other in _NEEDS:
        unused += beside.given(one) if not beside.given(other) else []
    if beside.previous is None:
        unused += beside.given("previous_records")
    if unused:
        raise Fault(f"{', '.join(sorted(set(unused)))} given, which is not used for it", "unused_option")


# --- Content of both forms --------------------------------------------------------------------------------------------


def _core(payload: dict[str, Any]) -> tuple[dict[str, Any], str]:
    if _text(payload, "schema") not in (FIRST_SCHEMA, SCHEMA):
        raise Fault(f"the schema is neither {SCHEMA} nor {FIRST_SCHEMA}")
    _only(payload, {"schema", "core", "core_digest", "annex"}, set(), "the payload")
    core = _inner(payload, "core")
    digest = hashlib.sha256(_canonical(core)).hexdigest()
    if _text(payload, "core_digest") != digest:
        raise Fault("core_digest is not the digest of the core", "core_changed")
    _text(_inner(payload, "annex"), "issued_at")
    named = f"{_text(core, 'party')}/{_text(core, 'currency')}/{_text(_inner(core, 'run'), 'key')}"
    if _text(core, "statement_id") != named:
        raise Fault("statement_id does not name the party, currency and run of the statement", "core_changed")
    return core, digest


def _balances(core: dict[str, Any]) -> str:
    balances = _only(
        _inner(core, "balances"), {"opening", "movements", "closing", "held", "available"}, set(), "balances"
    )
    opening, closing = (
        _only(_inner(balances, name), {"amount", "account_seq"}, set(), name) for name in ("opening", "closing")
    )
    movements = [
        _only(movement, {"kind", "entries", "amount"}, set(), "a movement") for movement in _list(balances, "movements")
    ]
    kinds = [_text(movement, "kind") for movement in movements]
    if kinds != sorted(set(kinds)) or not all(_integer(movement, "entries") > 0 for movement in movements):
        raise Fault("a movement is told twice, out of order, or without entries")
    if _integer(opening, "account_seq") < 0 or _amount(balances, "held") < 0:
        raise Fault("it holds less than nothing, or opens before the first entry")
    start, end = _amount(opening, "amount"), _amount(closing, "amount")
    moved = sum(_amount(movement, "amount") for movement in movements)
    if start + moved != end:
        raise Fault(f"opening {_money(start)} + movements {_money(moved)} is not closing {_money(end)}")
    entries = sum(_integer(movement, "entries") for movement in movements)
    if _integer(opening, "account_seq") + entries != _integer(closing, "account_seq"):
        raise Fault("the movements do not account for every entry between opening and closing")
    if end - _amount(balances, "held") != _amount(balances, "available"):
        raise Fault("closing less held is not available")
    return f"{_money(start)} + {_money(moved)} = {_money(end)}, {entries} entries"


_SIDES = ("provider", "buyer", "gateway")
# Of requests with these verdicts the provider's figure settles where no gateway says one, or nothing was delivered.
_PROVIDERS_WORD = {"matched", "within_tolerance", "provider_only", "refused", "refusal_claimed", "lost_end"}
_BOTH_SAY = {"matched", "within_tolerance", "refused", "refusal_claimed", "lost_end"}


def _buckets(position: dict[str, Any]) -> int:
    """Check the meters' figures by kind of token, if there are any; returns how many."""
    if "buckets" not in position:
        return 0
    verdicts = set(_inner(position, "verdicts")) if "verdicts" in position else None
    buckets = [_object(bucket, f"bucket {name}") for name, bucket in _inner(position, "buckets").items()]
    for bucket in buckets:
        _only(bucket, {"settled", "tolerance"}, {*_SIDES, "difference", "trust"}, "a bucket")
        said = {name: _count(bucket, name) for name in _SIDES if name in bucket}
        settled, tolerance = _count(bucket, "settled"), _count(bucket, "tolerance")
        if min(settled, tolerance, *said.values()) < 0:
            raise Fault("a figure of the meters is negative")
        difference = said.get("provider", 0) - said.get("buyer", 0)
        if ("difference" in bucket and _count(bucket, "difference") != difference) or (
            {"provider", "buyer"} <= said.keys() and "difference" not in bucket
        ):
            raise Fault("a difference is not the provider's figure less the buyer's")
        if verdicts is not None:
            _check_settled(settled, said, verdicts)
            if "gateway" not in said and verdicts <= _BOTH_SAY and abs(difference) > tolerance:
                raise Fault("the meters differ by more than the tolerance, and no request does")
    return len(buckets)


def _check_settled(settled: int, said: dict[str, int], verdicts: set[str]) -> None:
    """What settles of a request is what one of its meters says, or nothing; and which, follows from the verdict."""
    if settled > sum(said.values()):
        raise Fault("more settles than all meters say together")
    if "gateway" not in said and verdicts <= _PROVIDERS_WORD and settled != said.get("provider", 0):
        raise Fault("what settles is not what the provider's meter says, and no request was decided otherwise")


def _check_chain(opened: _Statement, keys: Keys, beside: _Beside, report: Report) -> str:
    core, previous = opened.core, beside.previous
    opening = _inner(_inner(core, "balances"), "opening")
    if _text(_inner(core, "run"), "kind") == "indicative":
        if previous is not None or "sequence" in core or "previous_digest" in core:
            raise Fault("an indicative statement stands outside the chain")
        return "indicative, outside the chain"
    sequence = _integer(core, "sequence")
    if sequence < 1 or (sequence == 1) == ("previous_digest" in core):
        raise Fault("only the first statement of a chain has no previous one")
    before = opened.found.before = None if previous is None else _verified_core(previous, keys, beside.now)
    if before is not None:
        if [before.get(name) for name in ("party", "currency")] != [core["party"], core["currency"]]:
            raise Fault("the previous statement is another party's or another currency's")
        stated = before.get("sequence")
        if isinstance(stated, int) and stated >= sequence:
            raise Fault(f"it is number {sequence} of its chain, and the previous one number {stated}", "replayed")
    if sequence == 1:
        if before is not None or _amount(opening, "amount") or _integer(opening, "account_seq"):
            raise Fault("the first statement of a chain has none before it and opens at 0")
        return "first of its chain"
    named = _text(core, "previous_digest")
    if before is None:
        return _NotMade(f"number {sequence}; the statement before it, {named[:16]}..., was not given")
    if before.get("sequence") != sequence - 1 or hashlib.sha256(_canonical(before)).hexdigest() != named:
        raise Fault("the previous statement is not the one named")
    if opening != _inner(_inner(before, "balances"), "closing"):
        raise Fault("it does not open where the previous one closed")
    return f"number {sequence}, follows {named[:16]}..."


def _verified_core(statement: bytes, keys: Keys, now: int) -> dict[str, Any]:
    """The core of the previous statement, after the same checks as far as the chain rests on them."""
    try:
        payload_bytes, signatures, _ = _open_envelope(statement, keys, now)
        _check_exchange(signatures[0])
        return _core(_payload(payload_bytes))[0]
    except Fault as fault:
        raise Fault(f"the previous statement: {fault}") from None


# --- The first form: lines inside the core ----------------------------------------------------------------------------


_FIRST_CORE = {
    "statement_id", "party", "currency", "run", "balances", "lines", "lines_count", "lines_root", "totals", "notice",
    "metering",
}  # fmt: skip


def _first_shape(core: dict[str, Any]) -> None:
    _only(core, _FIRST_CORE, {"splits", "sequence", "previous_digest"}, "the core")


def _first_log(opened: _Statement, keys: Keys, beside: _Beside, report: Report) -> str:
    signer = opened.signatures[0]
    if _status(signer.key) == "revoked":
        raise Fault(f"key {signer.kid} was revoked, and statements of the first form are in no log", "key_revoked")
    return _NotMade("statements of the first form are in no log, and this one was looked for in none")


def _first_lines(core: dict[str, Any]) -> str:
    lines = _list(core, "lines")
    for number, line in enumerate(lines, start=1):
        if _integer(line, "number") != number:
            raise Fault(f"line {number} is numbered {line['number']}", "wrong_number")
    if _integer(core, "lines_count") != len(lines):
        raise Fault(f"lines_count is {core['lines_count']}, there are {len(lines)}", "records_truncated")
    root = _tree_root([_leaf_hash(_canonical(line)) for line in lines])
    if _text(core, "lines_root") != root.hex():
        raise Fault("lines_root is not the Merkle root of the lines")
    return f"{len(lines)}, root {root.hex()[:16]}..."


def _first_totals(core: dict[str, Any]) -> str:
    sums = _Sums()
    for line in _list(core, "lines"):
        tokens = _count(line, "tokens") if "tokens" in line else 0
        sums.add(_text(line, "kind"), tokens, _amount(line, "value"), _amount(line, "amount"), 0)
    return _totals(core, sums)


def _first_metering(core: dict[str, Any]) -> str:
    positions = _list(core, "metering")  # statements of earlier releases have none
    figures = sum(_buckets(position) for position in positions)
    return f"{len(positions)} positions, {figures} figures by kind of token"


class _Sums:
    """What lines add up to: by kind (lines, tokens, value, amount, cumulative), and gross in and out."""

    def __init__(self) -> None:
        self.kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
        self.gross_in = self.gross_out = 0

    def add(self, kind: str, tokens: int, value: int, amount: int, cumulative: int) -> None:
        totals = self.kinds[kind]
        totals[0] += 1
        totals[1] += tokens
        totals[2] += value
        totals[3] += amount
        totals[4] += cumulative
        if amount > 0:
            self.gross_in += amount
        else:
            self.gross_out -= amount


def _totals(core: dict[str, Any], sums: _Sums) -> str:
    totals = _inner(core, "totals")
    stated = [
        (
            _text(kind, "kind"),
            [_integer(kind, "lines"), _count(kind, "tokens"), _amount(kind, "value"), _amount(kind, "amount")],
        )
        for kind in _list(totals, "by_kind")
    ]
    if stated != sorted((kind, figures[:4]) for kind, figures in sums.kinds.items()):
        raise Fault("the totals by kind are not the sums of the lines")
    amount = sums.gross_in - sums.gross_out
    if _amount(totals, "amount") != amount:
        raise Fault(f"the total is {totals['amount']}, the lines sum to {_money(amount)}")
    return f"{_money(amount)} over {len(sums.kinds)} kinds of line"


# --- The second form: records in a file of their own ------------------------------------------------------------------

_CORE = {
    "statement_id", "party", "currency", "minor_unit", "run", "balances", "records", "totals", "delta", "netting",
    "notice", "inputs",
}  # fmt: skip
_RUN = {"key", "kind", "sequence", "period", "input_digest", "rules_version", "code_version"}
_LINE = {"contract", "window", "kind", "amount", "value", "cumulative", "exact", "tax"}
_LINE_OPTIONAL = {"counterparty", "beneficiary", "tokens", "price", "journal"}
_SPLIT = {"contract", "buyer", "provider", "kind", "schedule_version", "beneficiary", "weight_ppm", "amount"}
_MILLITOKENS = ("settled", "provider", "buyer", "gateway", "refused", "disputed")
_POSITION = {"contract", "buyer", "provider", "settled_millitokens"}
_POSITION_OPTIONAL = {f"{side}_millitokens" for side in _MILLITOKENS} | {
    "reference", "events", "events_digest", "buckets", "verdicts", "lost_ends", "tolerance", "open_cases", "rulings",
    "completeness", "signed_events", "corrections", "service",
}  # fmt: skip
# Which way a line's value goes by its kind, and whether it passes through the account: by whose line it is.
_BUYERS = {
    "delivered": (1, 0), "take_or_pay": (1, 0), "sla": (1, 1), "refund_unused": (1, 1), "refund_short": (1, 1),
    "suspended": (1, 0), "damages": (1, 1), "made_up": (-1, 1), "made_up_fee": (-1, 1), "overage": (-1, 1),
    "overage_fee": (-1, 1), "make_up_credit": (0, 0), "excess": (0, 0),
}  # fmt: skip
_PROVIDERS = {
    "delivered": (1, 1), "take_or_pay": (1, 1), "sla": (-1, 1), "provider_fee": (-1, 1), "share": (-1, 1),
    "short": (1, 0), "suspended": (1, 0), "damages": (-1, 1), "made_up": (1, 1), "overage": (1, 1),
    "make_up_credit": (0, 0), "excess": (0, 0),
}  # fmt: skip
_OTHERS = {"provider_fee": (1, 1), "made_up_fee": (1, 1), "overage_fee": (1, 1), "share": (1, 1), "unmatched": (0, 0)}
_RULES = {"buyer": _BUYERS, "provider": _PROVIDERS, "": _OTHERS}
# A line's kind, the direction of what it came to (0: nothing), and whether its worth moved (None: it is worth nothing).
_Told = tuple[str, int, int | None]
_FREE = {"debt", "claim", "dispute", "dispute_release"}  # what they moved, in either direction
_KINDS = _BUYERS.keys() | _PROVIDERS.keys() | _OTHERS.keys() | _FREE
_USED = {"delivered", "made_up", "overage", "excess"}  # kinds whose tokens make up what was used
_PRICED = {"delivered", "overage"}  # tokens at their price
_AT_MOST = {"take_or_pay", "short"}  # a part of that: by the terms, or as open cases suspend the rest
_MOVEMENTS = {
    "pay_provider", "sla", "refund_unused", "refund_short", "damages", "overage", "made_up", "debt", "claim",
    "dispute_settle",
}  # fmt: skip


def _shape(opened: _Statement) -> None:
    """That core and annex have the members of the form, and no others."""
    core, annex = opened.core, opened.annex
    _only(core, _CORE, {"sequence", "previous_digest"}, "the core")
    run = _only(_inner(core, "run"), _RUN, {"product"}, "run")
    if _text(run, "kind") not in RUN_KINDS:
        raise Fault(f"{run['kind'][:40]!a} is not a kind of run")
    _only(_inner(run, "period"), {"start", "end"}, set(), "period")
    if _time(_inner(run, "period"), "start") >= _time(_inner(run, "period"), "end"):
        raise Fault("the period ends before it starts")
    if not _DIGEST.fullmatch(_text(run, "input_digest")) or _integer(run, "sequence") < 1:
        raise Fault("run has no input digest or no sequence")
    _spelled(core, "party"), _spelled(core, "currency"), _spelled(run, "key")
    notice = _only(_inner(core, "notice"), {"text"}, {"dispute_until", "contact", "key_set"}, "notice")
    if not all(isinstance(each, str) for each in notice.values()):
        raise Fault("a part of the notice is not a string")
    if "dispute_until" in notice:
        _time(notice, "dispute_until")
    inputs = _only(_inner(core, "inputs"), {"contracts"}, {"usage_through"}, "inputs")
    if _integer(inputs, "contracts") < 0 or ("usage_through" in inputs and _count(inputs, "usage_through") < 0):
        raise Fault("inputs are less than nothing")
    if _integer(core, "minor_unit") not in range(7):
        raise Fault("minor_unit is not a number of fraction digits")
    totals = _only(_inner(core, "totals"), {"amount", "by_kind"}, set(), "totals")
    for kind in _by_kind(totals):
        _only(kind, {"kind", "lines", "tokens", "value", "amount"}, set(), "a total")
    _annex(annex, opened.signatures[0])


def _annex(annex: dict[str, Any], signature: _Signature) -> None:
    listed = {"transactions"} if "transactions" in annex else {"transactions_count", "transactions_root"}
    _only(annex, {"issued_at"} | listed, {"proof", "checkpoint", "key_set"}, "annex")
    if abs(_time(annex, "issued_at").timestamp() - signature.signed_at) > SKEW_SECONDS:
        raise Fault("it was signed at another time than it says it was issued at", "wrong_time")
    if "key_set" in annex:
        _text(annex, "key_set")
    if "transactions" not in annex:
        if _integer(annex, "transactions_count") < 1 or not _DIGEST.fullmatch(_text(annex, "transactions_root")):
            raise Fault("the transactions have neither a list nor a number and a root")
        return
    for transaction in _list(annex, "transactions"):
        _only(transaction, {"source", "reference", "number"}, set(), "a transaction")
        if _count(transaction, "number") < 1 or not _text(transaction, "source") or not _text(transaction, "reference"):
            raise Fault("a transaction has no source, reference or number")


def _check_shape(opened: _Statement, keys: Keys, beside: _Beside, report: Report) -> None:
    _shape(opened)


def _check_balances(opened: _Statement, keys: Keys, beside: _Beside, report: Report) -> str:
    return _balances(opened.core)


def _check_records(opened: _Statement, keys: Keys, beside: _Beside, report: Report) -> str:
    """The file of records, and everything of the core that follows from it."""
    core = opened.core
    stated = _only(_inner(core, "records"), {"count", "lines", "metering", "splits", "root"}, set(), "records")
    counts = {name: _integer(stated, name) for name in ("lines", "metering", "splits")}
    if min(counts.values()) < 0 or sum(counts.values()) != _integer(stated, "count"):
        raise Fault("the count of records is not the sum of lines, meters' figures and splits", "wrong_sum")
    records = beside.records
    if records is None and stated["count"]:
        if beside.need_records:
            raise Fault("its file of records was not given (--records)", "records_missing")
        _check_sums(core, None)
        return _NotMade("not given")
    lines = _split_records(records or b"", stated)
    sums = _Sums()
    reader = _Records(opened, counts, sums)
    try:
        for number, line in enumerate(lines, start=1):
            reader.read(number, line)
    except Fault as fault:
        raise Fault(f"record {reader.number}: {fault}", fault.code or "wrong_record") from None
    _coded("wrong_record", reader.end)
    _check_sums(core, sums)
    opened.found.moved, opened.found.earlier = reader.moved, reader.earlier
    return f"{len(lines)}, root {stated['root'][:16]}..."


def _split_records(records: bytes, stated: dict[str, Any]) -> list[bytes]:
    """The lines of the file, if they are those under the stated root; else a fault that says what was done to them."""
    count = stated["count"]
    if len(records) > MAX_BYTES:
        raise Fault(f"the records are larger than {MAX_BYTES} bytes", "records_changed")
    if (found := records.count(b"\n")) > 2 * count + 1:  # before a tree is built over whatever it is
        raise Fault(f"there are {found} records, {count} were signed", "records_changed")
    lines = records.split(b"\n")
    whole = lines.pop() == b""
    root = _tree_root([hashlib.sha256(b"\x00" + line).digest() for line in lines])
    if whole and len(lines) == count and root.hex() == _text(stated, "root"):
        return lines
    for number, line in enumerate(lines, start=1):
        named = re.search(rb'"number":(\d{1,15}),"record":"[a-z]+","salt":"[0-9a-f]{32}"\}$', line)
        if named is not None and int(named[1]) != number:
            raise Fault(
                f"record {number} is numbered {int(named[1])}: doubled, missing or out of order", "wrong_number"
            )
    if len(lines) < count or not whole:
        raise Fault(f"there are {len(lines)} of {count} records, and then the file ends", "records_truncated")
    if len(lines) > count:
        raise Fault(f"there are {len(lines)} records, {count} were signed", "records_changed")
    raise Fault("the records do not give the Merkle root that was signed", "records_changed")


_scan = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float).raw_decode
# Names of members are plain (see `_NAME`), so sorting by characters is the order of RFC 8785.
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


class _Records:
    """Reads records one after the other; their bytes are known to be those that were signed.

    `moved`: what lines moved, by the movement of the account that holds it; `earlier`: what they came to before.
    """

    def __init__(self, opened: _Statement, counts: dict[str, int], sums: _Sums) -> None:
        lines, metering = counts["lines"], counts["metering"]
        self.number = 0
        self.moved: dict[str, int] = defaultdict(int)
        self.earlier: dict[_LineKey, int] = defaultdict(int)
        self._line_ends, self._metering_ends = lines, lines + metering
        self._party, self._indicative, self._sums = _text(opened.core, "party"), opened.indicative, sums
        self._later = "previous_run" in _inner(opened.core, "delta")
        self._contracts = _integer(_inner(opened.core, "inputs"), "contracts")
        self._annex = opened.annex
        self._windows: set[tuple[str, str]] = set()
        self._taxes: set[tuple[str, int]] = set()
        self._names: set[str] = set()
        self._weights: dict[tuple[str, ...], int] = defaultdict(int)
        self._positions: set[tuple[str, ...]] = set()
        self._references: set[str] = set()
        # By contract and counterparty: which lines there are, tokens they tell as used, and what the meters say was.
        self._told: dict[tuple[str, str], set[_Told]] = defaultdict(set)
        self._used: dict[tuple[str, str], int] = defaultdict(int)
        self._metered: dict[tuple[str, str], int] = defaultdict(int)
        self._sides: dict[tuple[str, str], str] = {}

    def read(self, number: int, line: bytes) -> None:
        self.number = number
        record = _record(line)
        if record.keys() != {"body", "number", "record", "salt"}:
            raise Fault("it does not have the members of a record")
        if record["number"] != number or record["number"] is True:
            raise Fault(f"it is numbered {record['number']}", "wrong_number")
        if not _SALT.fullmatch(_text(record, "salt")):
            raise Fault("its salt is not 16 bytes in hexadecimal")
        body = _inner(record, "body")
        read: Callable[[dict[str, Any]], None]
        if number <= self._line_ends:
            kind, read = "line", self._line
        elif number <= self._metering_ends:
            kind, read = "metering", self._metering
        else:
            kind, read = "split", self._split
        if record["record"] != kind:
            raise Fault(f"it is not a {kind}, which comes here")
        read(body)

    def end(self) -> None:
        """What can be said when all are read."""
        for (*_, kind), weight in self._weights.items():
            if weight != PPM:
                raise Fault(f"the weights of a split of {kind} sum to {weight} parts per million", "wrong_split")
        for name in sorted(self._names):
            _spelled({"a name": name}, "a name")
        if len({contract for contract, _ in self._told}) > self._contracts:
            raise Fault("lines are of more contracts than the run covers", "wrong_record")
        for position, lines in self._told.items():
            self._position(position, lines)
        if not self._later and any(self._used[each] != tokens for each, tokens in self._metered.items()):
            raise Fault("the lines of a position tell of another use than its meters", "wrong_metering")
        listed = self._annex.get("transactions")
        if listed is None:
            fits = len(self._references) == self._annex["transactions_count"]
        else:
            fits = self._references == {each["reference"] for each in listed}
        if not fits:
            raise Fault("the transactions in the annex are not those that the lines name", "wrong_record")

    def _position(self, position: tuple[str, str], lines: set[_Told]) -> None:
        """That the lines between the party and another are such as it can have, by the side that the meters say."""
        side = self._sides.get(position, "")
        if side == "both":  # each sold to the other: their lines are told under the same names
            return
        allowed = {}
        for kind in sorted({kind for kind, _, _ in lines}):
            allowed[kind] = [_RULES[side][kind]] if kind in _RULES[side] else []
            if side and kind in ("share", "unmatched"):
                allowed[kind].append(_RULES[""][kind])
            if not allowed[kind]:
                raise Fault(
                    f"there are no meters' figures of {position[0]!a}, of which it has {kind}", "wrong_metering"
                )
        for kind, way, through in sorted(lines, key=repr):  # the same fault is told whenever it is asked
            rules = allowed[kind]
            if not any(way in (0, sign) and through in (None, moves if sign else None) for sign, moves in rules):
                raise Fault(f"{kind} of {position[0]!a} goes the wrong way, or through an account that it does not")

    def _line(self, line: dict[str, Any]) -> None:
        if not line.keys() >= _LINE or line.keys() - _LINE_OPTIONAL != _LINE:
            raise Fault("it does not have the members of a line")
        kind = _text(line, "kind")
        value, amount, cumulative = _amount(line, "value"), _amount(line, "amount"), _amount(line, "cumulative")
        contract, other = line["contract"], line.get("counterparty", "")
        if (
            not isinstance(contract, str)
            or not isinstance(other, str)
            or not isinstance(line.get("beneficiary", ""), str)
        ):
            raise Fault("its contract, counterparty or beneficiary is not a string")
        if kind not in _KINDS or (other == self._party and kind != "share"):
            raise Fault("it is of no kind that there is, or with the party itself")
        if amount not in (value, 0):
            raise Fault("what it moved is neither what it is worth nor nothing")
        self._names.update((contract, other))
        self._window(_inner(line, "window"))
        self._tax(_inner(line, "tax"))
        tokens = _count(line, "tokens") if "tokens" in line else 0
        exact = _check_exact(_text(line, "exact"), cumulative)
        if "price" in line:
            if "tokens" not in line or (price := _amount(line, "price")) < 0:
                raise Fault("it has a price without tokens, or a negative one")
            self._priced(kind, tokens, price, value, exact)
        if kind in _FREE:
            # What a decision gave is credited against what later runs find, and a still later one may undo that.
            if value != amount or (cumulative != value and kind != "dispute"):
                raise Fault("it is worth something else than what it moved")
        else:
            way = (cumulative > 0) - (cumulative < 0)
            self._told[contract, other].add((kind, way, int(amount != 0) if value else None))
            if kind in _USED:
                self._used[contract, other] += tokens
        if not self._later and (cumulative != value or tokens < 0):
            raise Fault("it came to something before, or to fewer tokens, and no run before is named", "wrong_delta")
        self._journal(line, kind, amount, value)
        if self._later and kind not in _OF_ONE_RUN:
            self.earlier[_line_key(line)] += cumulative - value
        self._sums.add(kind, tokens, value, amount, cumulative)

    def _priced(self, kind: str, tokens: int, price: int, value: int, exact: tuple[int, int]) -> None:
        """Tokens at their price, which is rounded down to a micro per million; the first run tells all there are."""
        (numerator, denominator), slack = exact, abs(tokens)
        if self._later:  # tokens and value are differences, and of the value each end was rounded
            numerator, denominator, slack = value, 1, slack + 2 * PPM
        above = abs(numerator) * PPM - abs(tokens) * price * denominator
        if kind == "short" and self._later:  # what was suspended before is told without tokens
            return
        if (kind in _PRICED and abs(above) > slack * denominator) or (kind in _AT_MOST and above > slack * denominator):
            raise Fault("its tokens at its price are not what it is worth", "wrong_exact")

    def _tax(self, tax: dict[str, Any]) -> None:
        known = (tax.get("category"), tax.get("rate_ppm"))
        if len(tax) == 2 and type(known[1]) is int and isinstance(known[0], str) and known in self._taxes:
            return
        if tax.keys() != {"category", "rate_ppm"} or not 0 <= _integer(tax, "rate_ppm") <= PPM:
            raise Fault("its tax has no category or no rate")
        self._taxes.add((_text(tax, "category"), _integer(tax, "rate_ppm")))

    def _journal(self, line: dict[str, Any], kind: str, amount: int, value: int) -> None:
        if "journal" in line:
            journal = _inner(line, "journal")
            if journal.keys() != {"source", "reference", "ref"} or not all(
                isinstance(named, str) and named for named in journal.values()
            ):
                raise Fault("its journal has no source, reference or ref")
            self._references.add(journal["reference"])
            if amount:
                disputed = journal["reference"].startswith("dispute/")
                self.moved["dispute_settle" if disputed else journal["ref"]] += amount
        if ("journal" in line) if self._indicative else (amount and "journal" not in line):
            raise Fault("it moved something and names no posting, or the run posts nothing")

    def _window(self, window: dict[str, Any]) -> None:
        if window.keys() != {"start", "end"}:
            raise Fault("its window does not have start and end")
        start, end = _text(window, "start"), _text(window, "end")
        if (start, end) not in self._windows:
            if _time(window, "start") >= _time(window, "end"):
                raise Fault("its window is not from one UTC time to a later one")
            self._windows.add((start, end))

    def _metering(self, position: dict[str, Any]) -> None:
        _check_plain(position, 0)
        try:
            _only(position, _POSITION, _POSITION_OPTIONAL, "a position")
            key = (_text(position, "contract"), _text(position, "buyer"), _text(position, "provider"))
            if key in self._positions or self._party not in key[1:] or key[1] == key[2]:
                raise Fault("it tells of a position twice, of somebody else's, or of one with itself")
            self._positions.add(key)
            settled = self._figures(position)
        except Fault as fault:
            raise Fault(str(fault), "wrong_metering") from None
        mine, other = ("buyer", key[2]) if key[1] == self._party else ("provider", key[1])
        self._names.update(key)
        self._sides[key[0], other] = "both" if (key[0], other) in self._sides else mine
        self._metered[key[0], other] += settled // 1000  # thousandths become whole tokens once a position

    def _figures(self, position: dict[str, Any]) -> int:
        said = {
            side: _count(position, f"{side}_millitokens") for side in _MILLITOKENS if f"{side}_millitokens" in position
        }
        if min(said.values()) < 0:
            raise Fault("a figure of the meters is negative")
        settled = said["settled"]
        if "verdicts" in position:
            sides = {side: said[side] for side in _SIDES if side in said}
            _check_settled(settled, sides, set(_inner(position, "verdicts")))
        _buckets(position)
        return settled

    def _split(self, split: dict[str, Any]) -> None:
        if split.keys() != _SPLIT:
            raise Fault("it does not have the members of a split")
        if _text(split, "provider") != self._party:
            raise Fault("it is a split of somebody else's income", "wrong_split")
        _amount(split, "amount"), _text(split, "beneficiary"), _integer(split, "schedule_version")
        if (split["contract"], split["buyer"], self._party) not in self._positions:
            raise Fault("it is a split of a position that the meters say nothing of", "wrong_split")
        weight = _integer(split, "weight_ppm")
        if not 0 <= weight <= PPM:
            raise Fault("a weight is not within the whole", "wrong_split")
        self._weights[_text(split, "contract"), _text(split, "buyer"), _text(split, "kind")] += weight


def _record(line: bytes) -> dict[str, Any]:
    """A record, if its line is the canonical form of it."""
    try:
        text = line.decode("utf-8")
        record, end = _scan(text)
        if end != len(text) or _encode(record) != text:
            raise Fault("it is not in the canonical form of RFC 8785", "not_canonical")
    except Fault as fault:
        raise Fault(str(fault), "not_canonical") from None
    except (ValueError, RecursionError):
        raise Fault("it is not JSON", "not_canonical") from None
    return _object(record, "it")


def _check_plain(value: Any, depth: int) -> None:
    """That a value holds what statements hold: objects with plain names, lists, strings, whole numbers."""
    if depth > MAX_DEPTH:
        raise Fault(f"nested deeper than {MAX_DEPTH} levels", "not_canonical")
    if isinstance(value, dict):
        for name, inner in value.items():
            if not _NAME.fullmatch(name):
                raise Fault(f"a member is named {name[:60]!a}", "not_canonical")
            _check_plain(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_plain(inner, depth + 1)
    elif not isinstance(value, str) and (
        not isinstance(value, int) or isinstance(value, bool) or abs(value) > MAX_SAFE_INTEGER
    ):
        raise Fault(f"a value is {json.dumps(value)[:40]}, which statements do not hold", "not_canonical")


def _check_exact(exact: str, cumulative: int) -> tuple[int, int]:
    """A posted figure is its exact value rounded; one that takes up the others' roundings is a micro off. Returns the
    exact one."""
    found = _EXACT.fullmatch(exact)
    if found is None:
        raise Fault(f"exact is not a fraction of micros: {exact[:40]!r}", "wrong_exact")
    numerator, denominator = int(found[1]), int(found[2])
    if gcd(numerator, denominator) != 1:
        raise Fault("exact is not in lowest terms", "wrong_exact")
    if abs(cumulative * denominator - numerator) >= 2 * denominator:
        raise Fault(f"{_money(cumulative)} is not {exact[:40]} micros, rounded", "wrong_exact")
    return numerator, denominator


def _check_sums(core: dict[str, Any], sums: _Sums | None) -> None:
    """Totals, delta and netting against each other, and against the lines when there are any to hand."""
    totals, delta, netting = (_inner(core, name) for name in ("totals", "delta", "netting"))
    if sums is not None:
        _coded("wrong_sum", lambda: _totals(core, sums))
        _coded("wrong_delta", lambda: _delta(delta, sums))
    _coded("wrong_netting", lambda: _netting(netting, _amount(totals, "amount"), sums))
    _coded("wrong_delta", lambda: _delta_alone(delta, totals))


def _coded(code: str, check: Callable[[], object]) -> None:
    try:
        check()
    except Fault as fault:
        raise Fault(str(fault), fault.code or code) from None


def _delta(delta: dict[str, Any], sums: _Sums) -> None:
    stated = [(_text(kind, "kind"), _amount(kind, "value"), _amount(kind, "cumulative")) for kind in _by_kind(delta)]
    if stated != sorted((kind, figures[2], figures[4]) for kind, figures in sums.kinds.items()):
        raise Fault("the differences by kind are not the sums of the lines")


def _delta_alone(delta: dict[str, Any], totals: dict[str, Any]) -> None:
    _only(delta, {"by_kind"}, {"previous_run"}, "delta")
    for kind in _by_kind(delta):
        _only(kind, {"kind", "previous", "value", "cumulative"}, set(), "a difference")
        previous, value, cumulative = (_amount(kind, name) for name in ("previous", "value", "cumulative"))
        if previous + value != cumulative:
            raise Fault(f"{kind['kind']!a}: {_money(previous)} + {_money(value)} is not {_money(cumulative)}")
        if previous and "previous_run" not in delta:
            raise Fault(f"{kind['kind']!a} came to something before, and no run before is named")
    if "previous_run" in delta:
        _text(delta, "previous_run")
    changes = [(_text(kind, "kind"), _amount(kind, "value")) for kind in _by_kind(delta)]
    if changes != [(_text(kind, "kind"), _amount(kind, "value")) for kind in _by_kind(totals)]:
        raise Fault("the differences by kind are not the totals by kind")


def _by_kind(value: dict[str, Any]) -> list[dict[str, Any]]:
    return _list(value, "by_kind")


def _netting(netting: dict[str, Any], total: int, sums: _Sums | None) -> None:
    _only(netting, {"gross_in", "gross_out", "net", "ratio_ppm", "counter_account"}, {"value_date"}, "netting")
    received, paid, net = (_amount(netting, name) for name in ("gross_in", "gross_out", "net"))
    if sums is not None and (received, paid) != (sums.gross_in, sums.gross_out):
        raise Fault("gross in and out are not what the lines moved")
    if min(received, paid) < 0 or net != received - paid or net != total:
        raise Fault("net is not gross in less gross out, or not the total of the lines")
    gross = received + paid
    if _integer(netting, "ratio_ppm") != ((gross - abs(net)) * PPM // gross if gross else 0):
        raise Fault("the ratio is not the part of the gross that need not be paid")


# What the lines of a kind never change sign in, whoever's they are.
_NEVER_NEGATIVE = {"delivered", "take_or_pay", "refund_unused", "refund_short", "short", "suspended"}
_OF_ONE_RUN = {"debt", "claim", "dispute", "dispute_release", "unmatched"}  # nothing came before them


def _check_earlier(opened: _Statement, keys: Keys, beside: _Beside, report: Report) -> str | None:
    """That what it says was stated before is what the statement before did state."""
    delta, before = _inner(opened.core, "delta"), opened.found.before
    if "previous_run" not in delta:
        return None
    run = _text(delta, "previous_run")
    if before is None or _text(_inner(before, "run"), "key") != run or "delta" not in before:
        return _NotMade(f"they are of run {run}, whose statement was not given")
    told = _inner(before, "delta")
    whole = "previous_run" not in told  # then it tells of every line there was
    stated = {_text(kind, "kind"): _amount(kind, "cumulative") for kind in _by_kind(told)}
    for kind in _by_kind(delta):
        name, previous = _text(kind, "kind"), _amount(kind, "previous")
        if whole and name in _NEVER_NEGATIVE and not 0 <= previous <= stated.get(name, 0):
            raise Fault(f"{name} came to {_money(stated.get(name, 0))} before, not to {_money(previous)}")
    if beside.previous_records is None:
        return _NotMade(f"the records of the statement of run {run} were not given")
    if "records" in report.unchecked:
        return _NotMade("the records were not given")
    lines = _earlier_lines(before, beside.previous_records)
    unknown = 0
    for key, previous in opened.found.earlier.items():
        if key in lines or whole:
            if previous not in {sum(lines[key]), *lines[key]}:
                raise Fault(f"{key[2]} of {key[0]!a} came to another amount before than {_money(previous)}")
        else:
            unknown += 1
    if unknown:
        return _NotMade(f"run {run} changed nothing of {unknown} lines, so their figures are of runs before it")
    return f"{len(opened.found.earlier)} lines, as stated with run {run}"


def _earlier_lines(before: dict[str, Any], records: bytes) -> dict[_LineKey, list[int]]:
    """What the lines of the statement before came to."""
    stated = _inner(before, "records")
    found: dict[_LineKey, list[int]] = defaultdict(list)
    try:
        for line in _split_records(records, stated)[: _integer(stated, "lines")]:
            body = _inner(_record(line), "body")
            found[_line_key(body)].append(_amount(body, "cumulative"))
    except Fault as fault:
        raise Fault(f"the statement before it: {fault}", fault.code or "wrong_record") from None
    return found


def _line_key(line: dict[str, Any]) -> _LineKey:
    kind = _text(line, "kind")
    ref = _text(_inner(line, "journal"), "ref") if kind in ("provider_fee", "share") and "journal" in line else ""
    return (line["contract"], line.get("counterparty", ""), kind, line.get("beneficiary", ""), ref)


def _check_postings(opened: _Statement, keys: Keys, beside: _Beside, report: Report) -> str | None:
    """That the account moved by what the lines say. Runs that close one after the other share a stretch of it: then
    what is missing here stands with the other one's statement."""
    moved = opened.found.moved
    if moved is None or opened.indicative:
        return None
    movements = {
        _text(movement, "kind"): _amount(movement, "amount")
        for movement in _list(_inner(opened.core, "balances"), "movements")
    }
    for name in sorted(moved.keys() | movements.keys() & _MOVEMENTS):
        if moved.get(name, 0) != movements.get(name, 0):
            return _NotMade(
                f"lines moved {_money(moved.get(name, 0))} as {name}, the account {_money(movements.get(name, 0))}: "
                "another statement must tell of the rest"
            )
    return f"{len(moved)} kinds of movement, as the lines say"


# --- The log ----------------------------------------------------------------------------------------------------------


def _check_log(opened: _Statement, keys: Keys, beside: _Beside, report: Report) -> str:
    """That the core's digest is in the exchange's log, and was before the key that signed it left use."""
    signer, annex = opened.signatures[0], opened.annex
    status = _status(signer.key)
    if opened.indicative:
        if "proof" in annex or "checkpoint" in annex:
            raise Fault("an indicative statement is not in the log", "not_in_log")
        return _indicative(signer, status, beside)
    own = _text(annex, "proof") if "proof" in annex else None
    if own is None:
        raise Fault("the statement holds no proof that it is in the log")
    proof = _log_proof(own.encode("utf-8"), opened)
    if _text(annex, "checkpoint") != proof.checkpoint:
        raise Fault("the checkpoint is not the one that the proof rests on", "wrong_checkpoint")
    signed_by = _check_note(proof, keys)
    vouched = status == "current" and signed_by != "revoked"
    if beside.proof is not None:
        newer = _log_proof(beside.proof, opened)
        if (newer.batch, newer.transaction) != (proof.batch, proof.transaction):
            raise Fault("the newer proof is of another place in the log")
        proof, signed_by = newer, _check_note(newer, keys)
        if signed_by == "revoked":
            raise Fault("the newer proof rests on a checkpoint by a key that was revoked", "wrong_checkpoint")
        vouched = vouched or signed_by == "current"
    if beside.checkpoint is not None:
        opened.found.kept, size = _against_kept(beside.checkpoint, beside.consistency, proof)
        vouched = vouched or proof.batch <= size  # what came after it anybody with the key could have added
    code = "key_revoked" if "revoked" in (status, signed_by) else "key_retired"
    if not vouched:
        raise Fault(
            f"the key that signed it, {signer.kid}, or its checkpoint is no longer in use, so its own checkpoint "
            "vouches for nothing: ask for a newer proof and give it as --proof",
            code,
        )
    if status != "current" and proof.batch >= _left_use(signer.key):
        raise Fault(f"key {signer.kid} was {status} before the statement was in the log", code)
    return f"transaction {proof.transaction}, batch {proof.batch} of {proof.size}"


def _indicative(signer: _Signature, status: str, beside: _Beside) -> str:
    """What can be said of a statement that is in no log: it is by its key alone, and by a time token."""
    if status == "current":
        return "indicative, not in the log"
    if beside.token is not None:
        return f"indicative, not in the log; its key was {status} since, see the time token"
    if status == "revoked":
        raise Fault(f"key {signer.kid} was revoked, and no time token says since when it was there", "key_revoked")
    return _NotMade("indicative, not in the log; its key was retired since, and no time token says when it signed")


def _left_use(key: dict[str, Any]) -> int:
    """The batch from which on a key that is no longer in use signed nothing; 0 if the key set does not say."""
    ends = [_integer(key, name) for name in ("log_until", "log_revoked") if name in key]
    if _status(key) == "revoked" and "log_revoked" not in key:
        return 0
    return min(ends, default=0)


def _against_kept(kept: bytes, consistency: bytes | None, proof: _LogProof) -> tuple[str, int]:
    """That the log under a proof's checkpoint is the one under the checkpoint that the reader kept, and the size of
    that. It needs no signature: the keys that signed it may have been revoked since."""
    mine, other = _head(_utf8(kept, "checkpoint that you kept")), _head(proof.checkpoint)
    rewritten = Fault(
        f"THE LOG WAS REWRITTEN, or you were shown another one: your checkpoint of size {mine[1]} and the statement's "
        f"of {other[1]} do not belong together. Keep both: together they are the evidence.",
        "log_rewritten",
    )
    if mine[1] == other[1]:
        if mine != other:
            raise rewritten
        return f"size {mine[1]}, the statement's own", mine[1]
    first, second = sorted((mine, other), key=lambda head: head[1])
    if consistency is None:
        raise Fault(
            f"your checkpoint is of size {mine[1]}, the statement's of {other[1]}: ask for the consistency proof from "
            f"{first[1]} to {second[1]} and give it as --consistency",
            "consistency_missing",
        )
    document = _only(_parse_proof(consistency), {"type", "first", "second", "path"}, set(), "the consistency proof")
    if _text(document, "type") != CONSISTENCY_PROOF:
        raise Fault("it is not a consistency proof", "consistency_missing")
    if [_head(_text(document, name)) for name in ("first", "second")] != [first, second]:
        raise Fault("the consistency proof is of other checkpoints than these two", "consistency_missing")
    if first[0] != second[0] or not _consistent(first[1], second[1], first[2], second[2], _path(document)):
        raise rewritten
    after = "; the statement came after yours" if proof.batch > mine[1] else ""
    return f"size {mine[1]}, of one log with the statement's of {other[1]}{after}", mine[1]


def _check_kept(opened: _Statement, keys: Keys, beside: _Beside, report: Report) -> str | None:
    if opened.indicative:
        return None
    return opened.found.kept or _NotMade("the log was held against its own checkpoint only, none that you kept")


@dataclass(frozen=True)
class _LogProof:
    """Where a statement's digest stands in the log, and the checkpoint that holds it (not verified yet)."""

    transaction: int
    batch: int
    size: int
    checkpoint: str


def _log_proof(document: bytes, opened: _Statement) -> _LogProof:
    """The proof of the transaction that names the statement and the digest of its core: its path up to the root."""
    proof = _parse_proof(document)
    _only(proof, {"type", "transaction", "items", "batch", "checkpoint"}, set(), "the proof")
    if _text(proof, "type") != TRANSACTION_PROOF or _member(proof, "items") != []:
        raise Fault("it is not the proof of a transaction without items")
    checkpoint = _text(proof, "checkpoint")
    _, size, root, _, _ = _parse_note(checkpoint)
    part = _only(_inner(proof, "batch"), {"record", "decoded", "path"}, set(), "batch")
    record = _base64(_text(part, "record"), "the batch record")
    batch = _decode_batch(record)
    _agree(part, batch)
    if _root_from_path(_leaf_hash(record), batch["no"] - 1, size, _path(part)) != root:
        raise Fault("the batch is not under the checkpoint's root")
    part = _only(_inner(proof, "transaction"), {"leaf", "decoded", "path"}, set(), "transaction")
    leaf = _base64(_text(part, "leaf"), "the leaf")
    header = _decode_leaf(leaf)
    _agree(part, header)
    first, last = batch["first_transaction"], batch["last_transaction"]
    in_batch = _root_from_path(_leaf_hash(leaf), header["transaction"] - first, last - first + 1, _path(part))
    if in_batch.hex() != batch["root"]:
        raise Fault("the transaction is not under the batch's root")
    reference = f"{opened.core['statement_id']}/{opened.digest}"
    if [header[name] for name in ("kind", "source", "reference")] != ["statement", "statement", reference]:
        raise Fault("the transaction in the log is not of this statement with this core")
    return _LogProof(header["transaction"], batch["no"], size, checkpoint)


def _utf8(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Fault(f"the {what} is not UTF-8", "wrong_checkpoint") from None


def _head(note: str) -> tuple[str, int, bytes]:
    """Origin, size and root of a checkpoint."""
    origin, size, root, _, _ = _parse_note(note)
    return origin, size, root


def _parse_proof(document: bytes) -> dict[str, Any]:
    """Any JSON object, null included: what a transaction reverses may be nothing."""
    return _object(_parse(document, "proof"), "the proof")


def _agree(part: dict[str, Any], decoded: dict[str, Any]) -> None:
    stated = _inner(part, "decoded")
    if stated != decoded or any(type(stated[name]) is not type(value) for name, value in decoded.items()):
        raise Fault("what is stated as decoded is not what the bytes say")


def _path(part: dict[str, Any]) -> list[bytes]:
    values = _member(part, "path")
    if not isinstance(values, list) or len(values) > MAX_PATH or not all(isinstance(value, str) for value in values):
        raise Fault("a path is not a list of hashes")
    path = [_base64(value, "a hash of a path") for value in values]
    if any(len(value) != 32 for value in path):
        raise Fault("a hash of a path does not have 32 bytes")
    return path


def _base64(text: str, what: str) -> bytes:
    """Standard base64 in its one form, so that every change of a character is a change of the bytes."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise Fault(f"{what} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise Fault(f"{what} is not base64 in its one form")
    return data


class _Bytes:
    """Reads fields in their order; big-endian. `ledger/LEAF_FORMAT.md` describes them."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._at, self._what = data, 0, what

    def take(self, length: int) -> bytes:
        piece = self._data[self._at : self._at + length]
        if len(piece) != length:
            raise Fault(f"the {self._what} ends too early")
        self._at += length
        return piece

    def number(self, length: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(length), "big", signed=signed)

    def text(self) -> str:
        try:
            return self.take(self.number(2)).decode("utf-8")
        except UnicodeDecodeError:
            raise Fault(f"the {self._what} is not UTF-8") from None

    def instant(self) -> str:
        try:
            moment = _EPOCH + timedelta(microseconds=self.number(8, signed=True))
        except OverflowError:
            raise Fault(f"the {self._what} holds an instant outside the calendar") from None
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

    def end(self) -> None:
        if self._at != len(self._data):
            raise Fault(f"the {self._what} has bytes after its end")


def _decode_batch(data: bytes) -> dict[str, Any]:
    fields = _Bytes(data, "batch record")
    batch: dict[str, Any] = {"version": fields.number(1)}
    batch |= {name: fields.number(8) for name in ("no", "first_transaction", "last_transaction")}
    batch |= {"posted_at": fields.instant(), "root": fields.take(32).hex(), "previous": fields.take(32).hex()}
    fields.end()
    return batch


def _decode_leaf(data: bytes) -> dict[str, Any]:
    fields = _Bytes(data, "leaf")
    leaf: dict[str, Any] = {"version": fields.number(1), "transaction": fields.number(8)}
    leaf |= {name: fields.text() for name in ("kind", "source", "reference", "actor")}
    leaf["request_hash"] = fields.take(32).hex()
    leaf |= {name: fields.instant() for name in ("effective_at", "posted_at")}
    leaf |= {"reverses": fields.number(8) or None, "legs": fields.number(4), "holds": fields.number(4)}
    leaf["items_root"] = fields.take(32).hex()
    fields.end()
    return leaf


def _check_note(proof: _LogProof, keys: Keys) -> str:
    """That the checkpoint is signed by a key of the set that may sign this size; the key's state. Others' signatures
    are ignored."""
    origin, size, _, text, signatures = _parse_note(proof.checkpoint)
    for name, signature in signatures:
        for kid, key in keys.items():
            public = _base64url(_text(key, "x"), "x")
            key_id = hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]
            if name != origin or signature[:4] != key_id or "auditor" in key:
                continue
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], text.encode())
            except (InvalidSignature, ValueError):
                raise Fault(f"the signature of key {kid} does not fit the checkpoint", "wrong_checkpoint") from None
            return _check_sizes(key, kid, size)
    raise Fault("the checkpoint is not signed by a key of the set", "wrong_checkpoint")


def _check_sizes(key: dict[str, Any], kid: str, size: int) -> str:
    status = _status(key)
    since = _integer(key, "log_since") if "log_since" in key else 0
    ends = [_integer(key, name) for name in ("log_until", "log_revoked") if name in key]
    if status == "next" or not since <= size < min(ends, default=size + 1):
        code = "key_revoked" if status == "revoked" else "wrong_checkpoint"
        raise Fault(f"key {kid} is not one that signs a checkpoint of size {size}", code)
    return status


def _parse_note(note: str) -> tuple[str, int, bytes, str, list[tuple[str, bytes]]]:
    """(origin, size, root, what is signed, signatures) of a C2SP checkpoint."""
    try:
        head, separator, tail = note.rpartition("\n\n")
        lines = tail.split("\n")
        parts = head.split("\n")
        if not separator or lines.pop() or not 1 <= len(lines) <= MAX_SIGNATURES or len(parts) != 3:
            raise Fault("a checkpoint is three lines, an empty line, and signature lines")
        origin, size, root = parts
        if not origin or any(character < " " for character in "".join(parts + lines)) or not _SIZE.fullmatch(size):
            raise Fault("the checkpoint's origin or size is malformed")
        signatures = []
        for line in lines:
            dash, _, rest = line.partition(" ")
            name, space, signature = rest.partition(" ")
            if dash != "\u2014" or not name or not space:
                raise Fault("a signature line is a dash, the key's name and base64")
            signatures.append((name, _base64(signature, "a signature")))
        note.encode()  # what is not UTF-8 was never signed
        if len(found := _base64(root, "the checkpoint's root")) != 32:
            raise Fault("the checkpoint's root does not have 32 bytes")
        return origin, int(size), found, f"{head}\n", signatures
    except Fault as fault:
        raise Fault(str(fault), "wrong_checkpoint") from None
    except UnicodeEncodeError:
        raise Fault("the checkpoint holds half a character", "wrong_checkpoint") from None


# --- Trees (RFC 9162) -------------------------------------------------------------------------------------------------


def _leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def _tree_root(level: list[bytes]) -> bytes:
    sha256 = hashlib.sha256
    if not level:
        return sha256(b"").digest()
    while len(level) > 1:
        pairs = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(level) - len(level) % 2 :]
    return level[0]


def _root_from_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root of the tree of `size` leaves in which this path belongs to leaf `index` (from 0)."""
    if not 0 <= index < size:
        raise Fault(f"there is no leaf {index} among {size}")
    if size == 1:
        if path:
            raise Fault("a path is too long")
        return leaf
    if not path:
        raise Fault("a path is too short")
    half = 1 << ((size - 1).bit_length() - 1)
    below, sibling = path[:-1], path[-1]
    if index < half:
        return hashlib.sha256(b"\x01" + _root_from_path(leaf, index, half, below) + sibling).digest()
    return hashlib.sha256(b"\x01" + sibling + _root_from_path(leaf, index - half, size - half, below)).digest()


def _consistent(first: int, second: int, old: bytes, new: bytes, path: list[bytes]) -> bool:
    """Whether the path proves the tree of `first` leaves to be the beginning of that of `second`."""

    def roots(first: int, size: int, path: list[bytes], known: bool) -> tuple[bytes, bytes]:
        """The roots of the first `first` and of all `size` leaves of a subtree, as the path gives them."""
        if first == size:
            if len(path) != (0 if known else 1):
                raise Fault("a path is too long or too short")
            node = old if known else path[0]
            return node, node
        if not path:
            raise Fault("a path is too short")
        half = 1 << ((size - 1).bit_length() - 1)
        if first <= half:
            mine, whole = roots(first, half, path[:-1], known)
            return mine, hashlib.sha256(b"\x01" + whole + path[-1]).digest()
        mine, whole = roots(first - half, size - half, path[:-1], False)
        return hashlib.sha256(b"\x01" + path[-1] + mine).digest(), hashlib.sha256(b"\x01" + path[-1] + whole).digest()

    try:
        return roots(first, second, path, True) == (old, new)
    except Fault:
        return False


# --- Opinions ---------------------------------------------------------------------------------------------------------


def _check_opinions(opened: _Statement, keys: Keys, beside: _Beside, report: Report) -> str | None:
    """Every signature after the first is an auditor's, and says what the auditor thinks."""
    exchange, *auditors = opened.signatures
    for auditor in auditors:
        header = _only(
            auditor.header, {"alg", "typ", "kid", "iat", "opinion"}, {"findings_digest"}, "an auditor's signature"
        )
        name = _spelled(auditor.key, "auditor") if "auditor" in auditor.key else ""
        if not name:
            raise Fault(f"key {auditor.kid} is not an auditor's")
        opinion = _text(header, "opinion")
        if opinion not in OPINIONS:
            raise Fault(f"{opinion[:40]!a} is not an opinion")
        if opinion == "agreed_with_findings" and "findings_digest" not in header:
            raise Fault("an auditor agreed with findings and gives no digest of them")
        if "findings_digest" in header and not _DIGEST.fullmatch(_text(header, "findings_digest")):
            raise Fault("findings_digest is not a SHA-256 in hexadecimal")
        if auditor.signed_at < exchange.signed_at - SKEW_SECONDS:
            raise Fault(f"{name} signed before the exchange did", "wrong_time")
        if _status(auditor.key) == "revoked":  # nothing shows when it signed
            report.not_counted.append(f"{opinion} by {name}, whose key was revoked")
            continue
        report.opinions.append(f"{opinion} by {name}")
        if opinion == "refused":
            report.refused_by.append(name)
    told = report.opinions + [f"not counted: {each}" for each in report.not_counted]
    return "; ".join(told) if auditors else None


# --- Time tokens (RFC 3161) -------------------------------------------------------------------------------------------

_SIGNED_DATA, _TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE, _SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
_HASHES: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    "2.16.840.1.101.3.4.2.1": ("sha256", hashes.SHA256()),
    "2.16.840.1.101.3.4.2.2": ("sha384", hashes.SHA384()),
    "2.16.840.1.101.3.4.2.3": ("sha512", hashes.SHA512()),
}
_MAX_CERTIFICATES = 8


def _check_token(opened: _Statement, keys: Keys, beside: _Beside, report: Report) -> str | None:
    if beside.token is None:
        return None
    try:
        stamped, name = _verified_token(beside.token, opened.as_signed, beside.authority or b"")
    except Fault:
        raise
    except Exception as error:  # whatever the bytes of a token make of it
        said = f"{type(error).__name__} {error}"
        raise Fault(f"the token cannot be read or its signature is wrong: {said[:120]}") from None
    signer = opened.signatures[0]
    if stamped.timestamp() < signer.signed_at - SKEW_SECONDS:
        raise Fault("it was stamped before it says that it was signed", "wrong_time")
    status = _status(signer.key)
    if opened.indicative and status != "current":  # of all others the place in the log decides
        end = _integer(_inner(signer.key, "revoked"), "revoked_at") if status == "revoked" else signer.key["exp"]
        if stamped.timestamp() >= end:
            raise Fault(f"it was stamped after its key was {status}", f"key_{status}")
    return f"{stamped:%Y-%m-%d %H:%M:%S} UTC by {name}"


class _Der:
    """One DER element from `start` on: its tag, its content, and the bytes of the whole."""

    def __init__(self, data: bytes, start: int = 0) -> None:
        tag, length, begin = data[start], data[start + 1], start + 2
        if length & 0x80:
            begin += length & 0x7F
            if not start + 3 <= begin <= start + 6:
                raise ValueError("a length of this form is not DER")
            length = int.from_bytes(data[start + 2 : begin], "big")
        self.end = begin + length
        if len(data) < self.end:
            raise ValueError("the token ends too early")
        self.tag, self.content, self.whole = tag, data[begin : self.end], data[start : self.end]

    def parts(self) -> Iterator[_Der]:
        at = 0
        while at < len(self.content):
            part = _Der(self.content, at)
            yield part
            at = part.end

    def list(self, tag: int = 0x30) -> list[_Der]:
        if self.tag != tag:
            raise ValueError(f"an element has the tag {self.tag}, not {tag}")
        return list(self.parts())

    def oid(self) -> str:
        if self.tag != 0x06:
            raise ValueError("an object identifier is missing")
        numbers, value = [], 0
        for byte in self.content:
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                numbers.append(value)
                value = 0
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def _verified_token(token: bytes, stamped: bytes, authority: bytes) -> tuple[datetime, str]:
    """When an authority says that it saw these bytes, and its name."""
    if len(token) > MAX_TOKEN_BYTES:
        raise Fault(f"the token is larger than {MAX_TOKEN_BYTES} bytes")
    whole = _Der(token)
    if whole.end != len(token):
        raise Fault("the token has bytes after its end")
    content = whole.list()
    if content[0].tag == 0x30:  # the authority's whole answer, the token inside
        content = content[1].list()
    if content[0].oid() != _SIGNED_DATA:
        raise Fault("the token is not signed data")
    signed = content[1].list(0xA0)[0].list()
    encapsulated = signed[2].list()
    if encapsulated[0].oid() != _TST_INFO:
        raise Fault("the token is not a time token")
    information = encapsulated[1].list(0xA0)[0].content
    certificates = [x509.load_der_x509_certificate(part.whole) for part in signed[3].list(0xA0)[:_MAX_CERTIFICATES]]
    signer = signed[-1].list(0x31)[0].list()
    issuer, serial = signer[1].list()
    certificate = next(
        (
            each
            for each in certificates
            if each.issuer.public_bytes() == issuer.whole
            and each.serial_number == int.from_bytes(serial.content, "big", signed=True)
        ),
        None,
    )
    if certificate is None:
        raise Fault("the token does not hold the certificate that signed it")
    _check_signer(signer, information, certificate)
    moment = _stamped_at(information, stamped)
    _check_authority(certificate, certificates, x509.load_pem_x509_certificates(authority), moment)
    return moment, certificate.subject.rfc4514_string()


def _check_signer(signer: list[_Der], information: bytes, certificate: x509.Certificate) -> None:
    """The signature, over attributes that name the content's digest and the certificate."""
    name, algorithm = _HASHES[signer[2].list()[0].oid()]
    attributes = {each.list()[0].oid(): each.list()[1].list(0x31)[0] for each in signer[3].list(0xA0)}
    if attributes[_CONTENT_TYPE].oid() != _TST_INFO:
        raise Fault("the token's signature is over something else")
    if attributes[_MESSAGE_DIGEST].content != hashlib.new(name, information).digest():
        raise Fault("the token's content is not what its authority signed")
    named = attributes.get(_SIGNING_CERTIFICATE_V2) or attributes[_SIGNING_CERTIFICATE]
    identifier = named.list()[0].list()[0].list()
    own = {name: certificate.fingerprint(each) for name, each in _HASHES.values()}
    own["sha1"] = certificate.fingerprint(hashes.SHA1())  # noqa: S303 - which certificate is meant; it signs nothing
    if next(part.content for part in identifier if part.tag == 0x04) not in own.values():
        raise Fault("the token names another certificate than the one that signed it")
    data, signature = b"\x31" + signer[3].whole[1:], signer[5].content
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, ec.ECDSA(algorithm))
    elif isinstance(key, Ed25519PublicKey):
        key.verify(signature, data)
    else:
        raise Fault("the authority signs in a way that this verifier does not know")


def _stamped_at(information: bytes, stamped: bytes) -> datetime:
    """The time in the token, if it is over these bytes."""
    fields = _Der(information).list()
    algorithm, digest = fields[2].list()
    name, _ = _HASHES[algorithm.list()[0].oid()]
    if digest.content != hashlib.new(name, stamped).digest():
        raise Fault("the token is over something else than this statement")
    text = next(part.content for part in fields if part.tag == 0x18).decode("ascii")
    whole = text.partition(".")[0].removesuffix("Z")
    if not text.endswith("Z"):
        raise Fault("the token's time is not UTC")
    return datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _check_authority(
    certificate: x509.Certificate, others: list[x509.Certificate], roots: list[x509.Certificate], moment: datetime
) -> None:
    """That the certificate is for time stamps, and leads to one of the authority's that were given."""
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise Fault("the certificate that signed the token is not one for time stamps alone")
    for _ in range(_MAX_CERTIFICATES):
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            raise Fault("a certificate of the token was not valid at its time")
        if certificate in roots:
            return
        issuer = next((each for each in roots + others if _issued(certificate, each)), None)
        if issuer is None:
            break
        certificate = issuer
    raise Fault("the token is not by the authority whose certificates were given")


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate == issuer:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False


def _of_core(check: Callable[[dict[str, Any]], str | None]) -> _CheckStep:
    return lambda opened, keys, beside, report: check(opened.core)


_CheckStep = Callable[[_Statement, Keys, _Beside, Report], str | None]
_Steps = tuple[tuple[str, str, _CheckStep], ...]
_FIRST_STEPS: _Steps = (
    ("content", "wrong_schema", _of_core(_first_shape)),
    ("lines", "records_changed", _of_core(_first_lines)),
    ("balances", "wrong_balance", _of_core(_balances)),
    ("totals", "wrong_sum", _of_core(_first_totals)),
    ("metering", "wrong_metering", _of_core(_first_metering)),
    ("chain", "wrong_chain", _check_chain),
    ("log", "not_in_log", _first_log),
    ("opinions", "bad_opinion", _check_opinions),
    ("time token", "bad_time_token", _check_token),
)
_STEPS: _Steps = (
    ("content", "wrong_schema", _check_shape),
    ("balances", "wrong_balance", _check_balances),
    ("records", "wrong_sum", _check_records),
    ("postings", "wrong_balance", _check_postings),
    ("chain", "wrong_chain", _check_chain),
    ("earlier figures", "wrong_delta", _check_earlier),
    ("log", "not_in_log", _check_log),
    ("checkpoint", "log_rewritten", _check_kept),
    ("opinions", "bad_opinion", _check_opinions),
    ("time token", "bad_time_token", _check_token),
)

if __name__ == "__main__":
    sys.exit(main())
