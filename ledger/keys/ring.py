"""The ring of signing keys: one current Ed25519 key, all public parts published for ever.

The private key is encrypted at rest (AES-256-GCM under a key derived from `settings.KEY_ENCRYPTION_SECRET`). How keys
follow each other is in `ledger.keys.rotation`.
"""

from __future__ import annotations

import base64
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

from ledger.actions import record_action
from ledger.errors import NotFound
from ledger.keys.history import batches_of_changes, record_states
from ledger.log.note import verifier_key
from ledger.log.tree import lock_log
from ledger.models import SigningKey
from ledger.models.keys import KeyState

_NONCE_BYTES = 12

Entropy = Callable[[int], bytes]


@transaction.atomic
def ensure_current_key(*, actor: str, now: datetime, entropy: Entropy = secrets.token_bytes) -> SigningKey:
    """The current key; makes the first one if the ring is empty.

    One of the first release, when the journal had no history of keys, is put on record: it signs sizes from then on.
    """
    lock_log()  # two processes starting at once must not both make a first key
    current = SigningKey.objects.filter(state=KeyState.CURRENT).first()
    if current is None:
        return make_key(KeyState.CURRENT, actor=actor, now=now, entropy=entropy)
    if not batches_of_changes([current.kid]):
        record_states([(current.kid, KeyState.CURRENT)], actor=actor, now=now)
    return current


def make_key(state: KeyState, *, actor: str, now: datetime, entropy: Entropy = secrets.token_bytes) -> SigningKey:
    """A new key in this state, put on record; call it under the log's lock."""
    seed = entropy(32)
    private_key = Ed25519PrivateKey.from_private_bytes(seed)
    jwk = _public_jwk(private_key)
    nonce = entropy(_NONCE_BYTES)
    key = SigningKey.objects.create(
        kid=jwk["kid"],
        public_jwk=jwk,
        private_key_encrypted=nonce + _cipher().encrypt(nonce, seed, jwk["kid"].encode()),
        state=state,
        valid_from=now,
    )
    record_states([(key.kid, state)], actor=actor, now=now)
    record_action(
        actor=actor,
        action="make_signing_key",
        subject=f"signing_key:{key.kid}",
        now=now,
        details={"state": state.value},
    )
    return key


def current_signing_key() -> tuple[str, Ed25519PrivateKey]:
    """(kid, private key) to sign with. Raises `NotFound` when the ring is empty."""
    key = SigningKey.objects.filter(state=KeyState.CURRENT).first()
    if key is None:
        raise NotFound("There is no current signing key. Run `manage.py ensure_signing_key`.")
    sealed = bytes(key.private_key_encrypted)
    seed = _cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], key.kid.encode())
    return key.kid, Ed25519PrivateKey.from_private_bytes(seed)


def public_keys() -> list[bytes]:
    """The public keys (32 bytes each) of the ring, the current one first."""
    keys = sorted(SigningKey.objects.all(), key=lambda key: key.state != KeyState.CURRENT)
    return [_public_bytes(key) for key in keys]


def public_jwks() -> dict[str, Any]:
    """The key set that statements and checkpoints are checked with: every key ever used, with state and validity.

    `vkey` is the key in the form of signed notes, under the log's name. `log_since` and `log_until` are the sizes of
    checkpoints that it signs: from the first on, below the second.
    """
    keys = list(SigningKey.objects.order_by("valid_from", "kid"))
    batches = batches_of_changes(key.kid for key in keys)
    return {"keys": [_published(key, batches) for key in keys]}


def _published(key: SigningKey, batches: dict[tuple[str, KeyState], int]) -> dict[str, Any]:
    jwk: dict[str, Any] = {**key.public_jwk, "status": key.state, "nbf": int(key.valid_from.timestamp())}
    if key.valid_until is not None:
        jwk["exp"] = int(key.valid_until.timestamp())
    if key.state == KeyState.REVOKED:
        jwk["revoked"] = {"revoked_at": int((key.valid_until or key.valid_from).timestamp())}
    jwk["vkey"] = verifier_key(settings.LEDGER_ORIGIN, _public_bytes(key))
    for member, state in (("log_since", KeyState.CURRENT), ("log_until", KeyState.RETIRED)):
        if (key.kid, state) in batches:
            jwk[member] = batches[key.kid, state]
    return jwk


def _public_bytes(key: SigningKey) -> bytes:
    x: str = key.public_jwk["x"]
    return base64.urlsafe_b64decode(x + "=" * (-len(x) % 4))


def _public_jwk(private_key: Ed25519PrivateKey) -> dict[str, Any]:
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = OKPKey.import_key(pem)
    return {**key.as_dict(private=False), "kid": key.thumbprint(), "alg": "Ed25519", "use": "sig"}


def _cipher() -> AESGCM:
    return AESGCM(hashlib.sha256(b"tokenbourse signing ring\0" + settings.KEY_ENCRYPTION_SECRET.encode()).digest())
