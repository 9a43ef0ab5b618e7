"""The ring of signing keys: one current Ed25519 key, all public parts published for ever.

A private key is encrypted at rest (AES-256-GCM under a key derived from `settings.KEY_ENCRYPTION_SECRET`), or made and
kept in a PKCS#11 token when the settings name one. How keys follow each other is in `ledger.keys.rotation`.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import transaction

from ledger.actions import record_action
from ledger.errors import NotFound
from ledger.keys.history import KeyChange, changes_of, record_states
from ledger.keys.pkcs11_token import TokenSigner, make_token_key
from ledger.keys.signers import LocalSigner, Signer, public_jwk
from ledger.log.note import verifier_key
from ledger.log.tree import lock_log
from ledger.models import SigningKey
from ledger.models.keys import KeyCustody, KeyState

_NONCE_BYTES = 12
_LABEL_BYTES = 8

Entropy = Callable[[int], bytes]
PublishedKeys = Callable[[], list[dict[str, Any]]]

_others: list[PublishedKeys] = []


@transaction.atomic
def ensure_current_key(*, actor: str, now: datetime, entropy: Entropy = secrets.token_bytes) -> SigningKey:
    """The current key; makes the first one if the ring is empty.

    One of the first release, when the journal had no history of keys, is put on record: it signs sizes from then on.
    """
    lock_log()  # two processes starting at once must not both make a first key
    current = SigningKey.objects.filter(state=KeyState.CURRENT).first()
    if current is None:
        return make_key(KeyState.CURRENT, actor=actor, now=now, entropy=entropy)
    if not changes_of([current.kid]):
        record_states([(current.kid, KeyState.CURRENT)], actor=actor, now=now)
    return current


def make_key(state: KeyState, *, actor: str, now: datetime, entropy: Entropy = secrets.token_bytes) -> SigningKey:
    """A new key in this state, put on record; call it under the log's lock. Raises `SigningTokenUnavailable`."""
    made = _made_in_token(entropy) if settings.PKCS11_MODULE else _made_here(entropy)
    key = SigningKey.objects.create(**made, state=state, valid_from=now)
    record_states([(key.kid, state)], actor=actor, now=now)
    record_action(
        actor=actor,
        action="make_signing_key",
        subject=f"signing_key:{key.kid}",
        now=now,
        details={"state": state.value, "custody": key.custody},
    )
    return key


def current_signer() -> Signer:
    """What signs now. Raises `NotFound` when the ring is empty."""
    key = _current()
    if key.custody == KeyCustody.PKCS11:
        return TokenSigner(key.label, Ed25519PublicKey.from_public_bytes(_public_bytes(key)))
    return LocalSigner(_private_key(key))


def current_signing_key() -> tuple[str, Ed25519PrivateKey]:
    """(kid, private key) of a current key that the database keeps. Raises `NotFound` when there is none."""
    key = _current()
    if key.custody != KeyCustody.DATABASE:
        raise NotFound("The current signing key is in a token, which does not give it out.")
    return key.kid, _private_key(key)


def public_keys() -> list[bytes]:
    """The public keys (32 bytes each) of the ring, the current one first."""
    keys = sorted(SigningKey.objects.all(), key=lambda key: key.state != KeyState.CURRENT)
    return [_public_bytes(key) for key in keys]


def public_jwks() -> dict[str, Any]:
    """The key set that statements and checkpoints are checked with: every key ever used, with state and validity.

    `vkey` is the key in the form of signed notes, under the log's name. `log_since` and `log_until` are the sizes of
    checkpoints that it signs: from the first on, below the second. `log_revoked` is the batch that recorded its
    revocation: what it signed and the log held before stays good. Keys that `publish_also` adds come last.
    """
    keys = list(SigningKey.objects.order_by("valid_from", "kid"))
    changes = changes_of(key.kid for key in keys)
    return {"keys": [_published(key, changes) for key in keys] + [each for other in _others for each in other()]}


def publish_also(keys: PublishedKeys) -> None:
    """Have these keys of others in the key set as well, under a member that says whose they are."""
    if keys not in _others:
        _others.append(keys)


def _published(key: SigningKey, changes: dict[tuple[str, KeyState], KeyChange]) -> dict[str, Any]:
    jwk: dict[str, Any] = {**key.public_jwk, "status": key.state, "nbf": int(key.valid_from.timestamp())}
    if key.valid_until is not None:
        jwk["exp"] = int(key.valid_until.timestamp())
    if key.state == KeyState.REVOKED:
        revoked = changes.get((key.kid, KeyState.REVOKED))
        at = (key.valid_until or key.valid_from) if revoked is None else revoked.at
        jwk["revoked"] = {"revoked_at": int(at.timestamp())}
    jwk["vkey"] = verifier_key(settings.LEDGER_ORIGIN, _public_bytes(key))
    for member, state in (
        ("log_since", KeyState.CURRENT),
        ("log_until", KeyState.RETIRED),
        ("log_revoked", KeyState.REVOKED),
    ):
        if (key.kid, state) in changes:
            jwk[member] = changes[key.kid, state].batch_no
    return jwk


def _public_bytes(key: SigningKey) -> bytes:
    x: str = key.public_jwk["x"]
    return base64.urlsafe_b64decode(x + "=" * (-len(x) % 4))


def _made_here(entropy: Entropy) -> dict[str, Any]:
    """The members of a key whose private part the database keeps, encrypted."""
    seed = entropy(32)
    jwk = public_jwk(Ed25519PrivateKey.from_private_bytes(seed).public_key())
    nonce = entropy(_NONCE_BYTES)
    sealed = nonce + _cipher().encrypt(nonce, seed, jwk["kid"].encode())
    return {"kid": jwk["kid"], "public_jwk": jwk, "private_key_encrypted": sealed, "custody": KeyCustody.DATABASE}


def _made_in_token(entropy: Entropy) -> dict[str, Any]:
    label = f"tokenbourse-{entropy(_LABEL_BYTES).hex()}"
    jwk = public_jwk(make_token_key(label))
    return {
        "kid": jwk["kid"],
        "public_jwk": jwk,
        "private_key_encrypted": b"",
        "custody": KeyCustody.PKCS11,
        "label": label,
    }


def _current() -> SigningKey:
    key = SigningKey.objects.filter(state=KeyState.CURRENT).first()
    if key is None:
        raise NotFound("There is no current signing key. Run `manage.py ensure_signing_key`.")
    return key


def _private_key(key: SigningKey) -> Ed25519PrivateKey:
    sealed = bytes(key.private_key_encrypted)
    seed = _cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], key.kid.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


def _cipher() -> AESGCM:
    return AESGCM(hashlib.sha256(b"tokenbourse signing ring\0" + settings.KEY_ENCRYPTION_SECRET.encode()).digest())
