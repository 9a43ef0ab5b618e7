"""Verify a signed statement offline.

    python -m settlement.statements.verify FILE --jwks KEYS [--previous FILE]

This file stands alone: it needs Python's standard library and `cryptography`, nothing else of this project, so an
auditor can read it in one sitting and keep a copy. Exit status: 0 verified, 1 a check failed, 2 a file could not be
read.

Checked, in this order: envelope, signatures and the validity of their keys, canonical form (RFC 8785), digest of the
core, lines (numbers, Merkle root of RFC 6962), sums, and with --previous the chain. Nothing of the content is looked at
before a signature over those very bytes has been verified.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SCHEMA = "tokenbourse-statement/1"
TYPE = "tokenbourse-statement+jws"
MAX_BYTES = 256 * 1024 * 1024
MAX_DEPTH = 12
MAX_SIGNATURES = 8
MAX_SAFE_INTEGER = 2**53 - 1
_AMOUNT = re.compile(r"-?(0|[1-9]\d{0,15})\.\d{6}", re.ASCII)
_COUNT = re.compile(r"-?(0|[1-9]\d{0,20})", re.ASCII)


class Fault(Exception):
    """What is wrong with the statement, for a person."""


@dataclass(frozen=True)
class Check:
    """One step: whether it held, and what was found."""

    name: str
    passed: bool
    detail: str


@dataclass
class Report:
    """The steps taken, and the statement's core once its signature is verified (None before)."""

    checks: list[Check] = field(default_factory=list)
    core: dict[str, Any] | None = None
    signers: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)

    def text(self) -> str:
        """The report as lines to print."""
        lines = [f"{'ok  ' if check.passed else 'FAIL'}  {check.name}: {check.detail}" for check in self.checks]
        return "\n".join([*lines, "VERIFIED" if self.ok else "NOT VERIFIED"])


def verify(statement: bytes, jwks: bytes, previous: bytes | None = None) -> Report:
    """Check a statement file against a key set, and against the statement before it if given.

    Never raises on bad content: the first fault ends the report.
    """
    report = Report()
    step = "key set"

    def passed(detail: str) -> None:
        report.checks.append(Check(step, True, detail))

    try:
        keys = _keys(jwks)
        step = "signatures"
        payload_bytes, report.signers = _open_envelope(statement, keys)
        passed(f"{len(report.signers)} by {', '.join(report.signers)}")
        step = "canonical form"
        payload = _object(_parse(payload_bytes, "payload"), "payload")
        if _canonical(payload) != payload_bytes:
            raise Fault("the payload is not in the canonical form of RFC 8785")
        passed(f"{len(payload_bytes)} bytes")
        step = "content"
        core = _core(payload)
        report.core = core
        passed(f"statement {_text(core, 'statement_id')}")
        for name, check in _CHECKS.items():
            step = name
            passed(check(core))
        step = "chain"
        passed(_chain(core, _verified_core(previous, keys) if previous is not None else None))
    except Fault as fault:
        report.checks.append(Check(step, False, str(fault)))
    return report


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="verify", description="Verify a signed statement offline.")
    parser.add_argument("file", type=Path, help="the statement")
    parser.add_argument("--jwks", type=Path, required=True, help="the public keys, as published")
    parser.add_argument("--previous", type=Path, help="the statement before it, to check the chain")
    options = parser.parse_args(arguments)
    try:
        statement, keys = _read(options.file), _read(options.jwks)
        previous = None if options.previous is None else _read(options.previous)
    except OSError as error:
        print(f"Cannot read {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    report = verify(statement, keys, previous)
    print(report.text().encode("ascii", "backslashreplace").decode())  # whatever the terminal's encoding
    return 0 if report.ok else 1


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


# --- JSON, strictly ---------------------------------------------------------------------------------------------------


def _parse(data: bytes, what: str) -> Any:
    if len(data) > MAX_BYTES:
        raise Fault(f"the {what} is larger than {MAX_BYTES} bytes")

    def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(members)
        if len(value) != len(members):
            raise Fault(f"the {what} repeats a member name")
        return value

    def refused(number: str) -> Any:
        raise Fault(f"the {what} holds {number[:20]}, which is not a whole number")

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_float=refused, parse_constant=refused)
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


