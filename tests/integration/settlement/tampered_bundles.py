"""Bundles that somebody tampered with, in every way that a recomputation has a reason for."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from settlement.recompute.bundle import MANIFEST
from settlement.recompute.faults import FaultCode

Change = Callable[[Any], Any]


class Tampered:
    """A copy of a bundle in which somebody changed something, and made the manifest fit unless told not to."""

    def __init__(self, bundle: Path, copy: Path) -> None:
        self.path = Path(shutil.copytree(bundle, copy))

    def json(self, name: str, change: Change, *, canonical: bool = False) -> None:
        def changed(content: bytes) -> bytes:
            value = json.loads(content)
            separators = (",", ":") if canonical else None
            return json.dumps(change(value) or value, separators=separators, sort_keys=True).encode()

        self.bytes(name, changed)

    def lines(self, name: str, change: Change) -> None:
        """Of a packed file of JSON lines; `change` gets all of them."""

        def changed(content: bytes) -> bytes:
            values = [json.loads(line) for line in gzip.decompress(content).splitlines()]
            others = change(values)
            lines = [json.dumps(value) for value in (values if others is None else others)]
            return gzip.compress("".join(f"{line}\n" for line in lines).encode())

        self.bytes(name, changed)

    def bytes(self, name: str, change: Callable[[bytes], bytes]) -> None:
        content = change((self.path / name).read_bytes())
        (self.path / name).write_bytes(content)
        self._list(name, hashlib.sha256(content).hexdigest())

    def manifest(self, change: Change) -> None:
        manifest = json.loads((self.path / MANIFEST).read_bytes())
        (self.path / MANIFEST).write_text(json.dumps(change(manifest) or manifest))

    def remove(self, name: str) -> None:
        (self.path / name).unlink()
        self.manifest(lambda manifest: manifest["files"].pop(name) and None)

    def _list(self, name: str, digest: str) -> None:
        self.manifest(lambda manifest: manifest["files"].update({name: digest}))


def set_(value: Any, *path: Any, to: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = to


INPUT, EVENTS = "inputs/0001.json", "events/0001.jsonl.gz"
ACCOUNT, ENTRIES = "accounts/grid-compute.json", "accounts/grid-compute.jsonl.gz"
SIGNED, RECORDS = "statements/provider-1.jws.json", "statements/provider-1.records.jsonl"


def other_tokens(events: list[Any]) -> None:
    event = next(event for event in events if event.get("tokens") and not event.get("refusal"))
    event["tokens"][0] += 1


def other_weight_too(events: list[Any]) -> None:
    """Of both meters' events of a request, so that they still agree."""
    one = next(event for event in events if event["request_id"] == "r5" and event["kind"] == "completed")
    for event in events:
        if event["request_id"] == one["request_id"]:
            event["tokens"][0] += 1_000
            event["millitokens"] += 1_000_000


def for_something_else(entries: list[Any]) -> None:
    """The balances still fit."""
    next(entry for entry in entries if entry["source"] == "settlement")["ref"] = "damages"


def without_salt(records: bytes) -> bytes:
    first, rest = records.split(b"\n", 1)
    record = json.loads(first)
    record["body"]["amount"] = "9" + record["body"]["amount"]
    return json.dumps(record, separators=(",", ":"), sort_keys=True).encode() + b"\n" + rest


def others_statement(to: Tampered) -> None:
    for name in (SIGNED, RECORDS):
        content = (to.path / name.replace("provider-1", "provider-2")).read_bytes()
        to.bytes(name, lambda _, content=content: content)  # type: ignore[misc]  # bound now


