"""The ring of signing keys: one current Ed25519 key, all public parts published for ever.

The private key is encrypted at rest (AES-256-GCM under a key derived from `settings.KEY_ENCRYPTION_SECRET`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from django.db import transaction
from joserfc.jwk import OKPKey

from ledger import journal
from ledger.actions import record_action
from ledger.errors import NotFound
from ledger.models import SigningKey
from ledger.models.keys import KeyState

_NONCE_BYTES = 12


@transaction.atomic
def ensure_current_key(
    *, actor: str, now: datetime, entropy: Callable[[int], bytes] = secrets.token_bytes
) -> SigningKey:
    """The current key; makes the first one if the ring is empty."""
    journal.lock_head()  # two processes starting at once must not both make a first key
    current = SigningKey.objects.filter(state=KeyState.CURRENT).first()
    if current is not None:
        return current
    seed = entropy(32)
    private_key = Ed25519PrivateKey.from_private_bytes(seed)
    jwk = _public_jwk(private_key)
    nonce = entropy(_NONCE_BYTES)
    key = SigningKey.objects.create(
        kid=jwk["kid"],
        public_jwk=jwk,
        private_key_encrypted=nonce + _cipher().encrypt(nonce, seed, jwk["kid"].encode()),
        state=KeyState.CURRENT,
        valid_from=now,
    )
    record_action(actor=actor, action="make_signing_key", subject=f"signing_key:{key.kid}", now=now)
    return key


def current_signing_key() -> tuple[str, Ed25519PrivateKey]:
    """(kid, private key) to sign with. Raises `NotFound` when the ring is empty."""
    key = SigningKey.objects.filter(state=KeyState.CURRENT).first()
    if key is None:
        raise NotFound("There is no current signing key. Run `manage.py ensure_signing_key`.")
    sealed = bytes(key.private_key_encrypted)
    seed = _cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], key.kid.encode())
    return key.kid, Ed25519PrivateKey.from_private_bytes(seed)


def public_jwks() -> dict[str, Any]:
    """The key set that statements are checked with: every key ever used, with state and validity."""
    keys = SigningKey.objects.order_by("valid_from", "kid")
    return {"keys": [_published(key) for key in keys]}


def _published(key: SigningKey) -> dict[str, Any]:
    jwk: dict[str, Any] = {**key.public_jwk, "status": key.state, "nbf": int(key.valid_from.timestamp())}
    if key.valid_until is not None:
        jwk["exp"] = int(key.valid_until.timestamp())
    if key.state == KeyState.REVOKED:
        jwk["revoked"] = {"revoked_at": int((key.valid_until or key.valid_from).timestamp())}
    return jwk


def _public_jwk(private_key: Ed25519PrivateKey) -> dict[str, Any]:
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = OKPKey.import_key(pem)
    return {**key.as_dict(private=False), "kid": key.thumbprint(), "alg": "Ed25519", "use": "sig"}


def _cipher() -> AESGCM:
    return AESGCM(hashlib.sha256(b"tokenbourse signing ring\0" + settings.KEY_ENCRYPTION_SECRET.encode()).digest())
