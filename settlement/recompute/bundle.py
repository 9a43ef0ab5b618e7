"""A bundle: all that a settlement run was computed from and what it stated, in a folder or a zip file. Pure but for
reading it.

    manifest.json                       what the run was, and the SHA-256 of every other file (`manifest`)
    inputs/NNNN.json                    what a contract was settled from (`settlement.runs.frozen`), byte for byte
    events/NNNN.jsonl.gz                the usage events of that contract (`settlement.recompute.events`)
    accounts/PARTY.json, .jsonl.gz      the party's balances, and the entries between them
    statements/PARTY.jws.json, .records.jsonl
    proofs/PARTY.json                   that the statement is in the ledger's log, as of the export
    jwks.json, checkpoint               the exchange's public keys, a signed checkpoint of its ledger

A file is looked at only after its digest was found to be the manifest's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from settlement.recompute import files as places
from settlement.recompute.faults import BundleFault, Check, FaultCode
from settlement.recompute.files import Files, reading
from settlement.recompute.manifest import MANIFEST, Manifest, ManifestRun, expected_files, read_manifest
from settlement.recompute.packed import unpack

MAX_MANIFEST_BYTES = 64 * 1024 * 1024
MAX_UNPACKED_BYTES = 4 * 1024 * 1024 * 1024  # of one packed file
MAX_UNPACKED_TOTAL = 32 * 1024 * 1024 * 1024
_CHUNK = 1 << 20


@dataclass(slots=True)
class Bundle:
    """A bundle whose files are those of its manifest."""

    files: Files
    manifest: Manifest
    _unpacked: int = field(default=0, init=False)

    @property
    def run(self) -> ManifestRun:
        return self.manifest.run

    def __contains__(self, name: str) -> bool:
        return name in self.manifest.files

    def read(self, name: str) -> bytes:
        """A whole file. Raises `BundleFault` if the manifest does not name it."""
        self._require(name)
        with reading(name), self.files.open(name) as file:
            return file.read(places.MAX_FILE_BYTES)

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a packed file, one at a time. Raises `BundleFault`."""
        self._require(name)
        with reading(name), self.files.open(name) as packed:
            for line in unpack(packed, name, limit=MAX_UNPACKED_BYTES):
                self._unpacked += len(line)
                if self._unpacked > MAX_UNPACKED_TOTAL:
                    raise BundleFault(FaultCode.TOO_LARGE, f"all unpacks to more than {MAX_UNPACKED_TOTAL} bytes")
                yield line

    def unused(self) -> Iterator[Check]:
        """The files that belong to nothing that the manifest names."""
        for name in sorted(self.manifest.files.keys() - expected_files(self.manifest)):
            yield Check(name, FaultCode.FILE_UNLISTED, "belongs to no contract and no party of the manifest")

    def _require(self, name: str) -> None:
        if name not in self:
            raise BundleFault(FaultCode.FILE_MISSING, f"the manifest has no {name}")


def open_files(path: Path) -> Files:
    """The files at a path. Raises `BundleFault`."""
    return places.open_files(path)


def open_bundle(files: Files) -> Bundle:
    """Read the manifest and hold every file against it. Raises `BundleFault`."""
    names = files.names()
    if MANIFEST not in names:
        raise BundleFault(FaultCode.UNREADABLE, f"there is no {MANIFEST}")
    with reading(MANIFEST), files.open(MANIFEST) as file:
        content = file.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise BundleFault(FaultCode.TOO_LARGE, f"{MANIFEST} has more than {MAX_MANIFEST_BYTES} bytes")
    manifest = read_manifest(content)
    listed = manifest.files
    for name in sorted(listed.keys() - names):
        raise BundleFault(FaultCode.FILE_MISSING, f"{name} is named by the manifest and not there")
    for name in sorted(names - listed.keys() - {MANIFEST}):
        raise BundleFault(FaultCode.FILE_UNLISTED, f"{name} is there and not named by the manifest")
    for name, digest in sorted(listed.items()):
        if _digest(files, name) != digest:
            raise BundleFault(FaultCode.FILE_CHANGED, f"{name} is not the file that the manifest has the digest of")
    return Bundle(files, manifest)


def _digest(files: Files, name: str) -> str:
    digest = hashlib.sha256()
    with reading(name), files.open(name) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
