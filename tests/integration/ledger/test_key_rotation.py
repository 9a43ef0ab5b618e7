from __future__ import annotations

import base64
import json
import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from ledger.errors import NotFound, ReasonMissing
from ledger.keys.errors import SigningKeyState
from ledger.keys.ring import current_signing_key, ensure_current_key, public_jwks
from ledger.keys.rotation import OVERLAP, prepare_next_key, revoke, rotate
from ledger.log.checkpoints import get_checkpoint, latest_checkpoint, publish_checkpoint
from ledger.log.note import checkpoint_text, sign_note, verify_note
from ledger.log.proofs import prove_consistency, prove_transaction
from ledger.log.tree import lock_log
from ledger.models import ActionLog, Batch, SigningKey, Transaction
from ledger.verify import parse_vkey
from tests.conftest import DatabaseUrls
from tests.integration.ledger.logbook import NOW, Logbook, check

LATER = NOW + timedelta(days=30)


@pytest.fixture
def book(database: DatabaseUrls) -> Logbook:
    return Logbook()


def states() -> dict[str, str]:
    return dict(SigningKey.objects.values_list("kid", "state"))


def history() -> list[tuple[str, int]]:
    """(kid/state, batch) of every change, from the journal."""
    rows = Transaction.objects.filter(source="keys", kind="signing_key").order_by("id")
    return list(rows.values_list("reference", "batch_no"))


def test_keys_follow_each_other_and_the_journal_holds_their_history(book: Logbook) -> None:
    first, _ = current_signing_key()
    following = prepare_next_key(actor="olga", now=NOW)
    assert prepare_next_key(actor="olga", now=LATER) == following
    assert current_signing_key()[0] == first
    done = rotate(actor="otto", now=LATER, reason="yearly")
    assert (done.current.kid, done.retired.kid) == (following.kid, first)
    assert current_signing_key()[0] == following.kid
    revoke(first, "The laptop was stolen.", actor="otto", now=LATER)
    assert states() == {first: "revoked", following.kid: "current"}
    assert history() == [
        (f"{first}/current", 1),
        (f"{following.kid}/next", 2),
        (f"{first}/retired", 3),
        (f"{following.kid}/current", 3),
        (f"{first}/revoked", 4),
    ]
    acts = ActionLog.objects.filter(subject__startswith="signing_key:").order_by("id")
    assert list(acts.values_list("action", "actor", "reason")) == [
        ("make_signing_key", "test", ""),
        ("make_signing_key", "olga", ""),
        ("rotate_signing_key", "otto", "yearly"),
        ("revoke_signing_key", "otto", "The laptop was stolen."),
    ]


def test_the_key_set_keeps_all_keys_with_the_sizes_they_sign(book: Logbook) -> None:
    first, _ = current_signing_key()
    book.trade(2)
    following = prepare_next_key(actor="test", now=NOW).kid
    rotate(actor="test", now=LATER)
    published = {key["kid"]: key for key in public_jwks()["keys"]}
    assert (published[first]["status"], published[first]["log_since"], published[first]["log_until"]) == (
        "retired",
        1,
        5,
    )
    assert published[first]["exp"] == int((LATER + OVERLAP).timestamp())
    assert published[following]["log_since"] == 5
    assert "log_until" not in published[following]
    for key in published.values():
        assert base64.urlsafe_b64encode(parse_vkey(key["vkey"]).public).decode() == key["x"] + "="
        assert "d" not in key


def test_checkpoints_of_a_retired_key_stay_verifiable_for_its_time_and_no_longer(book: Logbook) -> None:
    book.trade(3)
    old = book.publish()
    _, old_key = current_signing_key()
    proof = prove_transaction(2, party_id=book.ada)
    prepare_next_key(actor="test", now=NOW)
    rotate(actor="test", now=LATER)
    new = book.publish()
    assert new.size == old.size + 2
    for document in (old.note, new.note, proof, prove_consistency(old.size, new.size)):
        assert check(document).ok
    # The retired key, stolen now, signs another history of the new size: nobody believes it.
    text = new.note.split("\n\n")[0] + "\n"
    forged = sign_note(text, "tokenbourse.localhost/ledger", old_key)
    assert "signs checkpoints of size 1 and up and below 6" in check(forged).text()


def test_nothing_a_revoked_key_signed_is_believed_but_the_log_goes_on(book: Logbook) -> None:
    book.trade(3)
    old = book.publish()
    first, _ = current_signing_key()
    prepare_next_key(actor="test", now=NOW)
    rotate(actor="test", now=LATER)
    revoke(first, "Stolen.", actor="test", now=LATER)
    new = book.publish()
    assert check(new.note).ok
    assert "was revoked" in check(old.note).text()
    assert "was revoked" in check(prove_consistency(old.size, new.size)).text()
    assert check(prove_consistency(old.size, new.size), trusted=old.note).ok
    assert check(prove_transaction(2, party_id=book.ada)).ok


