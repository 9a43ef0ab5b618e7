"""What a logged-in person may see and do, from their memberships."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.errors import NeedsAnotherPerson
from ledger.models import ActionLog, Membership, MembershipRole, User

ADD_MEMBER = "add_member"  # the action that gives a person a membership, and with the first one a login


@dataclass(frozen=True, slots=True)
class Access:
    """The parties a person acts for, by role, and the actor name that is recorded with what they do."""

    actor: str
    is_operator: bool
    is_auditor: bool
    provider_ids: frozenset[int]
    buyer_ids: frozenset[int]

    @property
    def reads_everything(self) -> bool:
        return self.is_operator or self.is_auditor

    @property
    def party_ids(self) -> frozenset[int]:
        return self.provider_ids | self.buyer_ids


def get_access(user: User) -> Access:
    """The access of a user; empty for someone without memberships."""
    memberships = list(Membership.objects.filter(user_id=user.pk).values_list("role", "party_id"))

    def parties(role: MembershipRole) -> frozenset[int]:
        return frozenset(party_id for held, party_id in memberships if held == role)

    return Access(
        actor=f"user:{user.username}",
        is_operator=bool(parties(MembershipRole.OPERATOR)),
        is_auditor=bool(parties(MembershipRole.AUDITOR)),
        provider_ids=parties(MembershipRole.PROVIDER_STAFF),
        buyer_ids=parties(MembershipRole.BUYER_STAFF),
    )


def makers_of(actor: str) -> frozenset[str]:
    """Who made a person's login and who made them an operator, case-folded, from the action log that nobody edits.

    Nobody for an actor that was never added.
    """
    added = ActionLog.objects.filter(action=ADD_MEMBER, subject__iexact=actor).order_by("id")
    acts = list(added.values_list("actor", "details"))
    made_login = acts[:1]
    made_operator = [act for act in acts if act[1].get("role") == MembershipRole.OPERATOR]
    return frozenset(maker.casefold() for maker, _ in (*made_login, *made_operator))


def check_another_person(actor: str, asker: str, *, asked_for: str, **facts: Any) -> None:
    """Whether `actor` may decide what `asker` asked for. Raises `NeedsAnotherPerson` with the facts.

    Not the one who asked, in whichever letters, nor whom they let in, nor who let them in: whoever adds a person
    chooses their password, and would be both. Only the two themselves are looked at. That one adds a second who adds a
    third is not followed.
    """
    facts["requested_by"] = asker
    if actor.casefold() == asker.casefold():
        raise NeedsAnotherPerson(f"You asked for {asked_for} yourself, so another operator decides.", **facts)
    if asker.casefold() in makers_of(actor):
        told = f"{actor} was made an operator by {asker}, who asked for this; another person must decide."
        raise NeedsAnotherPerson(told, **facts)
    if actor.casefold() in makers_of(asker):
        told = f"{asker}, who asked for this, was given their login by {actor}; another person must decide."
        raise NeedsAnotherPerson(told, **facts)
