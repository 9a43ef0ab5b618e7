"""The ring of signing keys against its history in the journal: what the owner or a poster slips in is found."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.db import transaction

from ledger import journal
from ledger.drafts import Leg, TransactionDraft
from ledger.keys.ring import current_signing_key, ensure_current_key, public_jwks
from ledger.keys.rotation import prepare_next_key, revoke, rotate
from ledger.models import AuditScope, SigningKey
from tests.audits import audit, findings, found_by, tamper
from tests.conftest import DatabaseUrls
from tests.integration.ledger.logbook import NOW, Logbook, check


@dataclass(frozen=True, slots=True)
class Ring:
    """A ledger that has had keys of every state. Transaction 8 is the record of the revocation, 9 of the next key."""

    book: Logbook
    revoked: str
    retired: str
    current: str
    following: str

    def post(self, reference: str, kind: str = "signing_key", legs: tuple[Leg, ...] = ()) -> int:
        """A posting under the keys' source, by anybody who may post; gives its number."""
        with transaction.atomic():
            draft = TransactionDraft(kind, "keys", reference, NOW, legs)
            (posted,) = journal.post([draft], actor="mallory", now=NOW)
        return posted.transaction_id


@pytest.fixture
def ring(database: DatabaseUrls) -> Ring:
    book = Logbook()
    revoked, _ = current_signing_key()
    prepare_next_key(actor="op", now=NOW)
    retired = rotate(actor="op", now=NOW).current.kid
    prepare_next_key(actor="op", now=NOW)
    current = rotate(actor="op", now=NOW).current.kid
    revoke(revoked, "Stolen.", actor="op", now=NOW)
    following = prepare_next_key(actor="op", now=NOW).kid
    assert findings(audit()) == {}
    return Ring(book, revoked, retired, current, following)


def of_keys(scope: AuditScope = AuditScope.FULL) -> list[tuple[str, str]]:
    return findings(audit("signing_keys", scope=scope)).get("signing_keys", [])


@pytest.mark.parametrize("scope", AuditScope)
def test_a_revoked_key_that_is_made_to_look_good_again_is_found(
    ring: Ring, database: DatabaseUrls, scope: AuditScope
) -> None:
    tamper(database, "UPDATE ledger_signingkey SET state = 'retired' WHERE kid = %s", [ring.revoked])
    found = [(f"signing key {ring.revoked}", "it is retired, by the journal's last record it is revoked")]
    assert of_keys(scope) == found


@pytest.mark.parametrize(
    ("what", "subjects"),
    [
        ("UPDATE ledger_signingkey SET state = 'revoked' WHERE state = 'retired'", ["signing key {0.retired}"]),
        ("UPDATE ledger_signingkey SET state = 'revoked' WHERE state = 'next'", ["signing key {0.following}"]),
        ("DELETE FROM ledger_signingkey WHERE state = 'next'", ["transaction 9"]),
        (
            "INSERT INTO ledger_signingkey (kid, public_jwk, private_key_encrypted, custody, label, state, valid_from)"
            " SELECT 'mine', public_jwk, private_key_encrypted, custody, label, 'next', valid_from"
            " FROM ledger_signingkey WHERE state = 'revoked'",
            ["signing key mine"],
        ),
        (
            "UPDATE ledger_signingkey SET kid = 'mine' WHERE state = 'next'",
            ["transaction 9", "signing key mine"],
        ),
        (
            "UPDATE ledger_transaction SET reference = '{0.revoked}/suspended' WHERE reference = '{0.revoked}/revoked'",
            ["transaction 8", "signing key {0.revoked}"],
        ),
        ("UPDATE ledger_transaction SET kind = 'gift' WHERE id = 9", ["transaction 9", "signing key {0.following}"]),
        ("UPDATE ledger_transaction SET source = 'x' WHERE id = 9", ["signing key {0.following}"]),
    ],
)
def test_what_the_owner_changes_is_found(ring: Ring, database: DatabaseUrls, what: str, subjects: list[str]) -> None:
    tamper(database, what.format(ring))
    assert [subject for subject, _ in of_keys()] == [subject.format(ring) for subject in subjects]


@pytest.mark.parametrize(
    "reference",
    [
        "x/y",
        "nothing",
        "/current",
        "{0.current}",
        "{0.current}/",
        "{0.current}/lost",
        "x/current",
        "x/{0.current}/retired",
    ],
)
def test_a_posting_that_is_no_record_of_a_key_disturbs_nothing_and_is_found(ring: Ring, reference: str) -> None:
    before = public_jwks()
    number = ring.post(reference.format(ring))
    assert public_jwks() == before
    assert check(ring.book.publish().note).ok
    assert found_by(audit()) == {"signing_keys": [f"transaction {number}"]}
    rotate(actor="op", now=NOW)
    assert check(ring.book.publish().note).ok


def test_a_record_out_of_turn_or_with_legs_is_found(ring: Ring) -> None:
    early = ring.post(f"{ring.current}/revoked")
    back = ring.post(f"{ring.revoked}/next")
    cash = ring.book.deposit(ring.book.ada, 5).legs
    paid = ring.post(f"{ring.following}/current", legs=cash)
    assert of_keys() == [
        (f"transaction {early}", f"it makes key {ring.current} revoked, which was current"),
        (f"transaction {back}", f"it makes key {ring.revoked} next, which was revoked"),
        (
            f"transaction {paid}",
            f"its source is keys, but '{ring.following}/current' of kind 'signing_key' with 2 legs is no record of a"
            " key of the ring",
        ),
        (f"signing key {ring.revoked}", "it is revoked, by the journal's last record it is next"),
        (f"signing key {ring.current}", "it is current, by the journal's last record it is revoked"),
    ]


def test_a_key_of_the_first_release_is_put_on_record_once(ring: Ring, database: DatabaseUrls) -> None:
    tamper(database, "UPDATE ledger_transaction SET source = 'x' WHERE reference LIKE %s", [f"{ring.current}/%"])
    told = "it is current, by the journal's last record it is not there at all"
    assert of_keys() == [(f"signing key {ring.current}", told)]
    for _ in range(2):
        assert ensure_current_key(actor="op", now=NOW) == SigningKey.objects.get(kid=ring.current)
    assert of_keys() == []
    published = {key["kid"]: key for key in public_jwks()["keys"]}
    assert published[ring.current]["log_since"] == ring.book.publish().size
