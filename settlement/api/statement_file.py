"""A statement's file as the interface hands it out: the very bytes that were signed, and what they say."""

from __future__ import annotations

import base64
import json
from typing import Any

from ledger.api.files import FileRenderer

FILE_TYPE = "application/jose+json"


def signed_payload(jws: str) -> dict[str, Any]:
    """The payload of a statement file. Verifies nothing."""
    payload: str = json.loads(jws)["payload"]
    value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return value


class StatementFileRenderer(FileRenderer):
    """A statement's file."""

    media_type = FILE_TYPE
    format = "jose"
