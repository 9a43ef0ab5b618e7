"""What signs for the house: a key, wherever its private part is kept."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class Signer(Protocol):
    """Signs messages with one Ed25519 key. `kid` is the key's RFC 7638 thumbprint.

    `sign` may ask another machine: call it where no lock waits for it.
    """

    @property
    def kid(self) -> str: ...

    @property
    def public_key(self) -> Ed25519PublicKey: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class LocalSigner:
    """A key whose private part is in this process."""

    private_key: Ed25519PrivateKey

    @property
    def kid(self) -> str:
        return thumbprint(self.public_key)

    @property
    def public_key(self) -> Ed25519PublicKey:
        return self.private_key.public_key()

    def sign(self, message: bytes) -> bytes:
        return self.private_key.sign(message)


def thumbprint(key: Ed25519PublicKey) -> str:
    """What a key is called: RFC 7638, base64url of the SHA-256 over its members in their one form."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": _x(key)}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def public_jwk(key: Ed25519PublicKey) -> dict[str, Any]:
    """The public key as a JWK for signatures, named by its thumbprint."""
    return {"kty": "OKP", "crv": "Ed25519", "x": _x(key), "kid": thumbprint(key), "alg": "Ed25519", "use": "sig"}


def _x(key: Ed25519PublicKey) -> str:
    return base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode()
