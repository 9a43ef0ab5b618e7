"""API keys: issued once in clear, kept as a hash, compared in constant time.

The text is `tb_<prefix>_<secret>`. The secret has 256 bits of entropy, so a plain SHA-256 is enough: there is nothing
to guess, and a slow hash would only slow down every request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import InvalidAmount, NotAuthenticated
from ledger.models import ApiKey, Party, PartyKind

_KEY_TEXT = re.compile(r"tb_([0-9a-f]{12})_([0-9a-f]{64})", re.ASCII)


class Scope(StrEnum):
    READ = "read"  # own rows
    TRADE = "trade"  # place, amend and cancel orders
    METER = "meter"  # report usage
    AUDIT = "audit"  # everybody's rows


# Providers sell through their offers, so nobody but a buyer trades by key; the house may run a gateway's meter.
PARTY_SCOPES: Mapping[PartyKind, frozenset[Scope]] = {
    PartyKind.PROVIDER: frozenset({Scope.READ, Scope.METER}),
    PartyKind.BUYER: frozenset({Scope.READ, Scope.TRADE, Scope.METER}),
    PartyKind.BENEFICIARY: frozenset({Scope.READ}),
    PartyKind.HOUSE: frozenset({Scope.READ, Scope.METER, Scope.AUDIT}),
    PartyKind.AUDITOR: frozenset({Scope.READ, Scope.AUDIT}),
}


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key and its text, which is shown once and stored nowhere."""

    key: ApiKey
    text: str


@transaction.atomic
def issue_key(
    party: Party,
    label: str,
    scopes: Iterable[Scope],
    *,
    actor: str,
    now: datetime,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> IssuedKey:
    """Make a key for a party. Raises `InvalidAmount` for no scopes, and for one that its kind of party cannot use."""
    wanted, usable = sorted(set(scopes)), PARTY_SCOPES[PartyKind(party.kind)]
    if not wanted or not usable.issuperset(wanted):
        known = ", ".join(sorted(usable))
        raise InvalidAmount(f"Give {party.code}'s key at least one scope of {known}.", field="scopes")
    prefix, secret = entropy(6).hex(), entropy(32).hex()
    key = ApiKey.objects.create(
        party=party,
        label=label,
        prefix=prefix,
        secret_hash=hashlib.sha256(secret.encode()).digest(),
        scopes=[str(scope) for scope in wanted],
        created_at=now,
        created_by=actor,
    )
    record_action(actor=actor, action="issue_key", subject=f"key:{prefix}", now=now, details={"party": party.code})
    return IssuedKey(key, f"tb_{prefix}_{secret}")


@transaction.atomic
def revoke_key(key: ApiKey, *, actor: str, now: datetime) -> None:
    """Revoke a key at once. A second call changes nothing."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=now):
        record_action(actor=actor, action="revoke_key", subject=f"key:{key.prefix}", now=now)


def scopes_of(key: ApiKey) -> frozenset[Scope]:
    """What a key is good for: of the scopes that it was issued with, those that its party can use."""
    return PARTY_SCOPES[PartyKind(key.party.kind)].intersection(key.scopes)


def authenticate(text: str) -> ApiKey:
    """The live key behind a text. Raises `NotAuthenticated`, with one message for every reason."""
    match = _KEY_TEXT.fullmatch(text)
    key = ApiKey.objects.select_related("party").filter(prefix=match[1]).first() if match else None
    given = hashlib.sha256((match[2] if match else "").encode()).digest()
    stored = bytes(key.secret_hash) if key else bytes(32)
    if not hmac.compare_digest(given, stored) or key is None or key.revoked_at is not None:
        raise NotAuthenticated("The API key is unknown or revoked. Issue a new one, or check the Authorization header.")
    return key