def _inner(value: dict[str, Any], name: str) -> dict[str, Any]:
    return _object(_member(value, name), name)


def _list(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = _member(value, name)
    if not isinstance(items, list):
        raise Fault(f"{name} is not a list")
    return [_object(item, f"an item of {name}") for item in items]


def _text(value: dict[str, Any], name: str) -> str:
    text = _member(value, name)
    if not isinstance(text, str):
        raise Fault(f"{name} is not a string")
    return text


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


def _keys(jwks: bytes) -> dict[str, dict[str, Any]]:
    """The Ed25519 keys of the set by RFC 7638 thumbprint, computed here, whatever names the set gives them."""
    keys: dict[str, dict[str, Any]] = {}
    for key in _list(_object(_parse(jwks, "key set"), "the key set"), "keys"):
        if key.get("kty") == "OKP" and key.get("crv") == "Ed25519":
            x = _text(key, "x")
            if len(_base64url(x, "x")) != 32:
                raise Fault("an Ed25519 key does not have 32 bytes")
            thumbprint = hashlib.sha256(_canonical({"crv": "Ed25519", "kty": "OKP", "x": x})).digest()
            kid = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
            if kid in keys:  # which of the two would say when it was valid?
                raise Fault(f"the key set holds key {kid} twice")
            keys[kid] = key
    if not keys:
        raise Fault("the key set holds no Ed25519 key")
    return keys


def _open_envelope(statement: bytes, keys: dict[str, dict[str, Any]]) -> tuple[bytes, list[str]]:
    """The payload's bytes and the key ids that signed them. Every signature present must be good."""
    envelope = _object(_parse(statement, "statement"), "the statement")
    payload, signatures = _text(envelope, "payload"), _list(envelope, "signatures")
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise Fault(f"there must be 1 to {MAX_SIGNATURES} signatures")
    if set(envelope) != {"payload", "signatures"} or _canonical(envelope) != statement:
        raise Fault("the envelope is not JWS General JSON in canonical form")
    signers = [_check_signature(signature, payload, keys) for signature in signatures]
    if len(set(signers)) != len(signers):
        raise Fault("one key signed twice")
    return _base64url(payload, "payload"), signers


def _check_signature(signature: dict[str, Any], payload: str, keys: dict[str, dict[str, Any]]) -> str:
    if set(signature) != {"protected", "signature"}:
        raise Fault("a signature has members besides protected and signature")
    protected = _text(signature, "protected")
    header = _object(_parse(_base64url(protected, "protected"), "protected header"), "the protected header")
    if header.get("alg") != "Ed25519" or header.get("typ") != TYPE or "crit" in header:
        raise Fault(f"a signature is not of algorithm Ed25519 and type {TYPE}")
    kid, signed_at = _text(header, "kid"), _integer(header, "iat")
    if kid not in keys:
        raise Fault(f"key {kid[:60]!r} is not in the key set")
    try:
        Ed25519PublicKey.from_public_bytes(_base64url(_text(keys[kid], "x"), "x")).verify(
            _base64url(_text(signature, "signature"), "signature"), f"{protected}.{payload}".encode()
        )
    except (InvalidSignature, ValueError):
        raise Fault(f"the signature of key {kid} does not fit the content") from None
    _check_validity(keys[kid], kid, signed_at)
    return kid


def _check_validity(key: dict[str, Any], kid: str, signed_at: int) -> None:
    if "nbf" in key and signed_at < _integer(key, "nbf"):
        raise Fault(f"key {kid} signed before it was valid")
    if "exp" in key and signed_at >= _integer(key, "exp"):
        raise Fault(f"key {kid} signed after it expired")
    if "revoked" in key and signed_at >= _integer(_inner(key, "revoked"), "revoked_at"):
        raise Fault(f"key {kid} signed after it was revoked")


# --- Content ----------------------------------------------------------------------------------------------------------


def _core(payload: dict[str, Any]) -> dict[str, Any]:
    if _text(payload, "schema") != SCHEMA:
        raise Fault(f"the schema is not {SCHEMA}")
    core = _inner(payload, "core")
    if _text(payload, "core_digest") != hashlib.sha256(_canonical(core)).hexdigest():
        raise Fault("core_digest is not the digest of the core")
    _text(_inner(payload, "annex"), "issued_at")
    if (
        _text(core, "statement_id")
        != f"{_text(core, 'party')}/{_text(core, 'currency')}/{_text(_inner(core, 'run'), 'key')}"
    ):
        raise Fault("statement_id does not name the party, currency and run of the statement")
    return core


def _lines(core: dict[str, Any]) -> str:
    lines = _list(core, "lines")
    for number, line in enumerate(lines, start=1):
        if _integer(line, "number") != number:
            raise Fault(f"line {number} is numbered {line['number']}")
    if _integer(core, "lines_count") != len(lines):
        raise Fault(f"lines_count is {core['lines_count']}, there are {len(lines)}")
    level = [hashlib.sha256(b"\x00" + _canonical(line)).digest() for line in lines] or [hashlib.sha256(b"").digest()]
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(level) - len(level) % 2 :]
    if _text(core, "lines_root") != level[0].hex():
        raise Fault("lines_root is not the Merkle root of the lines")
    return f"{len(lines)}, root {level[0].hex()[:16]}..."


