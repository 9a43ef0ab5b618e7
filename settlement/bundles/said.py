"""The words of an event, put together again from what was stored of it.

Intake keeps what it read of an event and the hash over all it said, not its text. In what is stored nothing is lost but
how the meter wrote its times, and a subject; of the usual ways to write them the hash tells which it was. A text that
does not come to the hash is never told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from settlement.metering.events import (
    AGGREGATE_TYPE,
    COMPLETED_TYPE,
    CORRECTION_TYPE,
    REFUSED_TYPE,
    STARTED_TYPE,
)

_TYPES = {
    "started": STARTED_TYPE,
    "completed": COMPLETED_TYPE,
    "refused": REFUSED_TYPE,
    "aggregate": AGGREGATE_TYPE,
}
_canonical = msgspec.json.Encoder(order="deterministic")
Way = tuple[Callable[[datetime], str], str]  # how times are written, and which member the subject repeats, if any


def _offset(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _zulu(at: datetime) -> str:
    return _offset(at).replace("+00:00", "Z")


def _millis(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _micros(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_WAYS: tuple[Way, ...] = tuple(
    (written, subject) for subject in ("", "request_id", "event_id") for written in (_zulu, _offset, _millis, _micros)
)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """What is stored of an event, by the names of its columns; parties, contract and meter by their codes."""

    contract: str
    buyer: str
    provider: str
    source: str
    kind: str
    event_id: str
    event_time: datetime
    accepted_at: datetime
    request_id: str
    family: str
    raw: bytes | None
    retry_of: str | None
    refusal: str | None
    requests: int
    records_root: bytes | None
    supersedes: str | None
    why: str | None
    ttft_ms: int | None
    output_ms: int | None


class Words:
    """Finds the words of events, and remembers how each meter writes."""

    def __init__(self) -> None:
        self._known: dict[str, Way] = {}

    def find(self, event: StoredEvent, content_hash: str) -> str:
        """The text whose SHA-256 is `content_hash`, empty if the meter wrote in no usual way."""
        data = _data(event)
        for way in self._ways(event.source):
            written, subject = way
            text = _canonical.encode(_content(event, data, written, subject))
            if hashlib.sha256(text).hexdigest() == content_hash:
                self._known[event.source] = way
                return text.decode()
        return ""

    def _ways(self, source: str) -> Iterator[Way]:
        """The one that the meter used last, then all others."""
        known = self._known.get(source)
        if known is not None:
            yield known
        yield from (way for way in _WAYS if way != known)


def _content(
    event: StoredEvent, data: Mapping[str, Any], written: Callable[[datetime], str], subject: str
) -> dict[str, Any]:
    moment = "minute" if event.kind == "aggregate" else "accepted_at"
    content = {
        "type": CORRECTION_TYPE if event.supersedes is not None else _TYPES[event.kind],
        "source": event.source,
        "id": event.event_id,
        "time": written(event.event_time),
        "data": {**data, moment: written(event.accepted_at)},
    }
    return content | {"subject": getattr(event, subject)} if subject else content


def _data(event: StoredEvent) -> dict[str, Any]:
    """What an event says beside its time. What a meter leaves out is not there, rather than null."""
    aggregate = event.kind == "aggregate"
    known = {
        "contract": event.contract,
        "buyer": event.buyer,
        "provider": event.provider,
        "request_id": None if aggregate else event.request_id,
        "family": event.family or None,
        "usage": None if event.raw is None else msgspec.json.decode(event.raw),
        "retry_of": event.retry_of,
        "reason": event.refusal,
        "requests": event.requests if aggregate else None,
        "records_root": None if event.records_root is None else event.records_root.hex(),
        "supersedes": event.supersedes,
        "why": event.why,
        "replacement": None if event.supersedes is None else event.kind,
        "ttft_ms": event.ttft_ms,
        "output_ms": event.output_ms,
    }
    return {name: value for name, value in known.items() if value is not None}
