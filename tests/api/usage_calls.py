"""Calls that report usage as meters, careless programs and attackers make them, byte by byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settlement.metering.events import AGGREGATE_TYPE, CORRECTION_TYPE, STARTED_TYPE, WATERMARK_TYPE
from settlement.metering.signatures import sign, thumbprint
from tests.integration.settlement.trading_day import START, usage

NOW = START + timedelta(minutes=1)  # when the calls arrive
AT = START + timedelta(seconds=30)
PATH = "/api/v1/usage-events"
BATCH = "application/cloudevents-batch+json"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
ANY_ROOT = "ab" * 32

Event = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A body on its way. `party` is whose key it comes with, "" for none, `scope` what that key is good for."""

    body: bytes
    party: str = "provider-1"
    scope: str = "meter"
    content_type: str = BATCH
    headers: Mapping[str, str] = field(default_factory=dict)

    def signed(self, *, by: Ed25519PrivateKey = PRIVATE, created: datetime = NOW) -> Call:
        """The same with a signature of the first provider's meter."""
        key_id = thumbprint(PUBLIC)
        made = sign(
            by, key_id=key_id, path=PATH, content_type=self.content_type, body=self.body,
            created=int(created.timestamp()),
        )  # fmt: skip
        return replace(self, headers={**self.headers, **made})


Make = Callable[[str], Call]  # from an id that no other call has


def event(id: str, *, source: str = "meter/provider-1", **envelope: Any) -> Event:
    """A good event of 100 tokens; what is None is left out."""
    whole = usage(id, 100, at=AT) | {"source": source} | envelope
    return {name: value for name, value in whole.items() if value is not None}


def data(id: str, **members: Any) -> Event:
    """The same with other data; what is None is left out."""
    good = event(id)
    good["data"] = {name: value for name, value in (good["data"] | members).items() if value is not None}
    return good


def read_as(id: str, family: str, object: Any) -> Event:
    """An event with this usage object."""
    return data(id, family=family) | {"data": data(id, family=family)["data"] | {"usage": object}}


def at(id: str, accepted_at: datetime | str, time: datetime | str | None = None) -> Event:
    """An event of that instant."""
    texts = [each if isinstance(each, str) else each.isoformat() for each in (accepted_at, time or accepted_at)]
    return data(id, accepted_at=texts[0]) | {"time": texts[1]}


def started(id: str) -> Event:
    return data(id, family=None, usage=None) | {"type": STARTED_TYPE}


def correction(id: str, of: str, *, request_id: str = "", **members: Any) -> Event:
    """Of an event, the request of which has the same id unless told otherwise."""
    said = {"supersedes": of, "why": "counted twice", "replacement": "completed", "request_id": request_id or of}
    return data(id, **said | members) | {"type": CORRECTION_TYPE}


def aggregate(id: str, **members: Any) -> Event:
    said: dict[str, Any] = {
        "contract": None, "minute": START.isoformat(), "requests": 10, "records_root": ANY_ROOT, "request_id": None,
        "accepted_at": None,
    }  # fmt: skip
    said["contract"] = event(id)["data"]["contract"]
    return data(id, **said | members) | {"type": AGGREGATE_TYPE}


def watermark(id: str, sequence: int, up_to: datetime, **members: Any) -> Event:
    contract = event(id)["data"]["contract"]
    told = {"contract": contract, "up_to": up_to.isoformat(), "sequence": sequence, "events": 0, "root": ANY_ROOT}
    return event(id) | {"type": WATERMARK_TYPE, "data": told | members}


def call(*events: Event, **more: Any) -> Call:
    """These events in one call."""
    return Call(json.dumps(events).encode(), **more)


def spelt(written: Event, found: str, instead: str) -> Call:
    """A call of one event with something in its text written otherwise."""
    text = json.dumps(written)
    assert found in text
    return Call(f"[{text.replace(found, instead, 1)}]".encode())
