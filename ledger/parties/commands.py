"""Making parties, currencies and memberships known. The rows behind everything else; an operator's acts."""

from __future__ import annotations

import re
from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.chart import AssetKind
from ledger.errors import InvalidMembership, InvalidParty, UserNameTaken
from ledger.models import Asset, Membership, MembershipRole, Party, PartyKind, User
from ledger.parties.access import ADD_MEMBER

CURRENCY_SCALE = 6  # micros
PARTY_OF_ROLE = {
    MembershipRole.PROVIDER_STAFF: PartyKind.PROVIDER,
    MembershipRole.BUYER_STAFF: PartyKind.BUYER,
    MembershipRole.OPERATOR: PartyKind.HOUSE,
    MembershipRole.AUDITOR: PartyKind.AUDITOR,
}

_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)
_MAX_NAME = 120


@transaction.atomic
def register_party(code: str, name: str, kind: PartyKind, *, actor: str, now: datetime) -> Party:
    """Register a party, or return the one with this code. Raises `InvalidParty`."""
    if _CODE.fullmatch(code) is None:
        raise InvalidParty("A party's code has 1 to 40 small letters, digits and hyphens.", field="code")
    if not 0 < len(name) <= _MAX_NAME:
        raise InvalidParty(f"A party's name has 1 to {_MAX_NAME} characters.", field="name")
    party, created = Party.objects.get_or_create(code=code, defaults={"name": name, "kind": kind, "created_at": now})
    if created:
        record_action(actor=actor, action="register_party", subject=f"party:{code}", now=now)
    return party


@transaction.atomic
def register_currency(code: str, *, actor: str, now: datetime) -> Asset:
    """Register a currency, counted in micros, or return it."""
    asset, created = Asset.objects.get_or_create(
        code=code, defaults={"kind": AssetKind.CURRENCY, "scale": CURRENCY_SCALE}
    )
    if created:
        record_action(actor=actor, action="register_currency", subject=f"asset:{code}", now=now)
    return asset


@transaction.atomic
def add_member(username: str, password: str, party: Party, role: MembershipRole, *, actor: str, now: datetime) -> User:
    """Give a person a login that acts for a party; a person who exists keeps their password.

    Raises `InvalidMembership` when the role is none for this kind of party: only the house has operators, say, and
    `UserNameTaken` when somebody's name differs in nothing but capital letters.
    """
    if party.kind != PARTY_OF_ROLE[role]:
        raise InvalidMembership(
            f"{role.label} act for a party of kind {PARTY_OF_ROLE[role]}, and {party.code} is a {party.kind}.",
            field="role",
        )
    user = User.objects.filter(username=username).first()
    if user is None:
        alike = User.objects.filter(username__iexact=username).first()
        if alike is not None:
            raise UserNameTaken(
                f"The name {alike.username} is taken. Capital letters make no other name.", field="username"
            )
        user = User(username=username, is_staff=True, date_joined=now)
        user.set_password(password)
        user.save()
    _, created = Membership.objects.get_or_create(user=user, party=party, role=role)
    if created:
        record_action(actor=actor, action=ADD_MEMBER, subject=f"user:{username}", now=now, details={"role": role})
    return user
