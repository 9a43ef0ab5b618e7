"""A bundle: all that a settlement run was computed from and what it stated, in a folder or a zip file. Pure but for
reading it.

    manifest.json                       what the run was, and the SHA-256 of every other file
    inputs/NNNN.json                    what a contract was settled from (`settlement.runs.frozen`), byte for byte
    events/NNNN.jsonl.gz                the usage events of that contract (`settlement.recompute.events`)
    accounts/PARTY.json, .jsonl.gz      the party's balances, and the entries between them
    statements/PARTY.jws.json, .records.jsonl
    jwks.json, checkpoint               the exchange's public keys, a signed checkpoint of its ledger

A file is looked at only after its digest was found to be the manifest's.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from settlement.recompute.faults import BundleFault, FaultCode

SCHEMA = "tokenbourse-bundle/1"
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
MAX_LINE_BYTES = 64 * 1024
_CHUNK = 1 << 20
_MEMBERS = {"schema": str, "run": dict, "contracts": list, "parties": list, "files": dict}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?", re.ASCII)


class Files(Protocol):
    """Where the files of a bundle are."""

    def names(self) -> set[str]: ...
    def open(self, name: str) -> IO[bytes]: ...


class Folder:
    """A bundle as a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> set[str]:
        return {file.relative_to(self._path).as_posix() for file in self._path.rglob("*") if file.is_file()}

    def open(self, name: str) -> IO[bytes]:
        return (self._path / name).open("rb")


class Zip:
    """A bundle as a zip file."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def names(self) -> set[str]:
        return {each.filename for each in self._file.infolist() if not each.is_dir()}

    def open(self, name: str) -> IO[bytes]:
        return self._file.open(name)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose files are those of its manifest. `contracts` and `parties` as the manifest lists them."""

    files: Files
    manifest: Mapping[str, Any]

    @property
    def run(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.manifest["run"]
        return found

    def read(self, name: str) -> bytes:
        """A whole file. Raises `BundleFault` if the manifest does not name it."""
        with self._open(name) as file:
            return file.read()

    def json(self, name: str) -> Any:
        """A file of JSON."""
        return parse(self.read(name), name)

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a packed file, one at a time."""
        try:
            with self._open(name) as packed, gzip.open(packed) as file:
                while line := file.readline(MAX_LINE_BYTES):
                    if not line.endswith(b"\n"):
                        raise BundleFault(FaultCode.FILE_MALFORMED, f"{name}: a line has no end, or is too long")
                    yield line[:-1]
        except (OSError, EOFError) as error:
            raise BundleFault(FaultCode.FILE_MALFORMED, f"{name}: {error}") from error

    def _open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        if name not in self.manifest["files"]:
            raise BundleFault(FaultCode.FILE_MISSING, f"the manifest has no {name}")
        return closing(self.files.open(name))


def open_files(path: Path) -> Files:
    """The files at a path. Raises `BundleFault`."""
    try:
        if path.is_dir():
            return Folder(path)
        return Zip(zipfile.ZipFile(path))
    except (OSError, zipfile.BadZipFile) as error:
        raise BundleFault(FaultCode.UNREADABLE, f"{path} is neither a folder nor a zip file: {error}") from error


def open_bundle(files: Files) -> Bundle:
    """Read the manifest and hold every file against it. Raises `BundleFault`."""
    names = files.names()
    if MANIFEST not in names:
        raise BundleFault(FaultCode.UNREADABLE, f"there is no {MANIFEST}")
    with closing(files.open(MANIFEST)) as file:
        manifest = parse(file.read(MAX_MANIFEST_BYTES), MANIFEST)
    _check_form(manifest)
    listed: Mapping[str, Any] = manifest["files"]
    for name in sorted(listed.keys() - names):
        raise BundleFault(FaultCode.FILE_MISSING, f"{name} is named by the manifest and not there")
    for name in sorted(names - listed.keys() - {MANIFEST}):
        raise BundleFault(FaultCode.FILE_UNLISTED, f"{name} is there and not named by the manifest")
    for name, digest in sorted(listed.items()):
        if _digest(files, name) != digest:
            raise BundleFault(FaultCode.FILE_CHANGED, f"{name} is not the file that the manifest has the digest of")
    return Bundle(files, manifest)


def parse(content: bytes, name: str) -> Any:
    """JSON of a file. Raises `BundleFault`."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleFault(FaultCode.FILE_MALFORMED, f"{name} is not JSON: {error}") from error


def _check_form(manifest: Any) -> None:
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise BundleFault(FaultCode.WRONG_SCHEMA, f"the manifest is not of the form {SCHEMA}")
    for name, kind in _MEMBERS.items():
        if not isinstance(manifest.get(name), kind):
            raise BundleFault(FaultCode.WRONG_SCHEMA, f"the manifest has no {name}")
    for name in manifest["files"]:
        if not _NAME.fullmatch(name):
            raise BundleFault(FaultCode.WRONG_SCHEMA, f"{name!r} is no name of a file in a bundle")


def _digest(files: Files, name: str) -> str:
    digest = hashlib.sha256()
    try:
        with closing(files.open(name)) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except (OSError, zipfile.BadZipFile) as error:
        raise BundleFault(FaultCode.FILE_CHANGED, f"{name} cannot be read: {error}") from error
    return digest.hexdigest()


def pack(lines: Iterator[bytes]) -> bytes:
    """Lines as a packed file: the same lines give the same bytes."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as file:
        for line in lines:
            file.write(line + b"\n")
    return packed.getvalue()
