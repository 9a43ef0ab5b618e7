"""Reading the public key that a party hands over for a meter. Pure."""

from __future__ import annotations

import base64
import json
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from settlement.errors import InvalidMeterKey
from settlement.metering.signatures import base64url

LONGEST = 2_000  # characters; the longest form, a JWK with a certificate, is not needed
_JWK = {"kty": "OKP", "crv": "Ed25519"}


def parse_public_key(given: object) -> bytes:
    """The 32 bytes of an Ed25519 public key, from their base64url, a JWK (RFC 8037; its text or its members) or a PEM.

    Raises `InvalidMeterKey`, also for a private key: nobody else may know that.
    """
    if isinstance(given, str) and len(given) <= LONGEST:
        text = given.strip()
        if text.startswith("-----"):
            return _from_pem(text)
        if text.startswith("{"):
            return _from_jwk(_members(text))
        return _from_base64url(text)
    return _from_jwk(given) if isinstance(given, dict) else _refuse()


def _members(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        _refuse()


def _from_jwk(members: object) -> bytes:
    if not isinstance(members, dict) or any(members.get(name) != value for name, value in _JWK.items()):
        _refuse()
    if "d" in members:
        _refuse_private()
    x = members.get("x")
    return _from_base64url(x) if isinstance(x, str) else _refuse()


def _from_pem(text: str) -> bytes:
    if "PRIVATE KEY" in text:
        _refuse_private()
    try:
        key = load_pem_public_key(text.encode("ascii"))
    except ValueError:
        _refuse()
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else _refuse()


def _from_base64url(text: str) -> bytes:
    try:
        key = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        _refuse()
    return key if len(key) == 32 and base64url(key) == text else _refuse()


def _refuse() -> NoReturn:
    raise InvalidMeterKey(
        "Send an Ed25519 public key: its 32 bytes in base64url without padding, a JWK with kty OKP, crv Ed25519 and x, "
        "or a PEM.",
        field="public_key",
    )


def _refuse_private() -> NoReturn:
    raise InvalidMeterKey(
        "This is a private key, which nobody else may know. Make a new pair and send its public key alone.",
        field="public_key",
    )
