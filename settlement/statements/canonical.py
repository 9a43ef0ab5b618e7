"""The one byte form of a JSON value (RFC 8785) and its digest."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from settlement.errors import InvalidStatement


def canonical_bytes(value: Any) -> bytes:
    """RFC 8785 form. Raises `InvalidStatement` for what has none, such as an integer beyond 2^53."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise InvalidStatement(f"The content has no canonical form: {error}") from error


def canonical_digest(value: Any) -> bytes:
    """SHA-256 of the canonical form."""
    return hashlib.sha256(canonical_bytes(value)).digest()
