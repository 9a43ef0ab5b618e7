"""Check evidence of the ledger offline: proofs of transactions, of sealed balances, of consistency, and checkpoints.

    python verify.py FILE --jwks KEYS [--trusted CHECKPOINT]
    python verify.py FILE --key NAME+ID+KEY [--trusted CHECKPOINT]

This file stands alone: it needs Python's standard library and `cryptography`, nothing else of this project, so an
auditor can read it in one sitting and keep a copy. LEAF_FORMAT.md describes the bytes. Exit status: 0 all holds, 1 a
check failed, 2 a file could not be read.

Everything in a proof follows from the signed checkpoint: the checkpoint holds the root of the log, the log the batch,
the batch the transaction, the transaction its items. What is stated beside the bytes is compared with them. What a
single proof cannot show is that the ledger tells everyone the same: keep a checkpoint, and hand it in as `--trusted`
together with the consistency proof from its size to a later one.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TRANSACTION_PROOF = "tokenbourse-transaction-proof/1"
CONSISTENCY_PROOF = "tokenbourse-consistency-proof/1"
SEALED_BALANCE_PROOF = "tokenbourse-sealed-balance-proof/1"
MAX_BYTES = 8 * 1024 * 1024
MAX_SIGNATURES = 16
MAX_PATH = 64
LEAF_VERSION = 2
# The states of a key, and why one in that state signs nothing that is to be believed.
_STATUSES = {
    "next": "has not come into use yet",
    "current": "",
    "retired": "",
    "revoked": "was revoked: nothing it signed can be trusted",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIZE = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})", re.ASCII)


class Fault(Exception):
    """What is wrong with a file, for a person."""


@dataclass(frozen=True)
class Check:
    """One step: whether it held, and what was found."""

    name: str
    passed: bool
    detail: str


@dataclass
class Report:
    """The steps taken, and what the evidence says (to be believed only when all steps held)."""

    checks: list[Check] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)

    def held(self, name: str, detail: str) -> None:
        self.checks.append(Check(name, True, detail))

    def text(self) -> str:
        """The report as lines to print."""
        lines = [f"{'ok  ' if check.passed else 'FAIL'}  {check.name}: {check.detail}" for check in self.checks]
        facts = [f"      {fact}" for fact in self.facts] if self.ok else []
        return "\n".join([*lines, *facts, "VERIFIED" if self.ok else "NOT VERIFIED"])


@dataclass(frozen=True)
class Checkpoint:
    """A head of the log whose signature was verified."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True)
class Key:
    """A public key, and for which sizes of the log it signs: from `since` on, before `until`. `unusable`: why not."""

    name: str
    public: bytes
    since: int = 0
    until: int | None = None
    unusable: str = ""

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n\x01" + self.public).digest()[:4]


@dataclass(frozen=True)
class _Trust:
    """What the caller believes already."""

    keys: Sequence[Key]
    kept: Checkpoint | None