def test_what_keys_cannot_do_is_refused_and_changes_nothing(book: Logbook) -> None:
    current, _ = current_signing_key()
    with pytest.raises(SigningKeyState, match="No next key"):
        rotate(actor="test", now=NOW)
    with pytest.raises(SigningKeyState, match="current key cannot be revoked"):
        revoke(current, "Stolen.", actor="test", now=NOW)
    with pytest.raises(ReasonMissing):
        revoke(current, "  ", actor="test", now=NOW)
    with pytest.raises(NotFound):
        revoke("unknown", "Stolen.", actor="test", now=NOW)
    assert states() == {current: "current"}
    assert len(history()) == 1


def test_a_next_key_that_leaked_is_revoked_before_it_signs_anything(book: Logbook) -> None:
    leaked = prepare_next_key(actor="test", now=NOW)
    assert revoke(leaked.kid, "Leaked.", actor="test", now=NOW) == revoke(leaked.kid, "Again.", actor="test", now=LATER)
    following = prepare_next_key(actor="test", now=NOW)
    assert following.kid != leaked.kid
    rotate(actor="test", now=LATER)
    assert states()[following.kid] == "current"
    assert check(book.publish().note).ok


def test_a_next_key_signs_nothing_that_is_believed(book: Logbook) -> None:
    seed = bytes(range(100, 132))
    prepare_next_key(actor="test", now=NOW, entropy=lambda size: seed[:size])
    with transaction.atomic():  # as if it were the current one
        SigningKey.objects.filter(state="current").update(state="retired")
        SigningKey.objects.filter(state="next").update(state="current")
        _, key = current_signing_key()
        transaction.set_rollback(True)
    forged = sign_note(
        checkpoint_text("tokenbourse.localhost/ledger", 2, bytes(32)), "tokenbourse.localhost/ledger", key
    )
    assert "has not come into use" in check(forged).text()


def test_a_checkpoint_is_never_signed_in_the_middle_of_a_change(book: Logbook, database: DatabaseUrls) -> None:
    """A publisher that waits while the key changes signs with the new key, and so within its sizes."""
    prepare_next_key(actor="test", now=NOW)

    def publish() -> None:
        try:
            publish_checkpoint(now=NOW)
        finally:
            connections.close_all()

    with transaction.atomic():
        lock_log()
        publisher = threading.Thread(target=publish)
        publisher.start()
        wait_for_a_waiter()
        rotate(actor="test", now=LATER)
    publisher.join(timeout=30)
    newest = latest_checkpoint()
    assert newest is not None
    assert newest.size == Batch.objects.count() == 3
    assert check(newest.note).ok


def wait_for_a_waiter() -> None:
    for _ in range(3_000):
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
                " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
            )
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.01)")
    pytest.fail("the publisher does not wait for the log's lock")


def test_the_first_key_is_made_once_and_recorded(database: DatabaseUrls) -> None:
    with pytest.raises(NotFound, match="ensure_signing_key"):
        current_signing_key()
    call_command("ensure_signing_key", "--actor", "olga")
    call_command("ensure_signing_key")
    assert ensure_current_key(actor="test", now=NOW).kid == current_signing_key()[0]
    ((reference, batch),) = history()
    assert (reference, batch) == (f"{current_signing_key()[0]}/current", 1)


def test_the_commands_rotate_with_clear_messages(book: Logbook, capsys: pytest.CaptureFixture[str]) -> None:
    old, _ = current_signing_key()
    with pytest.raises(CommandError, match="prepare_signing_key"):
        call_command("rotate_signing_key")
    call_command("prepare_signing_key")
    following = capsys.readouterr().out.strip()
    call_command("rotate_signing_key", "--reason", "yearly")
    assert capsys.readouterr().out == f"{following} signs from now on; {old} is retired.\n"
    with pytest.raises(CommandError, match="current key cannot be revoked"):
        call_command("revoke_signing_key", following, "--reason", "x")
    call_command("revoke_signing_key", old, "--reason", "x")
    assert capsys.readouterr().out == f"{old} is revoked.\n"


def test_the_published_key_verifies_notes_by_itself(book: Logbook) -> None:
    book.publish()
    (key,) = json.loads(json.dumps(public_jwks()))["keys"]
    name, _, _ = key["vkey"].split("+", 2)
    assert verify_note(get_checkpoint(1).note, name, parse_vkey(key["vkey"]).public).size == 1
