"""Bundles that somebody tampered with, in every way that a recomputation has a reason for."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from settlement.recompute.files import MAX_FILE_BYTES
from settlement.recompute.manifest import MANIFEST

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

    def post(self, party: str, **entry: Any) -> None:
        """One more entry on a party's account, whose balances are made to fit."""
        balances = json.loads((self.path / f"accounts/{party}.json").read_bytes())
        new = {"seq": balances["closing_seq"] + 1, "source": "settlement", "kind": "adjustment"} | entry
        self.lines(f"accounts/{party}.jsonl.gz", lambda entries: [*entries, new])
        closing = {"closing_seq": new["seq"], "closing_micros": balances["closing_micros"] + new["micros"]}
        self.json(f"accounts/{party}.json", lambda value: value | closing)

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


def owing(to: Tampered) -> dict[str, Any]:
    """The entry that says what model-lab could not pay."""
    lines = gzip.decompress((to.path / "accounts/model-lab.jsonl.gz").read_bytes()).splitlines()
    found: dict[str, Any] = next(entry for entry in map(json.loads, lines) if entry["ref"] == "debt")
    return found


def owes_more(entries: list[Any]) -> None:
    """And had a deposit less, so that the balances fit."""
    next(entry for entry in entries if entry["ref"] == "debt")["micros"] += 90
    entries[0]["micros"] -= 90


def event(**changes: Any) -> Change:
    """One of a completed request is changed."""

    def change(events: list[Any]) -> None:
        next(event for event in events if event["kind"] == "completed").update(changes)

    return change


def unsaid(events: list[Any]) -> None:
    """Without their words, of which everything else follows, and under other names."""
    for each in events:
        each.pop("said", None)
        each["request_id"] = f"other-{each['request_id']}"


def other_weight_unsaid(events: list[Any]) -> None:
    other_weight_too(events)
    unsaid(events)


def of_nobody(to: Tampered) -> None:
    (to.path / "inputs/0002.json").touch()
    to.bytes("inputs/0002.json", lambda _: b"{}")


def linked(to: Tampered) -> None:
    elsewhere = to.path.with_name("elsewhere")
    (to.path / RECORDS).rename(elsewhere)
    (to.path / RECORDS).symlink_to(elsewhere)


def doubled_member(to: Tampered) -> None:
    manifest = (to.path / MANIFEST).read_text()
    (to.path / MANIFEST).write_text(manifest.replace("{", '{"contracts": ["X"],', 1))


def without_statements(to: Tampered) -> None:
    """A run that claims to state nothing to anybody."""

    def emptied(manifest: Any) -> None:
        manifest["parties"] = []
        manifest["run"]["kind"] = "indicative"
        for name in [name for name in manifest["files"] if name.startswith(("statements", "accounts", "proofs"))]:
            del manifest["files"][name]
            (to.path / name).unlink()

    to.manifest(emptied)


def enlarge(to: Tampered) -> None:
    """A file with a hole in it, that takes no room on disk."""
    with (to.path / SIGNED).open("r+b") as file:
        file.truncate(MAX_FILE_BYTES + 1)


def paid_before(value: Any) -> None:
    """More than was."""
    earlier = value["positions"][0]["earlier"]
    earlier["pay"]["gross_micros"] = str(int(earlier["pay"]["gross_micros"]) + 100_000)


RUN = "20261201T1400Z/60/final"


def without_salt(records: bytes) -> bytes:
    first, rest = records.split(b"\n", 1)
    record = json.loads(first)
    record["body"]["amount"] = "9" + record["body"]["amount"]
    return json.dumps(record, separators=(",", ":"), sort_keys=True).encode() + b"\n" + rest


def others_statement(to: Tampered) -> None:
    for name in (SIGNED, RECORDS):
        content = (to.path / name.replace("provider-1", "provider-2")).read_bytes()
        to.bytes(name, lambda _, content=content: content)  # type: ignore[misc]  # bound now
