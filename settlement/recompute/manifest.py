"""The manifest of a bundle: what the run was, and the SHA-256 of every other file. Pure."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from settlement.metering.records import Side
from settlement.recompute.faults import BundleFault, FaultCode

SCHEMA = "tokenbourse-bundle/1"
MANIFEST = "manifest.json"
CHECKPOINT, JWKS = "checkpoint", "jwks.json"
INDICATIVE, INITIAL, DISPUTED_FINAL = "indicative", "initial", "disputed_final"

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}\\Z")]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?\Z")]
Code = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=80)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Instant = Annotated[datetime, Meta(tz=True)]


class Period(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run covers: contracts whose delivery ended after `start` and not after `end`."""

    start: Instant
    end: Instant


class ManifestRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run, as far as its inputs do not say it."""

    key: str
    kind: Literal["indicative", "initial", "final", "true_up", "disputed_final"]
    sequence: Count
    currency: str
    minor_unit: Annotated[int, Meta(ge=0, le=6)]
    period: Period
    input_digest: Digest
    rules_version: str
    code_version: str
    product: str | None = None
    usage_through: Count | None = None
    value_date: date | None = None
    dispute_until: Instant | None = None
    previous_run: str | None = None
    contact: str = ""
    key_set: str = ""

    @property
    def posts(self) -> bool:
        return self.kind != INDICATIVE

    @property
    def follows(self) -> bool:
        """Whether runs like this one change what an earlier one posted."""
        return self.kind not in (INDICATIVE, INITIAL)


class ManifestMeter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A meter: its code, the side that it reports for, and whose it is."""

    code: str
    side: Side
    party: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`meters` by the number that tells them apart in events, `contracts` by symbol in the run's order, `parties` by
    code, `files` their digests by name."""

    schema: str
    run: ManifestRun
    contracts: Annotated[list[str], Meta(min_length=1)]
    parties: Annotated[list[Code], Meta(min_length=1)]
    meters: dict[int, ManifestMeter]
    files: dict[Name, Digest]


def read_manifest(content: bytes) -> Manifest:
    """The manifest of a bundle that says something. Raises `BundleFault`."""
    value = parse(content, MANIFEST)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise BundleFault(FaultCode.WRONG_SCHEMA, f"the manifest is not of the form {SCHEMA}")
    try:
        manifest = msgspec.convert(value, Manifest, strict=True, str_keys=True)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BundleFault(FaultCode.WRONG_SCHEMA, f"the manifest: {error}") from error
    for what, names in (("contract", manifest.contracts), ("party", manifest.parties)):
        if len(set(names)) < len(names):
            raise BundleFault(FaultCode.WRONG_SCHEMA, f"the manifest names a {what} twice")
    return manifest


def parse(content: bytes, name: str) -> Any:
    """JSON of a file; no object names a member twice. Raises `BundleFault`."""
    try:
        return json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BundleFault(FaultCode.FILE_MALFORMED, f"{name} is not JSON: {error}") from error


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) < len(members):
        raise ValueError("an object names a member twice")
    return value


def expected_files(manifest: Manifest) -> set[str]:
    """What the files of a bundle may be called, besides its manifest."""
    names = {JWKS, CHECKPOINT}
    for place, _ in enumerate(manifest.contracts, start=1):
        names |= {input_file(place), events_file(place)}
    for party in manifest.parties:
        names |= {f"accounts/{party}.json", f"accounts/{party}.jsonl.gz", proof_file(party)}
        names |= {f"statements/{party}.jws.json", f"statements/{party}.records.jsonl"}
    return names


def input_file(place: int) -> str:
    """Of the contract at a place of the run, from 1."""
    return f"inputs/{place:04d}.json"


def events_file(place: int) -> str:
    """Of the contract at a place of the run, from 1."""
    return f"events/{place:04d}.jsonl.gz"


def proof_file(party: str) -> str:
    """Of the proof that a party's statement is in the log."""
    return f"proofs/{party}.json"
