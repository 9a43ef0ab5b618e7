"""A party's keys, managed with one of its keys: none reaches beyond the scopes it has itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ledger.api.authentication import Caller
from ledger.api.errors import KeyNotFound
from ledger.errors import NotAllowed
from ledger.models import ApiKey
from ledger.parties.keys import IssuedKey, Scope, issue_key, revoke_key, scopes_of


def list_own_keys(caller: Caller) -> list[ApiKey]:
    """All keys of the caller's party, newest first."""
    return list(ApiKey.objects.filter(party_id=caller.party_id).order_by("-id"))


def issue_own_key(caller: Caller, *, label: str, scopes: Iterable[str], now: datetime) -> IssuedKey:
    """Issue a key for the caller's party. Raises `NotAllowed` for a scope that the calling key is not good for."""
    wanted = [Scope(scope) for scope in scopes]
    _require_within(caller, wanted)
    return issue_key(caller.party, label, wanted, actor=caller.actor, now=now)


def revoke_own_key(caller: Caller, prefix: str, *, now: datetime) -> ApiKey:
    """Revoke a key of the caller's party. Raises `KeyNotFound`, or `NotAllowed` for a key with further scopes."""
    key = ApiKey.objects.filter(party_id=caller.party_id, prefix=prefix).first()
    if key is None:
        raise KeyNotFound("Your party has no key with this prefix.", prefix=prefix)
    _require_within(caller, scopes_of(key))
    revoke_key(key, actor=caller.actor, now=now)
    key.refresh_from_db()
    return key


def _require_within(caller: Caller, scopes: Iterable[str]) -> None:
    missing = sorted({str(scope) for scope in scopes} - caller.scopes)
    if missing:
        raise NotAllowed(
            f"The calling key lacks the scope {', '.join(missing)}.",
            required_scopes=missing,
            key_scopes=sorted(caller.scopes),
        )
