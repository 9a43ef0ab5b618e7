"""Reading usage events: CloudEvents 1.0 in JSON, strictly, one at a time. Pure.

An event names its meter (`source`), its identity there (`id`), and in `data` the contract, both parties, the request
and when the provider accepted it, with the provider's own usage object. What is wrong with an event never concerns
the others of its batch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from settlement.metering.reconcile import RefusalReason

COMPLETED_TYPE = "tokenbourse.usage.completed.v1"
REFUSED_TYPE = "tokenbourse.usage.refused.v1"
MAX_EVENT_BYTES = 16_384
MAX_ID_LENGTH = 120
MAX_FAMILY_LENGTH = 32
# A retry may come with other tracing headers; these alone make an event the same.
_CONTENT = ("type", "source", "id", "time", "subject", "data")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# PostgreSQL's jsonb has no NUL: an escaped one, but not an escaped backslash before "u0000".
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class EventKind(StrEnum):
    COMPLETED = "completed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class UsageReport:
    """A well-formed event. `usage` is the provider's raw object, still to be judged; `refusal` only when refused."""

    kind: EventKind
    meter: str
    event_id: str
    contract: str
    buyer: str
    provider: str
    request_id: str
    accepted_at: datetime
    family: str
    usage: Any
    refusal: RefusalReason | None
    retry_of: str | None
    content_hash: bytes


class BadEvent(Exception):
    """The event cannot be read. `code` is stable; the message says what is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def parse_event(event: object) -> UsageReport:
    """Read one event, or raise `BadEvent`."""
    if not isinstance(event, Mapping):
        raise _invalid("The event is not an object.")
    content_hash = _content_hash(event)
    if event.get("specversion") != "1.0":
        raise _invalid("specversion must be 1.0.")
    kind = _kind(event.get("type"))
    _time(event, "time")
    data = event.get("data")
    if not isinstance(data, Mapping):
        raise _invalid("data is not an object.")
    return UsageReport(
        kind=kind,
        meter=_text(event, "source"),
        event_id=_text(event, "id"),
        contract=_text(data, "contract"),
        buyer=_text(data, "buyer"),
        provider=_text(data, "provider"),
        request_id=_text(data, "request_id"),
        accepted_at=_time(data, "accepted_at"),
        family=_text(data, "family", longest=MAX_FAMILY_LENGTH),
        usage=data.get("usage"),
        refusal=_refusal(data) if kind is EventKind.REFUSED else None,
        retry_of=None if data.get("retry_of") is None else _text(data, "retry_of"),
        content_hash=content_hash,
    )


def event_id_of(event: object) -> str:
    """The id an event claims, for naming it in an answer; empty when it has none that could be told back."""
    claimed = event.get("id") if isinstance(event, Mapping) else None
    if not isinstance(claimed, str) or _CONTROL.search(claimed):
        return ""
    return claimed[:MAX_ID_LENGTH].encode("utf-8", "replace").decode()


def event_content(event: Mapping[str, Any]) -> dict[str, Any]:
    """The members that make the event what it is."""
    return {name: event[name] for name in _CONTENT if name in event}


def _content_hash(event: Mapping[str, Any]) -> bytes:
    """SHA-256 over the event's content; also finds what no database column could keep."""
    try:
        text = json.dumps(
            event_content(event), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
        )
        data = text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise _invalid("The event holds what JSON cannot: a number out of range or half a character.") from error
    if len(data) > MAX_EVENT_BYTES:
        raise BadEvent("event_too_large", f"An event has at most {MAX_EVENT_BYTES} bytes, not {len(data)}.")
    if _ESCAPED_NUL.search(text):
        raise _invalid("The event holds a NUL character.")
    return hashlib.sha256(data).digest()


def _kind(event_type: object) -> EventKind:
    if event_type == COMPLETED_TYPE:
        return EventKind.COMPLETED
    if event_type == REFUSED_TYPE:
        return EventKind.REFUSED
    raise _invalid(f"type must be {COMPLETED_TYPE} or {REFUSED_TYPE}.")


def _refusal(data: Mapping[str, Any]) -> RefusalReason:
    try:
        return RefusalReason(_text(data, "reason"))
    except ValueError:
        raise _invalid(f"reason must be one of {', '.join(RefusalReason)}.") from None


def _text(value: Mapping[str, Any], name: str, *, longest: int = MAX_ID_LENGTH) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not 1 <= len(text) <= longest or _CONTROL.search(text):
        raise _invalid(f"{name} must be a string of 1 to {longest} characters, none of them a control character.")
    return text


def _time(value: Mapping[str, Any], name: str) -> datetime:
    """An RFC 3339 time with its offset, in UTC."""
    text = _text(value, name, longest=40)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("no offset")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _invalid(f"{name} must be a time with its offset, such as 2026-12-01T14:00:00Z.") from None


def _invalid(message: str) -> BadEvent:
    return BadEvent("invalid_event", message)
