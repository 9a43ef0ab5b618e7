"""Packed files of a bundle: lines in one gzip member, written so that the same lines give the same bytes. Pure."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import IO

from settlement.recompute.faults import BundleFault, FaultCode

MAX_LINE_BYTES = 64 * 1024
_CHUNK = 1 << 18
_GZIP = 16 + zlib.MAX_WBITS


def pack(lines: Iterator[bytes]) -> bytes:
    """Lines as a packed file."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as file:
        for line in lines:
            file.write(line + b"\n")
    return packed.getvalue()


def unpack(packed: IO[bytes], name: str, *, limit: int) -> Iterator[bytes]:
    """The lines of a packed file, one at a time, without their ends. Raises `BundleFault` for a line without an end or
    too long, for anything after the member, and `TOO_LARGE` beyond `limit` bytes."""
    rest, left = b"", limit
    for piece in _inflated(packed, name):
        left -= len(piece)
        if left < 0:
            raise BundleFault(FaultCode.TOO_LARGE, f"{name} unpacks to more than {limit} bytes")
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            _check_length(line, name)
            yield line
        _check_length(rest, name)
    if rest:
        raise BundleFault(FaultCode.FILE_MALFORMED, f"{name}: the last line has no end")


def _inflated(packed: IO[bytes], name: str) -> Iterator[bytes]:
    """What a single gzip member holds, in small pieces however well it was packed."""
    reader = zlib.decompressobj(_GZIP)
    try:
        while not reader.eof:
            if not (data := reader.unconsumed_tail or packed.read(_CHUNK)):
                raise BundleFault(FaultCode.FILE_MALFORMED, f"{name} ends before its packed content does")
            yield reader.decompress(data, _CHUNK)
    except zlib.error as error:
        raise BundleFault(FaultCode.FILE_MALFORMED, f"{name} cannot be unpacked: {error}") from error
    if reader.unused_data or packed.read(1):
        raise BundleFault(FaultCode.FILE_MALFORMED, f"{name} goes on after its packed content")


def _check_length(line: bytes, name: str) -> None:
    if len(line) > MAX_LINE_BYTES:
        raise BundleFault(FaultCode.FILE_MALFORMED, f"{name}: a line is longer than {MAX_LINE_BYTES} bytes")
