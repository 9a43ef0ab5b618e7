"""Usage events in a bundle: one JSON object a line, by the codes of buyer and provider, then by content hash. Pure.

An event is here as settlement reads it, and if they could be had in the words of its meter: `said` is the text that
`hash` is the SHA-256 of, and everything that settlement reads of it but when it arrived, and in which call, follows
from that. The digest over the hashes of a pair is frozen. `meter` is a number of the manifest's. A member that is not
there is what most events have: no refusal, one request, not signed, not a correction.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.events import MAX_REQUESTS, Milliseconds, Name
from settlement.metering.records import NO_TOKENS, RefusalReason, Side
from settlement.recompute.manifest import Count, Digest, Instant

EventKind = Literal["started", "completed", "refused", "void", "aggregate"]
Tokens = Annotated[tuple[Count, ...], Meta(min_length=len(SETTLED_BUCKETS), max_length=len(SETTLED_BUCKETS))]


class BundledEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, forbid_unknown_fields=True):
    """One event; `tokens` by bucket in the order of `SETTLED_BUCKETS`. `adapter` is the version of what read its usage,
    0 if it has none."""

    buyer: str
    provider: str
    hash: Digest
    kind: EventKind
    side: Side
    meter: int
    request_id: Annotated[str, Meta(max_length=200)]
    accepted_at: Instant
    received_at: Instant
    tokens: Tokens = NO_TOKENS
    millitokens: Count = 0
    refusal: RefusalReason | None = None
    retry_of: Name | None = None
    requests: Annotated[int, Meta(ge=1, le=MAX_REQUESTS)] = 1
    ttft_ms: Milliseconds | None = None
    output_ms: Milliseconds | None = None
    signed: bool = False
    supersedes: bool = False
    adapter: Count = 0
    said: str = ""


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(BundledEvent)


def event_line(event: BundledEvent) -> bytes:
    """An event as a line of its file, without the end of the line."""
    return _encoder.encode(event)


def read_event(line: bytes) -> BundledEvent:
    """The inverse of `event_line`. Raises `msgspec.MsgspecError` or `UnicodeDecodeError`."""
    return _decoder.decode(line)
