"""Bodies with usage events: CloudEvents in JSON, one or a batch, plain or gzipped.

Here they are only received, in bounded size: events are read one by one, and a broken one must not hold up the others.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import IO, Any, NamedTuple

from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from ledger.api.errors import BodyTooLarge
from settlement.errors import MalformedGzip

BODY_BYTES_MAX = 10 * 1024 * 1024  # as it arrives, and unpacked

_GZIP = 16 + zlib.MAX_WBITS
_MEMBERS_MAX = 16  # of a gzip body; what is left is copied for each


class UsageBody(NamedTuple):
    """A body as it was sent, which a signature covers."""

    sent: bytes
    gzipped: bool

    def content(self) -> bytes:
        """What it says, unpacked. Raises what `unpack` does."""
        return unpack(self.sent) if self.gzipped else self.sent


class UsageJSONParser(BaseParser):
    """Bytes of a JSON list of events, or of one."""

    media_type = "application/json"

    def parse(  # type: ignore[override]  # the stubs know of forms and mappings only
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> UsageBody:
        """Raises `BodyTooLarge`, before anything is read if the length says so, and for any other Content-Encoding what
        DRF has for a media type that is not read."""
        request: Request = (parser_context or {})["request"]
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip"):
            raise UnsupportedMediaType(f"Content-Encoding: {encoding[:40]}")
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and int(length) > BODY_BYTES_MAX:
            raise _too_large()
        sent: bytes = stream.read(BODY_BYTES_MAX + 1)
        if len(sent) > BODY_BYTES_MAX:
            raise _too_large()
        return UsageBody(sent, gzipped=encoding == "gzip")


class CloudEventParser(UsageJSONParser):
    """One event in structured mode."""

    media_type = "application/cloudevents+json"


class CloudEventBatchParser(UsageJSONParser):
    """A list of events in batched mode."""

    media_type = "application/cloudevents-batch+json"


def unpack(sent: bytes) -> bytes:
    """What gzip (RFC 1952, one member or more) made of a body. Stops at the limit, whatever would still come.

    Raises `MalformedGzip` and `BodyTooLarge`.
    """
    content = bytearray()
    for _ in range(_MEMBERS_MAX):
        member = zlib.decompressobj(_GZIP)
        try:
            content += member.decompress(sent, BODY_BYTES_MAX + 1 - len(content))
        except zlib.error as error:
            raise MalformedGzip(f"The body is not gzip: {str(error)[:100]}.") from None
        if len(content) > BODY_BYTES_MAX:
            raise _too_large()
        if not member.eof:
            raise MalformedGzip("The gzipped body ends too early.")
        sent = member.unused_data
        if not sent:
            return bytes(content)
    raise MalformedGzip(f"The body is more than {_MEMBERS_MAX} gzip members one after another: compress it whole.")


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(
        f"A body has at most {BODY_BYTES_MAX} bytes, also when it is unpacked. Send the events in several calls.",
        maximum_bytes=BODY_BYTES_MAX,
    )
