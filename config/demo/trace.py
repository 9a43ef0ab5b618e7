"""Usage traces: what was asked of a model, when, and how many tokens went in and out.

Two public forms are read: the Azure LLM inference trace (CSV: TIMESTAMP, ContextTokens, GeneratedTokens) and the
Mooncake trace (JSON lines, plain or gzipped: timestamp in ms, input_length, output_length, hash_ids).
A trace is read whole before anything else happens, so a broken line changes nothing.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from ledger.errors import Category, DomainError

AZURE_LOT_TOKENS = 100_000
MOONCAKE_LOT_TOKENS = 1_000_000
MOONCAKE_START = datetime(2026, 12, 1, 10, tzinfo=UTC)  # the trace counts from 0 and names no day
BLOCK_TOKENS = 512  # of a Mooncake prefix block
MAX_TOKENS = 1_000_000  # of one request; no model on the list takes more
MAX_SPAN = timedelta(days=1)

_AZURE_HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"
_AZURE_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,9}))?,(\d{1,9}),(\d{1,9})", re.ASCII)


class BrokenTraceLine(DomainError):
    """A line of the trace is not what its form says; `line` counts from 1."""

    code = "broken_trace_line"


class UnusableTrace(DomainError):
    """The file is not there, or is no trace that can be run as one day."""

    code = "unusable_trace"
    category = Category.INVALID


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a trace. `cached_tokens` are part of `input_tokens`."""

    number: int  # its place in the trace, from 1
    at: datetime
    input_tokens: int
    cached_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Trace:
    """All requests of a trace, and the lot its contracts are traded in."""

    name: str
    lot_tokens: int
    requests: tuple[Request, ...]

    def __post_init__(self) -> None:
        if not self.requests:
            raise UnusableTrace(f"{self.name} holds no request.", trace=self.name)
        times = [request.at for request in self.requests]
        if max(times) - min(times) > MAX_SPAN:
            raise UnusableTrace(f"{self.name} spans more than a day.", trace=self.name)


def read_trace(path: Path) -> Trace:
    """Read a trace by its file name's ending. Raises `BrokenTraceLine` and `UnusableTrace`."""
    try:
        if path.name.endswith(".csv"):
            return Trace(path.name, AZURE_LOT_TOKENS, tuple(_read_azure(_text_lines(path))))
        if path.name.endswith((".jsonl", ".jsonl.gz")):
            return Trace(path.name, MOONCAKE_LOT_TOKENS, tuple(_read_mooncake(_text_lines(path))))
    except OSError as error:
        raise UnusableTrace(f"{path} cannot be read: {error.strerror or error}.", trace=path.name) from error
    raise UnusableTrace(f"{path} is neither a .csv nor a .jsonl or .jsonl.gz file.", trace=path.name)


def write_azure(requests: Iterable[Request]) -> str:
    """Requests as an Azure CSV. Cached tokens have no place in it."""
    lines = (f"{each.at:%Y-%m-%d %H:%M:%S.%f}0,{each.input_tokens},{each.output_tokens}" for each in requests)
    return "\n".join([_AZURE_HEADER, *lines]) + "\n"


def _text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends. Lines that are empty at the end of the file are left out."""
    empty_from: int | None = None
    number = 0
    with _opened(path) as file:
        try:
            for number, raw in enumerate(file, start=1):
                text = raw.decode("utf-8").rstrip("\r\n")
                if not text:
                    empty_from = empty_from or number
                    continue
                if empty_from is not None:
                    raise _broken(empty_from, "it is empty")
                yield number, text.removeprefix("\ufeff") if number == 1 else text
        except UnicodeDecodeError:
            raise _broken(number, "it is not UTF-8") from None
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise _broken(number + 1, "the compressed file is damaged there") from None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as plain:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=plain) as unpacked:
                yield unpacked  # type: ignore[misc]  # reads like the binary file it is
        else:
            yield plain


def _read_azure(lines: Iterator[tuple[int, str]]) -> Iterator[Request]:
    for number, text in lines:
        if number == 1:
            if text != _AZURE_HEADER:
                raise _broken(number, f"the header must be {_AZURE_HEADER}")
            continue
        match = _AZURE_LINE.fullmatch(text)
        if match is None:
            raise _broken(number, "it is not a timestamp and two whole numbers")
        second, fraction, context, generated = match.groups()
        try:
            at = datetime.strptime(second, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            raise _broken(number, f"there is no such time as {second}") from None
        microseconds = int((fraction or "").ljust(6, "0")[:6])  # cut, so that no request moves into the next window
        yield Request(
            number=number - 1,
            at=at + timedelta(microseconds=microseconds),
            input_tokens=_count(number, "ContextTokens", int(context)),
            cached_tokens=0,
            output_tokens=_count(number, "GeneratedTokens", int(generated)),
        )


def _read_mooncake(lines: Iterator[tuple[int, str]]) -> Iterator[Request]:
    seen: set[int] = set()
    for number, text in lines:
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            raise _broken(number, "it is not JSON") from None
        if not isinstance(row, dict):
            raise _broken(number, "it is not a JSON object")
        blocks = row.get("hash_ids")
        if not isinstance(blocks, list) or not all(_is_count(block) for block in blocks):
            raise _broken(number, "hash_ids is not a list of whole numbers")
        input_tokens = _count(number, "input_length", row.get("input_length"))
        cached = BLOCK_TOKENS * sum(block in seen for block in blocks)
        seen.update(blocks)
        offset_ms = row.get("timestamp")
        if not _is_count(offset_ms) or offset_ms > MAX_SPAN // timedelta(milliseconds=1):
            raise _broken(number, "timestamp is not a number of milliseconds within a day")
        yield Request(
            number=number,
            at=MOONCAKE_START + timedelta(milliseconds=offset_ms),
            input_tokens=input_tokens,
            cached_tokens=min(cached, input_tokens),  # the last block may be shorter
            output_tokens=_count(number, "output_length", row.get("output_length")),
        )


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _count(line: int, field: str, value: Any) -> int:
    if not _is_count(value) or value > MAX_TOKENS:
        raise _broken(line, f"{field} is not a whole number from 0 to {MAX_TOKENS}")
    return int(value)


def _broken(line: int, what: str) -> BrokenTraceLine:
    return BrokenTraceLine(f"Line {line} of the trace is broken: {what}.", line=line)
