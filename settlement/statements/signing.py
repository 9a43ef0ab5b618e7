"""Signing statements: JWS in General JSON form, `alg` Ed25519 (RFC 9864), several signatures on one payload."""

from __future__ import annotations

import calendar
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jws
from joserfc.jwk import OKPKey
from joserfc.util import urlsafe_b64decode

from settlement.errors import InvalidStatement
from settlement.statements.canonical import canonical_bytes

ALGORITHM = "Ed25519"
TYPE = "tokenbourse-statement+jws"
# `iat`, and what an auditor adds, are not registered header names; we check them ourselves.
_REGISTRY = jws.JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)


class Signer:
    """Signs statements with one Ed25519 key."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._key = OKPKey.import_key(private_key)
        self.public_key = private_key.public_key()
        self.kid = key_id(self.public_key)

    def sign(self, payload: Mapping[str, Any], *, signed_at: datetime) -> bytes:
        """A statement file with one signature over the canonical form of `payload`."""
        return canonical_bytes(self._signed(canonical_bytes(payload), signed_at, {}))

    def add_signature(self, statement: bytes, *, signed_at: datetime, header: Mapping[str, str] | None = None) -> bytes:
        """The same statement with one signature more; `header` adds protected members such as an auditor's opinion.

        Does not judge the signatures already there. Raises `InvalidStatement` if the file is not a statement's.
        """
        try:
            envelope = json.loads(statement)
            payload = urlsafe_b64decode(envelope["payload"].encode("ascii"))
            earlier = list(envelope["signatures"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InvalidStatement("The file is not a signed statement.") from error
        signed = self._signed(payload, signed_at, header or {})
        return canonical_bytes(signed | {"signatures": earlier + signed["signatures"]})

    def _signed(self, payload: bytes, signed_at: datetime, header: Mapping[str, str]) -> dict[str, Any]:
        protected = {
            **header,
            "alg": ALGORITHM,
            "kid": self.kid,
            "typ": TYPE,
            "iat": _seconds(signed_at),
        }
        return dict(jws.serialize_json([{"protected": protected}], payload, self._key, registry=_REGISTRY))


def key_id(key: Ed25519PublicKey) -> str:
    """RFC 7638 thumbprint."""
    return OKPKey.import_key(key).thumbprint()


def _seconds(moment: datetime) -> int:
    return calendar.timegm(moment.utctimetuple())
