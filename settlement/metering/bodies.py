"""Splitting a call's body into its events, without looking into them. Pure."""

from __future__ import annotations

import json
import re

import msgspec
from msgspec import Raw

from ledger.api.errors import InvalidRequest, MalformedJson, NestedTooDeep
from settlement.errors import BatchTooLarge

MAX_BATCH = 10_000
# A body with more commas is split where it can be left off early: each could be an event to keep track of.
_MANY_COMMAS = 500_000
_WHITE = " \t\n\r"
_SPACE = re.compile(f"[{_WHITE}]*")

_list = msgspec.json.Decoder(list[Raw])
_one = msgspec.json.Decoder(Raw)
_lenient = json.JSONDecoder(parse_int=len, parse_float=len, object_pairs_hook=len)  # keeps as little as it can


def split_body(body: bytes) -> list[bytes]:
    """The bytes of each event: those of a list, or the one that the body is. Whether they are events is another matter.

    Raises `MalformedJson`, `NestedTooDeep` if a list cannot even be split, `BatchTooLarge`, and `InvalidRequest` for an
    empty list and for what is neither list nor object.
    """
    try:
        events = _split(body)
    except RecursionError:
        raise NestedTooDeep("The body nests too deep to be read.") from None
    if len(events) > MAX_BATCH:
        raise BatchTooLarge(f"At most {MAX_BATCH} events a call.", maximum=str(MAX_BATCH))
    if not events:
        raise InvalidRequest(f"Send one event, or a list of 1 to {MAX_BATCH} events.", errors=[])
    return events


def _split(body: bytes) -> list[bytes]:
    is_list = body.lstrip(_WHITE.encode())[:1] == b"["
    if is_list and body.count(b",") > _MANY_COMMAS:
        return _split_carefully(body)
    try:
        if is_list:
            return [bytes(event) for event in _list.decode(body)]
        one = bytes(_one.decode(body))
    except msgspec.MsgspecError:
        # Half a character or a number that JSON does not have concern the event they are in, and here they stop all.
        return _split_carefully(body)
    return [one] if one[:1] == b"{" else []


def _split_carefully(body: bytes) -> list[bytes]:
    """The same with the standard library's reader, which takes more than JSON; one event more than may be is enough."""
    text = body.decode(errors="surrogateescape")  # so that what is not UTF-8 stays, and concerns its event
    try:
        start = _after_space(text, 0)
        if text[start : start + 1] == "[":
            return _elements(text, start + 1)
        _lenient.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedJson(f"The body is not JSON: {error.msg}.", line=error.lineno, column=error.colno) from None
    return [body] if text[start] == "{" else []


def _elements(text: str, start: int) -> list[bytes]:
    events: list[bytes] = []
    at = _after_space(text, start)
    if text[at : at + 1] == "]":
        _end(text, at + 1)
        return events
    while len(events) <= MAX_BATCH:
        _, end = _lenient.raw_decode(text, at)
        events.append(text[at:end].encode(errors="surrogateescape"))
        at = _after_space(text, end)
        if text[at : at + 1] == "]":
            _end(text, at + 1)
            break
        if text[at : at + 1] != ",":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        at = _after_space(text, at + 1)
    return events


def _end(text: str, at: int) -> None:
    if _after_space(text, at) != len(text):
        raise json.JSONDecodeError("Extra data", text, at)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()
