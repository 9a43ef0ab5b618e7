"""What a statement file says, as one shape whichever form of statement it is. Pure; judges nothing, `verify` does.

Statements of the second form (`tokenbourse-statement/2`) have a core and, in a file of their own, records. Those of the
first have lines, meters' figures and shares inside their core: here they read as if they had records too.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from settlement.errors import InvalidStatement
from settlement.statements.canonical import canonical_digest

FIRST_SCHEMA = "tokenbourse-statement/1"
LINE, METERING, SPLIT = "line", "metering", "split"
_KINDS = ((LINE, "lines"), (METERING, "metering"), (SPLIT, "splits"))


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed; an auditor's signature has an opinion."""

    kid: str
    opinion: str = ""


@dataclass(frozen=True, slots=True)
class StatementContent:
    """A statement's file, opened. `core` has the members of the second form, whatever the file has.

    `inside` are the records of a statement of the first form; None where they are in a file of their own.
    """

    core: Mapping[str, Any]
    core_digest: str
    annex: Mapping[str, Any]
    signatures: Sequence[Signature]
    inside: Sequence[Mapping[str, Any]] | None

    @property
    def counts(self) -> Mapping[str, int]:
        """How many records there are of each kind: `lines`, `metering`, `splits`."""
        records = self.core["records"]
        return {name: int(records[name]) for _, name in _KINDS}


def open_statement(file: str) -> StatementContent:
    """Read a statement's file. Raises `InvalidStatement` if it says nothing intelligible."""
    try:
        envelope = json.loads(file)
        payload = json.loads(_decoded(envelope["payload"]))
        headers = [json.loads(_decoded(each["protected"])) for each in envelope["signatures"]]
        core = payload["core"]
        inside = None
        if payload["schema"] == FIRST_SCHEMA:
            inside = list(_records_inside(core))
            core = _as_second_form(core) | {"core_digest": payload["core_digest"]}
        return StatementContent(
            core=core,
            core_digest=payload["core_digest"],
            annex=payload["annex"],
            signatures=[Signature(header["kid"], header.get("opinion", "")) for header in headers],
            inside=inside,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidStatement("The file is not a statement.") from error


def signed_payload(file: str) -> dict[str, Any]:
    """The payload of a statement's file as it was signed. Raises `InvalidStatement` if it has none."""
    try:
        payload: dict[str, Any] = json.loads(_decoded(json.loads(file)["payload"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidStatement("The file is not a statement.") from error
    return payload


def stated_digest(core: Mapping[str, Any]) -> str:
    """The digest of the signed core, in hexadecimal. A core of the first form, told as the second, carries it along."""
    return str(core["core_digest"]) if "core_digest" in core else canonical_digest(core).hex()


def parse_records(lines: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    """Records from their lines."""
    decode = msgspec.json.Decoder().decode
    for line in lines:
        yield decode(line)


def _records_inside(core: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    number = 0
    for kind, name in _KINDS:
        for body in core[name]:
            number += 1
            yield {"record": kind, "number": number, "body": _body(kind, body)}


def _body(kind: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    if kind != LINE:
        return body
    line = {name: value for name, value in body.items() if name != "number"}
    if "journal" in line:  # its reference ends with the name of the posting
        line["journal"] = {**line["journal"], "ref": str(line["journal"]["reference"]).rpartition("/")[2]}
    return line


def _as_second_form(core: Mapping[str, Any]) -> dict[str, Any]:
    counts = {name: len(core[name]) for _, name in _KINDS}
    kept = {name: value for name, value in core.items() if name not in ("lines", "metering", "splits")}
    records = {"count": sum(counts.values()), **counts, "root": core["lines_root"]}
    return {**kept, "records": records, "notice": {"text": core["notice"]}}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