def _balances(core: dict[str, Any]) -> str:
    balances = _inner(core, "balances")
    opening, closing = _inner(balances, "opening"), _inner(balances, "closing")
    movements = _list(balances, "movements")
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


def _totals(core: dict[str, Any]) -> str:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for line in _list(core, "lines"):
        tokens = _count(line, "tokens") if "tokens" in line else 0
        figures = (1, tokens, _amount(line, "value"), _amount(line, "amount"))
        kind = _text(line, "kind")
        sums[kind] = [total + figure for total, figure in zip(sums[kind], figures, strict=True)]
    totals = _inner(core, "totals")
    stated = [
        (
            _text(kind, "kind"),
            [_integer(kind, "lines"), _count(kind, "tokens"), _amount(kind, "value"), _amount(kind, "amount")],
        )
        for kind in _list(totals, "by_kind")
    ]
    if stated != sorted(sums.items()):
        raise Fault("the totals by kind are not the sums of the lines")
    amount = sum(figures[3] for figures in sums.values())
    if _amount(totals, "amount") != amount:
        raise Fault(f"the total is {totals['amount']}, the lines sum to {_money(amount)}")
    return f"{_money(amount)} over {len(sums)} kinds of line"


def _chain(core: dict[str, Any], previous: dict[str, Any] | None) -> str:
    opening = _inner(_inner(core, "balances"), "opening")
    if _text(_inner(core, "run"), "kind") == "indicative":
        if previous is not None or "sequence" in core or "previous_digest" in core:
            raise Fault("an indicative statement stands outside the chain")
        return "indicative, outside the chain"
    sequence = _integer(core, "sequence")
    if sequence < 1 or (sequence == 1) == ("previous_digest" in core):
        raise Fault("only the first statement of a chain has no previous one")
    if sequence == 1:
        if previous is not None or _amount(opening, "amount") or _integer(opening, "account_seq"):
            raise Fault("the first statement of a chain has none before it and opens at 0")
        return "first of its chain"
    named = _text(core, "previous_digest")
    if previous is None:
        return f"number {sequence}; previous statement {named[:16]}... not given, not checked"
    if [previous.get(name) for name in ("party", "currency")] != [core["party"], core["currency"]]:
        raise Fault("the previous statement is another party's or another currency's")
    if previous.get("sequence") != sequence - 1 or hashlib.sha256(_canonical(previous)).hexdigest() != named:
        raise Fault("the previous statement is not the one named")
    if opening != _inner(_inner(previous, "balances"), "closing"):
        raise Fault("it does not open where the previous one closed")
    return f"number {sequence}, follows {named[:16]}..."


def _verified_core(statement: bytes, keys: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The core of the previous statement, after the same checks as far as the chain rests on them."""
    try:
        payload_bytes, _ = _open_envelope(statement, keys)
        payload = _object(_parse(payload_bytes, "payload"), "payload")
        if _canonical(payload) != payload_bytes:
            raise Fault("the payload is not in canonical form")
        return _core(payload)
    except Fault as fault:
        raise Fault(f"the previous statement: {fault}") from None


_CHECKS: dict[str, Callable[[dict[str, Any]], str]] = {"lines": _lines, "balances": _balances, "totals": _totals}

if __name__ == "__main__":
    sys.exit(main())
