"""Check the evidence of a signed call offline: `python -m settlement.metering.verify_call FILE`.

The file is what `GET /api/v1/usage-batches/{id}/evidence` answered. Needs the standard library and `cryptography` only.
It shows that whoever holds the private key sent exactly these bytes; whose key it is the meter's own party knows, so
compare the thumbprint that is printed, or give it with `--key`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from settlement.metering.signatures import (
    CLOCK_TOLERANCE_SECONDS,
    METHOD,
    BadSignature,
    check_content,
    is_usable_key,
    read_signature,
)

SCHEMA = "tokenbourse-signed-call/1"
FILE_MAX = 16 * 1024 * 1024  # a body of 10 MiB in base64, and room
BODY_MAX = 10 * 1024 * 1024


class Fault(Exception):
    """What is wrong with the evidence."""


class Found(NamedTuple):
    """What the evidence proves. `body` is decompressed."""

    key_id: str
    created: datetime
    meter: str
    digest: str
    body: bytes

    @property
    def events(self) -> int:
        """How many events the call has."""
        value = json.loads(self.body)
        return len(value) if isinstance(value, list) else 1


def verify_call(evidence: bytes, *, key_id: str | None = None) -> Found:
    """Check one file; `key_id` is the thumbprint that the key must have. Raises `Fault`."""
    call = _read(evidence)
    if call["schema"] != SCHEMA or call["method"] != METHOD:
        raise Fault(f"it is not a {SCHEMA} of a {METHOD}")
    body, public_key = _decoded(call["body"], "body"), _public_key(call["public_key"])
    if hashlib.sha256(body).hexdigest() != call["digest"]:
        raise Fault("digest is not the SHA-256 of the body")
    try:
        signed = read_signature(call["headers"])
        if signed is None:
            raise Fault("the headers hold no signature")
        check_content(signed, public_key, headers=call["headers"], path=call["path"], body=body)
    except BadSignature as bad:
        raise Fault(str(bad)) from None
    if key_id is not None and signed.key_id != key_id:
        raise Fault(f"it was signed with key {signed.key_id}, not with {key_id}")
    received = _instant(call["received_at"])
    created = datetime.fromtimestamp(signed.created, UTC)
    if abs(received - created) > timedelta(seconds=CLOCK_TOLERANCE_SECONDS + 1):  # it was received within a second
        raise Fault(
            f"it was signed at {created:%Y-%m-%dT%H:%M:%SZ}, which is not when it is said to have been received"
        )
    return Found(signed.key_id, created, call["meter"], call["digest"], _decompressed(body, call["headers"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if the evidence is good, 1 if it is not, 2 if it cannot be read."""
    parser = argparse.ArgumentParser(prog="verify_call", description="Check the evidence of a signed call offline.")
    parser.add_argument("file", type=Path, help="the evidence, as downloaded")
    parser.add_argument("--key", metavar="THUMBPRINT", help="the RFC 7638 thumbprint that the meter's key has")
    parser.add_argument("--body", type=Path, metavar="FILE", help="write the events there, decompressed")
    options = parser.parse_args(arguments)
    try:
        with options.file.open("rb") as file:
            evidence = file.read(FILE_MAX + 1)
        found = verify_call(evidence, key_id=options.key)
        if options.body is not None:
            options.body.write_bytes(found.body)
    except OSError as error:
        print(f"Cannot open {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except Fault as fault:
        print(_plain(f"NOT VERIFIED: {fault}"))
        return 1
    print(f"key      {found.key_id}")
    print(_plain(f"meter    {found.meter} (as the exchange names it)"))
    print(f"signed   {found.created:%Y-%m-%dT%H:%M:%SZ}")
    print(f"body     {len(found.body)} bytes, SHA-256 as sent {found.digest}")
    print(f"events   {found.events}")
    print("VERIFIED")
    return 0


def _plain(text: str) -> str:
    """Foreign text, whatever the terminal can show."""
    return text.encode("ascii", "backslashreplace").decode().replace("\x1b", "\\x1b")


def _read(evidence: bytes) -> dict[str, Any]:
    if len(evidence) > FILE_MAX:
        raise Fault(f"the file is larger than {FILE_MAX} bytes")

    def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(members)
        if len(value) != len(members):
            raise Fault("the file repeats a member name")
        return value

    try:
        call = json.loads(evidence.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise Fault("the file is not JSON in UTF-8") from None
    texts = ("schema", "meter", "received_at", "method", "path", "body", "digest", "public_key")
    if not isinstance(call, dict) or not all(isinstance(call.get(name), str) for name in texts):
        raise Fault(f"it lacks one of {', '.join(texts)}")
    headers = call.get("headers")
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise Fault("headers is not an object of texts")
    return call


def _decoded(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Fault(f"{name} is not base64") from None


def _public_key(text: str) -> bytes:
    try:
        key = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        raise Fault("public_key is not base64url") from None
    if not is_usable_key(key):
        raise Fault("public_key is not an Ed25519 public key under which a signature means something")
    return key


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Fault("received_at is not a time") from None
    if instant.tzinfo is None:
        raise Fault("received_at says no offset from UTC")
    return instant


def _decompressed(body: bytes, headers: dict[str, str]) -> bytes:
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding == "gzip":
        reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            body = reader.decompress(body, BODY_MAX + 1)
        except zlib.error:
            raise Fault("the body is not gzip") from None
        if len(body) > BODY_MAX or not reader.eof:
            raise Fault("the body is cut off or larger than calls may be")
    elif encoding != "identity":
        raise Fault("content-encoding is neither gzip nor identity")
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        raise Fault("the body is not JSON") from None
    return body


if __name__ == "__main__":
    sys.exit(main())
