"""How signing keys follow each other: next → current → retired → revoked.

The next key is published before it signs anything, so that whoever pins keys knows it in time. Every change is in the
action log and in the journal, and no checkpoint is signed in the middle of one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import NotFound, ReasonMissing
from ledger.keys.errors import SigningKeyState
from ledger.keys.history import record_states
from ledger.keys.ring import Entropy, make_key
from ledger.log.tree import lock_log
from ledger.models import SigningKey
from ledger.models.keys import KeyState

# A job that took the old key, or read the clock, just before a change may sign a statement just after it.
OVERLAP = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Rotation:
    """The key that signs from now on, and the one that did."""

    current: SigningKey
    retired: SigningKey


@transaction.atomic
def prepare_next_key(*, actor: str, now: datetime, entropy: Entropy = secrets.token_bytes) -> SigningKey:
    """The key that the next rotation makes current; made now unless there is one."""
    lock_log()
    waiting = SigningKey.objects.filter(state=KeyState.NEXT).first()
    return waiting or make_key(KeyState.NEXT, actor=actor, now=now, entropy=entropy)


@transaction.atomic
def rotate(*, actor: str, now: datetime, reason: str = "") -> Rotation:
    """Make the next key the current one and retire the one that was.

    Raises `SigningKeyState` when no next key was prepared, or there is no current one.
    """
    lock_log()
    keys = {key.state: key for key in SigningKey.objects.filter(state__in=[KeyState.NEXT, KeyState.CURRENT])}
    if KeyState.CURRENT not in keys:
        raise SigningKeyState("There is no current key to replace. Run `manage.py ensure_signing_key`.")
    if KeyState.NEXT not in keys:
        raise SigningKeyState(
            "No next key was prepared. Run `manage.py prepare_signing_key`, let those who pin keys learn of it, then "
            "rotate."
        )
    retired, current = keys[KeyState.CURRENT], keys[KeyState.NEXT]
    _move(retired, KeyState.RETIRED, valid_until=now + OVERLAP)
    _move(current, KeyState.CURRENT)
    record_states([(retired.kid, KeyState.RETIRED), (current.kid, KeyState.CURRENT)], actor=actor, now=now)
    record_action(
        actor=actor,
        action="rotate_signing_key",
        subject=f"signing_key:{current.kid}",
        now=now,
        reason=reason,
        details={"retired": retired.kid},
    )
    return Rotation(current, retired)


@transaction.atomic
def revoke(kid: str, reason: str, *, actor: str, now: datetime) -> SigningKey:
    """Declare a key untrustworthy, for ever: verifiers refuse every checkpoint it signed. A repeat changes nothing.

    Raises `NotFound`, `ReasonMissing`, and `SigningKeyState` for the current key, which is to be rotated out first.
    """
    if not reason.strip():
        raise ReasonMissing("Say why the key is revoked; it stays on record.")
    lock_log()
    key = SigningKey.objects.filter(kid=kid).first()
    if key is None:
        raise NotFound(f"There is no signing key {kid!r}.", kid=kid)
    if key.state == KeyState.REVOKED:
        return key
    if key.state == KeyState.CURRENT:
        raise SigningKeyState(
            "The current key cannot be revoked, nothing could be signed any more. Run `manage.py prepare_signing_key` "
            "and `manage.py rotate_signing_key`, then revoke it.",
            kid=kid,
        )
    _move(key, KeyState.REVOKED, valid_until=min(key.valid_until or now, now))
    record_states([(kid, KeyState.REVOKED)], actor=actor, now=now)
    record_action(actor=actor, action="revoke_signing_key", subject=f"signing_key:{kid}", now=now, reason=reason)
    return key


def _move(key: SigningKey, state: KeyState, *, valid_until: datetime | None = None) -> None:
    key.state, key.valid_until = state, valid_until
    key.save(update_fields=["state", "valid_until"])
