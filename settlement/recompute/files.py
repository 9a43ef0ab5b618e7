"""Where the files of a bundle are: a folder, or a zip file. Both hold nothing but plain files, of bounded size."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from settlement.recompute.faults import BundleFault, FaultCode

MAX_FILES = 100_000
MAX_FILE_BYTES = 256 * 1024 * 1024  # as much as the verifier takes of a statement's records
MAX_TOTAL_BYTES = 8 * 1024 * 1024 * 1024
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
# What the standard library says of zip files that are damaged or made to deceive it.
_BROKEN = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error)


class Files(Protocol):
    """The files of a bundle by name. Raises `BundleFault` for what cannot be read."""

    def names(self) -> set[str]: ...
    def open(self, name: str) -> IO[bytes]: ...


class Folder:
    """A bundle as a folder. Links and special files in it are refused, wherever they lead."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> set[str]:
        return set(_bounded(dict(_plain_files(self._path, ""))))

    def open(self, name: str) -> IO[bytes]:
        try:
            return os.fdopen(os.open(self._path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
        except (OSError, ValueError) as error:
            raise BundleFault(FaultCode.UNREADABLE, f"{name} cannot be read: {error}") from error


class Zip:
    """A bundle as a zip file. Names that are there twice, links and what is encrypted are refused."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def names(self) -> set[str]:
        sizes: dict[str, int] = {}
        for each in self._file.infolist():
            kind = stat.S_IFMT(each.external_attr >> 16)
            if each.is_dir() and not each.file_size and kind in (0, stat.S_IFDIR):
                continue
            if each.filename in sizes or each.filename != each.orig_filename:
                raise BundleFault(
                    FaultCode.UNREADABLE, f"the zip file names {each.orig_filename} twice, or not plainly"
                )
            if kind not in (0, stat.S_IFREG) or each.flag_bits & _ENCRYPTED or each.compress_type not in _METHODS:
                raise BundleFault(
                    FaultCode.UNREADABLE, f"{each.filename} is no plain file, encrypted, or packed in another way"
                )
            sizes[each.filename] = each.file_size
        return set(_bounded(sizes))

    def open(self, name: str) -> IO[bytes]:
        with reading(name):
            return self._file.open(name)


def open_files(path: Path) -> Files:
    """The files at a path. Raises `BundleFault`."""
    try:
        if path.is_dir():
            return Folder(path)
        if not path.is_file():
            raise BundleFault(FaultCode.UNREADABLE, f"{path} is neither a folder nor a zip file")
        return Zip(zipfile.ZipFile(path))
    except _BROKEN as error:
        raise BundleFault(FaultCode.UNREADABLE, f"{path} is neither a folder nor a zip file: {error}") from error


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turns what goes wrong while a file is read into a `BundleFault`."""
    try:
        yield
    except BundleFault:
        raise
    except _BROKEN as error:
        raise BundleFault(FaultCode.UNREADABLE, f"{name} cannot be read: {error}") from error


def _plain_files(folder: Path, prefix: str) -> Iterator[tuple[str, int]]:
    """Names and sizes, one folder deep: deeper no bundle goes."""
    with reading(prefix or "the folder"), os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        name = prefix + entry.name
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            yield name, status.st_size
        elif stat.S_ISDIR(status.st_mode) and not prefix:
            yield from _plain_files(Path(entry.path), f"{name}/")
        else:
            raise BundleFault(FaultCode.UNREADABLE, f"{name} is a link, a special file or a folder in a folder")


def _bounded(sizes: Mapping[str, int]) -> Mapping[str, int]:
    if len(sizes) > MAX_FILES or sum(sizes.values()) > MAX_TOTAL_BYTES:
        raise BundleFault(
            FaultCode.TOO_LARGE, f"it holds more than {MAX_FILES} files, or more than {MAX_TOTAL_BYTES} bytes"
        )
    for name, size in sizes.items():
        if size > MAX_FILE_BYTES:
            raise BundleFault(FaultCode.TOO_LARGE, f"{name} has {size} bytes; a file has at most {MAX_FILE_BYTES}")
    return sizes
