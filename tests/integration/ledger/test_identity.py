from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import DomainError, InvalidMembership, InvalidParty, NotAuthenticated, UserNameTaken
from ledger.idempotency import IdempotencyConflict, once
from ledger.keys.ring import current_signing_key, ensure_current_key, public_jwks
from ledger.keys.rotation import prepare_next_key, revoke
from ledger.models import ActionLog, ApiKey, MembershipRole, Party, PartyKind, SigningKey, User
from ledger.parties.access import get_access
from ledger.parties.commands import add_member, register_party
from ledger.parties.keys import Scope, authenticate, issue_key, revoke_key, scopes_of
from tests.conftest import DatabaseUrls

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)


@pytest.fixture
def buyer(database: DatabaseUrls) -> Party:
    register_party("house", "The house", PartyKind.HOUSE, actor="test", now=NOW)
    return register_party("ada", "Ada", PartyKind.BUYER, actor="test", now=NOW)


def test_a_key_is_shown_once_and_stored_as_a_hash(buyer: Party) -> None:
    issued = issue_key(buyer, "bot", [Scope.READ, Scope.TRADE], actor="test", now=NOW)
    row = ApiKey.objects.get()
    secret = issued.text.rsplit("_", 1)[1]
    assert secret not in str(vars(row))
    assert bytes(row.secret_hash) != secret.encode()
    assert authenticate(issued.text).party == buyer
    assert secret not in str(list(ActionLog.objects.values()))


def test_wrong_revoked_and_malformed_keys_get_the_same_answer(buyer: Party) -> None:
    issued = issue_key(buyer, "bot", [Scope.READ], actor="test", now=NOW)
    prefix = issued.key.prefix
    revoked = issue_key(buyer, "old", [Scope.READ], actor="test", now=NOW)
    revoke_key(revoked.key, actor="test", now=NOW)
    messages = set()
    for text in (f"tb_{prefix}_{'0' * 64}", revoked.text, f"tb_{'0' * 12}_{'0' * 64}", "", "tb_x", "tb_\u0661" * 9):
        with pytest.raises(NotAuthenticated) as refused:
            authenticate(text)
        messages.add(refused.value.message)
    assert len(messages) == 1


@pytest.mark.parametrize("scopes", [[], ["read", "root"]])
def test_a_key_needs_known_scopes(buyer: Party, scopes: list[Any]) -> None:
    with pytest.raises(DomainError):
        issue_key(buyer, "bot", scopes, actor="test", now=NOW)


@pytest.mark.parametrize(
    ("kind", "usable"),
    [
        (PartyKind.PROVIDER, {"read", "meter"}),
        (PartyKind.BUYER, {"read", "trade", "meter"}),
        (PartyKind.BENEFICIARY, {"read"}),
        (PartyKind.AUDITOR, {"read", "audit"}),
        (PartyKind.HOUSE, {"read", "meter", "audit"}),
    ],
)
def test_a_key_has_no_scope_that_its_party_cannot_use(buyer: Party, kind: PartyKind, usable: set[str]) -> None:
    house = Party.objects.get(kind=PartyKind.HOUSE)
    party = house if kind == PartyKind.HOUSE else register_party("other", "Other", kind, actor="test", now=NOW)
    for scope in Scope:
        for scopes in ({scope}, {scope, Scope.READ}):
            if scope in usable:
                issued = issue_key(party, "bot", scopes, actor="test", now=NOW)
                assert scopes_of(authenticate(issued.text)) == scopes
            else:
                with pytest.raises(DomainError) as refused:
                    issue_key(party, "bot", scopes, actor="test", now=NOW)
                assert refused.value.fields == {"field": "scopes"}
    issued = issue_key(party, "old", [Scope.READ], actor="test", now=NOW)
    ApiKey.objects.filter(pk=issued.key.pk).update(scopes=[*Scope])
    assert scopes_of(authenticate(issued.text)) == usable


def test_access_follows_memberships(buyer: Party) -> None:
    user = add_member("grace", "long enough password", buyer, MembershipRole.BUYER_STAFF, actor="test", now=NOW)
    access = get_access(user)
    assert access.buyer_ids == {buyer.id}
    assert not access.provider_ids
    assert not access.reads_everything


def test_the_ring_signs_and_publishes_and_keeps_the_private_key_encrypted(buyer: Party) -> None:
    key = ensure_current_key(actor="test", now=NOW)
    assert ensure_current_key(actor="test", now=NOW) == key
    kid, private_key = current_signing_key()
    (published,) = public_jwks()["keys"]
    assert published["kid"] == kid
    assert "d" not in published
    raw = base64.urlsafe_b64decode(published["x"] + "=")
    Ed25519PublicKey.from_public_bytes(raw).verify(private_key.sign(b"statement"), b"statement")
    assert private_key.private_bytes_raw() not in bytes(SigningKey.objects.get().private_key_encrypted)


def test_a_revoked_key_is_published_as_the_verifier_reads_it(buyer: Party) -> None:
    key = prepare_next_key(actor="test", now=NOW)
    revoke(key.kid, "Leaked.", actor="test", now=NOW)
    (published,) = public_jwks()["keys"]
    assert published["revoked"] == {"revoked_at": int(NOW.timestamp())}


def test_an_idempotency_key_acts_once(buyer: Party) -> None:
    calls = []

    def act() -> dict[str, Any]:
        calls.append(1)
        return {"answer": len(calls)}

    for _ in range(2):
        assert once(buyer.id, "k1", "issue", {"label": "a"}, act, now=NOW) == {"answer": 1}
    with pytest.raises(IdempotencyConflict) as conflict:
        once(buyer.id, "k1", "issue", {"label": "b"}, act, now=NOW)
    assert conflict.value.fields["field"] == "label"
    assert once(buyer.id, "k2", "issue", {"label": "b"}, act, now=NOW) == {"answer": 2}


@pytest.mark.parametrize(
    ("code", "name"), [("", "A"), ("a" * 41, "A"), ("A b", "A"), ("a/b", "A"), ("é", "A"), ("a", ""), ("a", "n" * 121)]
)
def test_a_party_has_a_code_that_statements_can_name(database: DatabaseUrls, code: str, name: str) -> None:
    with pytest.raises(InvalidParty):
        register_party(code, name, PartyKind.BUYER, actor="test", now=NOW)
    assert not Party.objects.exists()


@pytest.mark.parametrize("role", [MembershipRole.OPERATOR, MembershipRole.AUDITOR, MembershipRole.PROVIDER_STAFF])
def test_a_buyers_people_are_buyer_staff_and_nothing_else(buyer: Party, role: MembershipRole) -> None:
    with pytest.raises(InvalidMembership):
        add_member("mallory", "long enough password", buyer, role, actor="test", now=NOW)


def test_capital_letters_make_no_other_person(buyer: Party) -> None:
    words = "long enough password"
    grace = add_member("grace", words, buyer, MembershipRole.BUYER_STAFF, actor="test", now=NOW)
    for name in ("Grace", "GRACE", "gracE"):
        with pytest.raises(UserNameTaken) as taken:
            add_member(name, words, buyer, MembershipRole.BUYER_STAFF, actor="test", now=NOW)
        assert taken.value.fields["field"] == "username"
    assert add_member("grace", words, buyer, MembershipRole.BUYER_STAFF, actor="test", now=NOW) == grace
    assert list(User.objects.all()) == [grace]
