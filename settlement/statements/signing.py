"""Signing statements: JWS in General JSON form, `alg` Ed25519 (RFC 9864), several signatures on one payload."""

from __future__ import annotations

import base64
import calendar
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.keys.signers import LocalSigner, thumbprint
from ledger.keys.signers import Signer as KeySigner
from settlement.errors import InvalidStatement
from settlement.statements.canonical import canonical_bytes

ALGORITHM = "Ed25519"
TYPE = "tokenbourse-statement+jws"


class Signer:
    """Signs statements with one Ed25519 key, wherever its private part is."""

    def __init__(self, key: Ed25519PrivateKey | KeySigner) -> None:
        self._key: KeySigner = LocalSigner(key) if isinstance(key, Ed25519PrivateKey) else key
        self.public_key = self._key.public_key
        self.kid = self._key.kid

    def sign(self, payload: Mapping[str, Any], *, signed_at: datetime) -> bytes:
        """A statement file with one signature over the canonical form of `payload`."""
        encoded = _base64url(canonical_bytes(payload))
        return canonical_bytes({"payload": encoded, "signatures": [self._signature(encoded, signed_at, {})]})

    def add_signature(self, statement: bytes, *, signed_at: datetime, header: Mapping[str, str] | None = None) -> bytes:
        """The same statement with one signature more; `header` adds protected members such as an auditor's opinion.

        Does not judge the signatures already there. Raises `InvalidStatement` if the file is not a statement's.
        """
        payload, earlier = envelope_parts(statement)
        signature = self._signature(payload, signed_at, header or {})
        return canonical_bytes({"payload": payload, "signatures": [*earlier, signature]})

    def _signature(self, payload: str, signed_at: datetime, header: Mapping[str, str]) -> dict[str, str]:
        protected = {**header, "alg": ALGORITHM, "kid": self.kid, "typ": TYPE, "iat": _seconds(signed_at)}
        encoded = _base64url(canonical_bytes(protected))
        return {"protected": encoded, "signature": _base64url(self._key.sign(f"{encoded}.{payload}".encode()))}


def envelope_parts(statement: bytes) -> tuple[str, list[dict[str, str]]]:
    """(payload, signatures) of a statement's file as they stand. Raises `InvalidStatement`."""
    try:
        envelope = json.loads(statement)
        payload, signatures = envelope["payload"], list(envelope["signatures"])
        base64.urlsafe_b64decode(payload.encode("ascii") + b"=" * (-len(payload) % 4))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidStatement("The file is not a signed statement.") from error
    return payload, signatures


def key_id(key: Ed25519PublicKey) -> str:
    """RFC 7638 thumbprint."""
    return thumbprint(key)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _seconds(moment: datetime) -> int:
    return calendar.timegm(moment.utctimetuple())