def verify(document: bytes, keys: Sequence[Key], trusted: bytes | None = None) -> Report:
    """Check a proof or a checkpoint with the keys, and against a checkpoint that the caller kept.

    Never raises on bad content: the first fault ends the report.
    """
    report = Report()
    try:
        kept = None if trusted is None else _parse_note(_utf8(trusted, "trusted checkpoint"))[0]
        heads = _verify(document, _Trust(keys, kept), report)
        if kept is not None:
            _compare(kept, heads, report)
    except Fault as fault:
        report.checks.append(Check("fault", False, str(fault)))
    return report


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="verify.py", description="Check evidence of the ledger offline.")
    parser.add_argument("file", type=Path, help="a proof (JSON) or a checkpoint (text)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--jwks", type=Path, help="the public keys, as published")
    source.add_argument("--key", help="one public key, as the member vkey of the key set gives it")
    parser.add_argument("--trusted", type=Path, help="a checkpoint that you kept: the proof must agree with it")
    options = parser.parse_args(arguments)
    try:
        document = _read(options.file)
        jwks = None if options.jwks is None else _read(options.jwks)
        trusted = None if options.trusted is None else _read(options.trusted)
    except OSError as error:
        print(f"Cannot read {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    try:
        keys = [parse_vkey(options.key)] if jwks is None else parse_jwks(jwks)
        report = verify(document, keys, trusted)
    except Fault as fault:
        report = Report([Check("keys", False, str(fault))])
    print(report.text().encode("ascii", "backslashreplace").decode())  # whatever the terminal's encoding
    return 0 if report.ok else 1


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _verify(document: bytes, trust: _Trust, report: Report) -> list[Checkpoint]:
    """The checkpoints that the document rests on."""
    if not document.lstrip().startswith((b"{", b"[")):
        return [_checkpoint(_utf8(document, "file"), trust, report)]
    proof = _Object(_parse(document, "file"), "the proof")
    kind = proof.text("type")
    if kind not in _PROOFS:
        raise Fault(f"{kind[:60]!a} is not a kind of proof that this verifier knows")
    return _PROOFS[kind](proof, trust, report)


def _compare(kept: Checkpoint, heads: list[Checkpoint], report: Report) -> None:
    for head in heads:
        if head.size == kept.size:
            if (head.origin, head.root) != (kept.origin, kept.root):
                raise Fault(
                    f"THE LEDGER WAS REWRITTEN, or you were shown another one: the checkpoint you kept and this one "
                    f"are both of size {kept.size}, and they differ. Keep both: together they are the evidence."
                )
            report.held("trusted checkpoint", f"size {kept.size}, the same")
            return
    sizes = " and ".join(str(head.size) for head in heads)
    raise Fault(f"your checkpoint is of size {kept.size}, the proof's of {sizes}: ask for the consistency proof")


# --- Proofs -----------------------------------------------------------------------------------------------------------


def _transaction_proof(proof: _Object, trust: _Trust, report: Report) -> list[Checkpoint]:
    proof.only("type", "transaction", "items", "batch", "checkpoint")
    head, _ = _transaction(proof, trust, report)
    return [head]


def _transaction(proof: _Object, trust: _Trust, report: Report) -> tuple[Checkpoint, dict[str, Any]]:
    """The checkpoint and the transaction's header, with all between them and with the items checked."""
    head = _checkpoint(proof.text("checkpoint"), trust, report)
    part = proof.object("batch").only("record", "decoded", "path")
    record_bytes = part.base64("record")
    batch = part.agrees(decode_batch(record_bytes))
    if root_from_path(leaf_hash(record_bytes), batch["no"] - 1, head.size, part.path()) != head.root:
        raise Fault(f"batch {batch['no']} is not under the checkpoint's root")
    report.held("batch", f"{batch['no']}, in the log")

    part = proof.object("transaction").only("leaf", "decoded", "path")
    leaf_bytes = part.base64("leaf")
    header = part.agrees(decode_leaf(leaf_bytes))
    first, last = batch["first_transaction"], batch["last_transaction"]
    root = root_from_path(leaf_hash(leaf_bytes), header["transaction"] - first, last - first + 1, part.path())
    if root.hex() != batch["root"]:
        raise Fault(f"transaction {header['transaction']} is not under the batch's root")
    report.held("transaction", f"{header['transaction']}, in the batch")
    report.facts += [f"{name}: {header[name]!a}" for name in ("kind", "source", "reference", "actor")]
    report.facts += [f"{name}: {header[name]}" for name in ("effective_at", "posted_at", "reverses")]

    previous = -1
    for item in proof.objects("items"):
        previous = _item(item.only("item", "decoded", "index", "path"), header, previous, report)
    shown = len(proof.objects("items"))
    report.held("items", f"{shown} shown, of {header['legs']} legs and {header['holds']} changes of holds")
    return head, header


def _item(part: _Object, header: dict[str, Any], previous: int, report: Report) -> int:
    """Check one item; returns its index, which must be above the one before it."""
    data = part.base64("item")
    item = part.agrees(decode_item(data))
    index: int = item["leg"] - 1 if item["item"] == "leg" else header["legs"] + item["position"] - 1
    limit = header["legs"] if item["item"] == "leg" else header["legs"] + header["holds"]
    if part.integer("index") != index or not previous < index < limit:
        raise Fault("an item is not where it says, or is shown twice")
    root = root_from_path(leaf_hash(data), index, header["legs"] + header["holds"], part.path())
    if root.hex() != header["items_root"]:
        raise Fault(f"item {index} is not under the transaction's root of items")
    report.facts.append(" ".join(f"{name} {value!a}" for name, value in item.items()))
    return index


def _sealed_balance_proof(proof: _Object, trust: _Trust, report: Report) -> list[Checkpoint]:
    proof.only("type", "period", "balance", "seal")
    seal = proof.object("seal").only("type", "transaction", "items", "batch", "checkpoint")
    if seal.text("type") != TRANSACTION_PROOF:
        raise Fault("the seal is not the proof of a transaction")
    head, header = _transaction(seal, trust, report)
    part = proof.object("balance").only("leaf", "decoded", "path")
    data = part.base64("leaf")
    balance = part.agrees(decode_sealed_balance(data))
    root = leaf_hash(data)
    steps = part.objects("path")
    if len(steps) > MAX_PATH:
        raise Fault(f"a path is longer than {MAX_PATH}")
    for step in steps:
        side = "left" if "left" in step.value else "right"
        sibling = step.only(side).base64(side, 32)
        root = node_hash(sibling, root) if side == "left" else node_hash(root, sibling)
    period = proof.text("period")
    stated = {"kind": "period_seal", "source": "seal", "reference": f"{period}/{root.hex()}"}
    if any(header[name] != value for name, value in stated.items()):
        raise Fault("the balance is not under the root that the transaction seals for this period")
    ends_at = _end_of_period(period)
    if ends_at is not None and header["effective_at"] != _iso(ends_at):
        raise Fault("the seal was not taken at the end of its period")
    report.held("sealed balance", f"account {balance['account']}, period {period!a}")
    report.facts.append(" ".join(f"{name} {value}" for name, value in balance.items()))
    return [head]


def _consistency_proof(proof: _Object, trust: _Trust, report: Report) -> list[Checkpoint]:
    proof.only("type", "first", "second", "path")
    first, second = (_checkpoint(proof.text(name), trust, report) for name in ("first", "second"))
    if first.origin != second.origin:
        raise Fault("the two checkpoints are of two logs")
    if not consistent(first.size, second.size, first.root, second.root, proof.path()):
        raise Fault(
            f"the log of size {first.size} is not the beginning of that of size {second.size}: the ledger was rewritten"
        )
    report.held("consistency", f"the first {first.size} batches of {second.size} are what they were")
    return [first, second]


_PROOFS: dict[str, Callable[[_Object, _Trust, Report], list[Checkpoint]]] = {
    TRANSACTION_PROOF: _transaction_proof,
    CONSISTENCY_PROOF: _consistency_proof,
    SEALED_BALANCE_PROOF: _sealed_balance_proof,
}


def _end_of_period(period: str) -> datetime | None:
    """The end of a UTC day or month; None for a period that is named otherwise."""
    try:
        if matched := _DAY.fullmatch(period):
            year, month, day = map(int, matched.groups())
            return datetime(year, month, day, tzinfo=UTC) + timedelta(days=1)
        if matched := _MONTH.fullmatch(period):
            year, month = map(int, matched.groups())
            next_month = datetime(year, month, 28, tzinfo=UTC) + timedelta(days=4)
            return next_month.replace(day=1)
    except (ValueError, OverflowError):
        raise Fault(f"there is no period {period!a}") from None
    return None


# --- Bytes ------------------------------------------------------------------------------------------------------------


class _Bytes:
    """Reads fields in their order; big-endian."""

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
        return _utf8(self.take(self.number(2)), self._what)

    def instant(self) -> str:
        try:
            return _iso(_EPOCH + timedelta(microseconds=self.number(8, signed=True)))
        except OverflowError:
            raise Fault(f"the {self._what} holds an instant outside the calendar") from None

    def end(self) -> None:
        if self._at != len(self._data):
            raise Fault(f"the {self._what} has bytes after its end")


def decode_leaf(data: bytes) -> dict[str, Any]:
    """A transaction's header."""
    fields = _Bytes(data, "leaf")
    leaf: dict[str, Any] = {"version": fields.number(1)}
    if leaf["version"] != LEAF_VERSION:
        raise Fault(f"the leaf is of version {leaf['version']}, this verifier knows {LEAF_VERSION}")
    leaf["transaction"] = fields.number(8)
    leaf |= {name: fields.text() for name in ("kind", "source", "reference", "actor")}
    leaf["request_hash"] = fields.take(32).hex()
    leaf |= {name: fields.instant() for name in ("effective_at", "posted_at")}
    leaf |= {"reverses": fields.number(8) or None, "legs": fields.number(4), "holds": fields.number(4)}
    leaf["items_root"] = fields.take(32).hex()
    fields.end()
    return leaf


def decode_item(data: bytes) -> dict[str, Any]:
    """A leg or a change of a hold. Amounts are integer strings, in the smallest unit of the account's asset."""
    fields = _Bytes(data, "item")
    kind = fields.number(1)
    item: dict[str, Any]
    if kind == 1:
        item = {"item": "leg", "leg": fields.number(4), "account": fields.number(8), "asset": fields.number(8)}
        item |= {"amount": str(fields.number(8, signed=True)), "account_seq": fields.number(8)}
        item |= {"balance_after": str(fields.number(8, signed=True)), "ref": fields.text()}
    elif kind == 2:
        item = {"item": "hold", "position": fields.number(4), "account": fields.number(8)}
        item |= {"delta": str(fields.number(8, signed=True)), "hold_seq": fields.number(8)}
        item |= {"held_after": str(fields.number(8, signed=True)), "ref": fields.text()}
    else:
        raise Fault(f"an item is of the unknown kind {kind}")
    fields.end()
    return item


def decode_batch(data: bytes) -> dict[str, Any]:
    """A batch record."""
    fields = _Bytes(data, "batch record")
    batch: dict[str, Any] = {"version": fields.number(1)}
    if batch["version"] != LEAF_VERSION:
        raise Fault(f"the batch record is of version {batch['version']}, this verifier knows {LEAF_VERSION}")
    batch |= {name: fields.number(8) for name in ("no", "first_transaction", "last_transaction")}
    batch |= {"posted_at": fields.instant(), "root": fields.take(32).hex(), "previous": fields.take(32).hex()}
    fields.end()
    return batch


def decode_sealed_balance(data: bytes) -> dict[str, Any]:
    """One account's leaf in the seal of a period."""
    fields = _Bytes(data, "sealed balance")
    if fields.number(1) != 3:
        raise Fault("the leaf is not that of a sealed balance")
    balance: dict[str, Any] = {name: fields.number(8) for name in ("account", "asset", "seq")}
    balance |= {"balance": str(fields.number(8, signed=True)), "hold_seq": fields.number(8)}
    balance["held"] = str(fields.number(8, signed=True))
    fields.end()
    return balance


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _utf8(data: bytes, what: str) -> str:
    if len(data) > MAX_BYTES:
        raise Fault(f"the {what} is larger than {MAX_BYTES // 1024 // 1024} MB, and this verifier reads no more")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Fault(f"the {what} is not UTF-8") from None


# --- Trees (RFC 6962, by its recursive definitions) -------------------------------------------------------------------


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
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
    if index < half:
        return node_hash(root_from_path(leaf, index, half, path[:-1]), path[-1])
    return node_hash(path[-1], root_from_path(leaf, index - half, size - half, path[:-1]))


def consistent(first_size: int, second_size: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the path proves the tree of `first_size` leaves to be the beginning of that of `second_size`."""
    if not 0 < first_size <= second_size:
        return False

    def roots(first: int, size: int, path: Sequence[bytes], known: bool) -> tuple[bytes, bytes]:
        """The roots of the first `first` and of all `size` leaves of a subtree, as the path gives them."""
        if first == size:
            if len(path) != (0 if known else 1):
                raise Fault("a path is too long or too short")
            node = first_root if known else path[0]
            return node, node
        if not path:
            raise Fault("a path is too short")
        half = 1 << ((size - 1).bit_length() - 1)
        if first <= half:
            old, new = roots(first, half, path[:-1], known)
            return old, node_hash(new, path[-1])
        old, new = roots(first - half, size - half, path[:-1], False)
        return node_hash(path[-1], old), node_hash(path[-1], new)

    try:
        return roots(first_size, second_size, path, True) == (first_root, second_root)
    except Fault:
        return False


# --- Checkpoints and keys (C2SP signed-note, tlog-checkpoint) ---------------------------------------------------------


def _checkpoint(note: str, trust: _Trust, report: Report) -> Checkpoint:
    """The checkpoint, signed by one of the keys. Signatures of other keys are ignored, as the format asks.

    One that the caller kept needs no signature: keys that signed it may have been revoked since.
    """
    head, text, signatures = _parse_note(note)
    if head == trust.kept:
        report.held("checkpoint", f"{head.origin!a}, size {head.size}, the one that you kept")
        return head
    signer = None
    for name, signature in signatures:
        for key in trust.keys:
            if (key.name, key.key_id) == (name, signature[:4]):
                _check_signature(key, signature[4:], text, head)
                signer = key
    if signer is None:
        raise Fault("the checkpoint is not signed by a key that you gave")
    report.held("checkpoint", f"{head.origin!a}, size {head.size}, signed by key {signer.key_id.hex()}")
    return head


def _check_signature(key: Key, signature: bytes, text: str, head: Checkpoint) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text.encode())
    except (InvalidSignature, ValueError):
        raise Fault(f"the signature of key {key.key_id.hex()} does not fit the checkpoint") from None
    if head.origin != key.name:
        raise Fault(f"the checkpoint is of the log {head.origin!a}, the key signs for {key.name!a}")
    if key.unusable:
        raise Fault(f"key {key.key_id.hex()} {key.unusable}")
    if head.size < key.since or (key.until is not None and head.size >= key.until):
        until = "" if key.until is None else f" and below {key.until}"
        raise Fault(
            f"key {key.key_id.hex()} signs checkpoints of size {key.since} and up{until}, this one has {head.size}"
        )


def _parse_note(note: str) -> tuple[Checkpoint, str, list[tuple[str, bytes]]]:
    """(checkpoint, what is signed, signatures). Nothing is to be believed before a signature is verified."""
    head, separator, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    parts = head.split("\n")
    if not separator or lines.pop() or not 1 <= len(lines) <= MAX_SIGNATURES or len(parts) != 3:
        raise Fault("a checkpoint is three lines, an empty line, and 1 to 16 signature lines")
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
    return Checkpoint(origin, int(size), _base64(root, "the root", 32)), f"{head}\n", signatures


def parse_vkey(text: str) -> Key:
    """A public key in the one-line form NAME+ID+KEY of signed notes."""
    name, _, rest = text.partition("+")
    stated, _, encoded = rest.partition("+")
    data = _base64(encoded, "a key", 33)
    key = Key(name, data[1:])
    if not name or not name.isprintable() or data[0] != 1 or key.key_id.hex() != stated:
        raise Fault("a verifier key is NAME+ID+KEY, of Ed25519, with the id that follows from name and key")
    return key


def parse_jwks(jwks: bytes) -> list[Key]:
    """The keys of a published set that sign checkpoints, with the sizes for which they do."""
    keys: list[Key] = []
    for published in _Object(_parse(jwks, "key set"), "the key set").objects("keys"):
        if published.value.get("crv") != "Ed25519" or "vkey" not in published.value:
            continue
        key = parse_vkey(published.text("vkey"))
        if base64.urlsafe_b64encode(key.public).rstrip(b"=").decode() != published.text("x"):
            raise Fault("a key's vkey and x are not the same key")
        if any((key.name, key.key_id) == (known.name, known.key_id) for known in keys):
            raise Fault("the key set holds a key twice")
        unusable = _unusable(published)
        since = published.integer("log_since") if "log_since" in published.value else 0
        until = published.integer("log_until") if "log_until" in published.value else None
        keys.append(Key(key.name, key.public, since, until, unusable))
    if not keys:
        raise Fault("the key set holds no key that signs checkpoints")
    return keys


def _unusable(published: _Object) -> str:
    """Why a published key signs nothing, "" if it does. A key whose state is not beyond doubt is refused."""
    status = published.text("status")
    if status not in _STATUSES:
        raise Fault(f"a key has the status {status[:60]!a}, which this verifier does not know")
    if "revoked" in published.value and status != "revoked":
        raise Fault(f"a key has the member revoked, but the status {status}")
    if status == "retired" and "log_until" not in published.value:
        raise Fault("a key is retired, but log_until does not say from which size on")
    return _STATUSES[status]


# --- JSON, strictly ---------------------------------------------------------------------------------------------------


class _Object:
    """A JSON object whose members are asked for by kind; what is missing or of another kind is a `Fault`."""

    def __init__(self, value: Any, what: str) -> None:
        if not isinstance(value, dict):
            raise Fault(f"{what} is not an object")
        self.value: dict[str, Any] = value

    def member(self, name: str) -> Any:
        if name not in self.value:
            raise Fault(f"{name} is missing")
        return self.value[name]

    def only(self, *names: str) -> _Object:
        if unknown := set(self.value) - set(names):
            raise Fault(f"there is an unknown member {min(unknown)[:60]!a}")
        return self

    def text(self, name: str) -> str:
        value = self.member(name)
        if not isinstance(value, str):
            raise Fault(f"{name} is not a string")
        return value

    def integer(self, name: str) -> int:
        value = self.member(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Fault(f"{name} is not a whole number")
        return value

    def object(self, name: str) -> _Object:
        return _Object(self.member(name), name)

    def objects(self, name: str) -> list[_Object]:
        return [_Object(value, f"an item of {name}") for value in self._list(name)]

    def base64(self, name: str, length: int | None = None) -> bytes:
        return _base64(self.text(name), name, length)

    def path(self) -> list[bytes]:
        """The hashes of a proof, nearest the leaf first."""
        values = self._list("path")
        if len(values) > MAX_PATH:
            raise Fault(f"a path is longer than {MAX_PATH}")
        return [_base64(value, "a hash of a path", 32) for value in values]

    def agrees(self, decoded: dict[str, Any]) -> dict[str, Any]:
        """What the bytes say, if `decoded` states the same."""
        stated = self.object("decoded").value
        if stated != decoded or any(type(stated[name]) is not type(value) for name, value in decoded.items()):
            raise Fault("what is stated as decoded is not what the bytes say")
        return decoded

    def _list(self, name: str) -> list[Any]:
        value = self.member(name)
        if not isinstance(value, list):
            raise Fault(f"{name} is not a list")
        return value


def _parse(data: bytes, what: str) -> Any:
    def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(members)
        if len(value) != len(members):
            raise Fault(f"the {what} repeats a member name")
        return value

    def refused(number: str) -> Any:
        raise Fault(f"the {what} holds {number[:20]}, which is not a whole number")

    try:
        value = json.loads(_utf8(data, what), object_pairs_hook=unique, parse_float=refused, parse_constant=refused)
        json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError:
        raise Fault(f"the {what} holds half a character") from None
    except RecursionError:
        raise Fault(f"the {what} is nested too deeply") from None
    except ValueError as error:
        raise Fault(f"the {what} is not JSON: {str(error)[:120]}") from None


def _base64(value: Any, what: str, length: int | None = None) -> bytes:
    """Standard base64 in its one form, so that every change of a character is a change of the bytes."""
    if not isinstance(value, str):
        raise Fault(f"{what} is not a string")
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except ValueError:
        raise Fault(f"{what} is not base64") from None
    if base64.b64encode(data).decode() != value:
        raise Fault(f"{what} is not base64 in its one form")
    if length is not None and len(data) != length:
        raise Fault(f"{what} does not have {length} bytes")
    return data


if __name__ == "__main__":
    sys.exit(main())