TAMPERINGS: dict[str, tuple[FaultCode, Callable[[Tampered], object]]] = {
    "no manifest": (FaultCode.UNREADABLE, lambda to: (to.path / MANIFEST).unlink()),
    "manifest of another form": (FaultCode.WRONG_SCHEMA, lambda to: to.manifest(lambda m: m.update(schema="x/1"))),
    "manifest without its run": (FaultCode.WRONG_SCHEMA, lambda to: to.manifest(lambda m: m.pop("run") and None)),
    "run without its key": (
        FaultCode.WRONG_SCHEMA,
        lambda to: to.manifest(lambda m: m["run"].pop("sequence") and None),
    ),
    "manifest that is no JSON": (FaultCode.FILE_MALFORMED, lambda to: (to.path / MANIFEST).write_text("{")),
    "name outside": (
        FaultCode.WRONG_SCHEMA,
        lambda to: to.manifest(lambda m: m["files"].update({"../keys.json": "00"})),
    ),
    "a file gone": (FaultCode.FILE_MISSING, lambda to: (to.path / RECORDS).unlink()),
    "a file more": (FaultCode.FILE_UNLISTED, lambda to: (to.path / "more").write_text("")),
    "a file changed": (FaultCode.FILE_CHANGED, lambda to: (to.path / SIGNED).write_text("{}")),
    "an input that is none": (FaultCode.FILE_MALFORMED, lambda to: to.json(INPUT, lambda v: v.pop("symbol") and None)),
    "an input in other words": (FaultCode.FILE_MALFORMED, lambda to: to.json(INPUT, lambda v: None)),
    "another price": (
        FaultCode.WRONG_INPUTS,
        lambda to: to.json(INPUT, lambda v: v.update(reference_price_micros="1"), canonical=True),
    ),
    "another contract": (FaultCode.WRONG_INPUTS, lambda to: to.manifest(lambda m: set_(m, "contracts", 0, to="X"))),
    "an event gone": (FaultCode.WRONG_EVENTS, lambda to: to.lines(EVENTS, lambda events: events[1:])),
    "an event twice": (FaultCode.WRONG_EVENTS, lambda to: to.lines(EVENTS, lambda events: [events[0], *events])),
    "events in another order": (FaultCode.WRONG_EVENTS, lambda to: to.lines(EVENTS, lambda events: events[::-1])),
    "no events": (FaultCode.WRONG_EVENTS, lambda to: to.bytes(EVENTS, lambda _: gzip.compress(b""))),
    "events that are none": (FaultCode.FILE_MALFORMED, lambda to: to.bytes(EVENTS, lambda _: gzip.compress(b"{}\n"))),
    "events not packed": (FaultCode.FILE_MALFORMED, lambda to: to.bytes(EVENTS, lambda _: b"{}\n")),
    "an event of other tokens": (FaultCode.WRONG_EVENT, lambda to: to.lines(EVENTS, other_tokens)),
    "an event of other tokens and weight": (FaultCode.RECORDS_DIFFER, lambda to: to.lines(EVENTS, other_weight_too)),
    "an entry gone": (FaultCode.WRONG_ENTRIES, lambda to: to.lines(ENTRIES, lambda entries: entries[1:])),
    "an entry of another amount": (
        FaultCode.WRONG_ENTRIES,
        lambda to: to.lines(ENTRIES, lambda entries: set_(entries, 0, "micros", to=1)),
    ),
    "an entry for something else": (FaultCode.WRONG_POSTINGS, lambda to: to.lines(ENTRIES, for_something_else)),
    "another hold": (FaultCode.CORE_DIFFERS, lambda to: to.json(ACCOUNT, lambda v: v.update(held_micros=1))),
    "another place in the chain": (FaultCode.CORE_DIFFERS, lambda to: to.json(ACCOUNT, lambda v: v.update(sequence=7))),
    "another seed": (FaultCode.WRONG_SEED, lambda to: to.json(ACCOUNT, lambda v: v.update(seed="00" * 32))),
    "another deadline": (
        FaultCode.CORE_DIFFERS,
        lambda to: to.manifest(lambda m: set_(m, "run", "dispute_until", to="2027-01-01T00:00:00Z")),
    ),
    "other records": (FaultCode.BAD_STATEMENT, lambda to: to.bytes(RECORDS, without_salt)),
    "truncated records": (
        FaultCode.BAD_STATEMENT,
        lambda to: to.bytes(RECORDS, lambda content: content[: content.rindex(b"\n", 0, -1) + 1]),
    ),
    "another's statement": (FaultCode.CORE_DIFFERS, others_statement),
    "a statement gone": (FaultCode.STATEMENT_MISSING, lambda to: to.remove(SIGNED)),
    "a party gone": (
        FaultCode.STATEMENT_MISSING,
        lambda to: to.manifest(lambda m: m["parties"].remove("provider-1")),
    ),
    "no keys": (FaultCode.BAD_STATEMENT, lambda to: to.json("jwks.json", lambda v: v.update(keys=[]))),
    "another checkpoint": (
        FaultCode.BAD_CHECKPOINT,
        lambda to: to.bytes("checkpoint", lambda note: note.replace(b"\n", b"0\n", 2)),
    ),
}
