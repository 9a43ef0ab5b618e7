"""What the posting door does for its callers. How the database itself holds out is in `test_database_defences`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.db import transaction

from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg
from ledger.errors import (
    AccountFrozen,
    DomainError,
    HoldExceeded,
    InsufficientFunds,
    InvalidAmount,
    InvalidText,
    ReferenceConflict,
)
from ledger.leaf import GENESIS, batch_record
from ledger.merkle import leaf_hash
from ledger.models import Account, AccountChange, Batch, Entry, HoldEntry, LedgerHead, Transaction
from ledger.texts import MAX_ACTOR, MAX_KIND, MAX_REF, MAX_REFERENCE, MAX_SOURCE
from tests.conftest import DatabaseUrls
from tests.integration.ledger.books import NOW, Books, post


@pytest.fixture
def books(database: DatabaseUrls) -> Books:
    return Books()


def test_a_batch_posts_in_order_and_seals_itself(books: Books) -> None:
    first = post(books.deposit(books.ada, 100, "d1"))
    second = post(books.move("m1", 60), books.move("m2", 40))
    assert [posted.transaction_id for posted in first + second] == [1, 2, 3]
    assert (books.balance(books.ada), books.balance(books.bob)) == ((0, 0), (100, 0))
    entries = Entry.objects.filter(account_id=Account.objects.get(party_id=books.ada, role="cash").id)
    assert [(entry.account_seq, entry.amount, entry.balance_after) for entry in entries.order_by("account_seq")] == [
        (1, 100, 100),
        (2, -60, 40),
        (3, -40, 0),
    ]
    batches = list(Batch.objects.order_by("no"))
    assert [batch.no for batch in batches] == [1, 2]
    assert bytes(batches[0].previous) == GENESIS
    assert bytes(batches[1].previous) == bytes(batches[0].hash)
    for batch in batches:
        record = batch_record(
            no=batch.no,
            first_transaction=batch.first_transaction,
            last_transaction=batch.last_transaction,
            posted_at=batch.posted_at,
            root=bytes(batch.root),
            previous=bytes(batch.previous),
        )
        assert bytes(batch.hash) == leaf_hash(record)
    head = LedgerHead.objects.get()
    assert (head.version, head.last_transaction, bytes(head.last_batch_hash)) == (2, 3, bytes(batches[1].hash))


def test_an_identical_repeat_returns_the_first_result_and_writes_nothing(books: Books) -> None:
    (first,) = post(books.deposit(books.ada, 100, "d1"))
    (again,) = post(books.deposit(books.ada, 100, "d1"))
    assert again == replace(first, repeated=True)
    assert Transaction.objects.count() == 1
    twice = post(books.move("m1", 1), books.move("m1", 1))
    assert [posted.repeated for posted in twice] == [False, True]
    assert books.balance(books.bob) == (1, 0)


@pytest.mark.parametrize("field", ["kind", "effective_at", "legs"])
def test_a_used_reference_with_other_content_names_the_field(books: Books, field: str) -> None:
    post(books.deposit(books.ada, 100, "d1"))
    other = {
        "kind": replace(books.deposit(books.ada, 100, "d1"), kind="other"),
        "effective_at": replace(books.deposit(books.ada, 100, "d1"), effective_at=NOW.replace(hour=9)),
        "legs": books.deposit(books.ada, 101, "d1"),
    }[field]
    with pytest.raises(ReferenceConflict) as conflict:
        post(other)
    assert conflict.value.fields["field"] == field
    assert books.balance(books.ada) == (100, 0)


def test_an_overdraft_by_one_micro_is_refused_with_its_figures_and_changes_nothing(books: Books) -> None:
    post(books.deposit(books.ada, 100, "d1"))
    with pytest.raises(InsufficientFunds) as refused:
        post(books.move("m1", 50), books.move("m2", 51))
    assert refused.value.fields["balance"] == "-0.000001"
    assert books.balance(books.ada) == (100, 0)
    assert Transaction.objects.count() == 1


def test_what_is_held_cannot_be_spent(books: Books) -> None:
    post(books.deposit(books.ada, 100, "d1"), books.hold("h1", books.ada, 70))
    for draft in (books.move("m1", 31), books.hold("h2", books.ada, 31)):
        with pytest.raises(InsufficientFunds):
            post(draft)
    post(books.move("m2", 30))
    with pytest.raises(HoldExceeded):
        post(books.hold("h3", books.ada, -71))
    spend_the_hold = books.draft(
        "m3",
        Leg(books.cash(books.ada), -70),
        Leg(books.cash(books.bob), 70),
        holds=(HoldChange(books.cash(books.ada), -70),),
    )
    post(spend_the_hold)
    assert (books.balance(books.ada), books.balance(books.bob)) == ((0, 0), (100, 0))


def test_every_change_of_a_hold_leaves_its_row(books: Books) -> None:
    post(books.deposit(books.ada, 100, "d1"))
    two = (HoldChange(books.cash(books.ada), 70, "order/1"), HoldChange(books.cash(books.ada), -20, "order/1"))
    (posted,) = post(books.draft("h1", holds=two))
    post(books.hold("h2", books.ada, -50))
    rows = HoldEntry.objects.order_by("hold_seq").values_list("hold_seq", "position", "delta", "held_after", "ref")
    assert list(rows) == [(1, 1, 70, 70, "order/1"), (2, 2, -20, 50, "order/1"), (3, 1, -50, 0, "")]
    assert HoldEntry.objects.filter(transaction_id=posted.transaction_id).count() == 2
    assert books.account(books.ada).hold_seq == 3


def test_one_batch_may_move_holds_up_and_down_around_its_legs(books: Books) -> None:
    post(books.deposit(books.ada, 100, "d1"), books.deposit(books.bob, 10, "d2"), books.hold("h1", books.ada, 100))
    post(  # ada's hold falls before it is spent, bob's rises only after the money has come
        books.draft("m1", *books.move("", 100).legs, holds=books.hold("", books.ada, -100).holds),
        books.hold("h2", books.bob, 110),
    )
    assert (books.balance(books.ada), books.balance(books.bob)) == ((0, 0), (110, 110))


def test_a_long_lived_writer_remembers_accounts_until_somebody_else_writes(books: Books) -> None:
    memory = journal.AccountMemory()

    def post_remembering(reference: str, amount: int) -> None:
        with transaction.atomic():
            journal.post([books.move(reference, amount)], actor="test", now=NOW, memory=memory)

    post(books.deposit(books.ada, 100, "d1"))
    post_remembering("m1", 10)
    post_remembering("m2", 10)
    post(books.move("elsewhere", 50))
    post_remembering("m3", 30)
    with pytest.raises(InsufficientFunds):
        post_remembering("m4", 1)
    post(books.deposit(books.ada, 1, "d2"))
    post_remembering("m5", 1)
    assert books.balance(books.bob) == (101, 0)


def test_what_was_rolled_back_is_not_remembered(books: Books) -> None:
    memory = journal.AccountMemory()
    post(books.deposit(books.ada, 100, "d1"))
    for reference in ("m1", "m2"):
        with transaction.atomic():
            journal.post([books.move(reference, 40)], actor="test", now=NOW, memory=memory)
            transaction.set_rollback(reference == "m1")
    assert books.balance(books.bob) == (40, 0)


@pytest.mark.parametrize("size", [1, journal.ENTERED_AT_ONCE, journal.ENTERED_AT_ONCE + 1])
def test_a_batch_of_any_size_is_one_batch(books: Books, size: int) -> None:
    post(books.deposit(books.ada, size, "d1"))
    post(*(books.move(f"m{number}", 1) for number in range(size)))
    assert books.balance(books.bob) == (size, 0)
    assert Batch.objects.latest("no").count == size


def test_posting_times_never_fall(books: Books) -> None:
    for reference, hour in (("d1", 12), ("d2", 11), ("d3", 13)):
        with transaction.atomic():
            journal.post([books.deposit(books.ada, 1, reference)], actor="test", now=NOW.replace(hour=hour))
    assert [posted.posted_at.hour for posted in Transaction.objects.order_by("id")] == [12, 12, 13]
    assert [batch.posted_at.hour for batch in Batch.objects.order_by("no")] == [12, 12, 13]


def test_a_hold_may_rest_on_a_deposit_of_the_same_batch(books: Books) -> None:
    post(books.deposit(books.ada, 10, "d1"), books.hold("h1", books.ada, 10))
    assert books.balance(books.ada) == (10, 10)


def test_a_frozen_account_takes_money_and_gives_none(books: Books) -> None:
    post(books.deposit(books.ada, 100, "d1"))
    with transaction.atomic():
        journal.set_flags(books.cash(books.ada), frozen=True, closed=False, actor="op", reason="test", now=NOW)
    post(books.deposit(books.ada, 1, "d2"))
    with pytest.raises(AccountFrozen):
        post(books.move("m1", 1))
    change = AccountChange.objects.get()
    assert (change.what, change.before, change.after, change.actor) == (
        "flags",
        "frozen=f closed=f",
        "frozen=t closed=f",
        "op",
    )


def test_a_floor_moves_with_evidence_and_never_above_what_stands(books: Books) -> None:
    key = books.cash(books.ada)
    post(books.deposit(books.ada, 100, "d1"))
    with transaction.atomic():
        journal.set_floors({key: 40}, actor="op", reason="collateral", now=NOW)
    with pytest.raises(InsufficientFunds):
        post(books.move("m1", 61))
    with pytest.raises(InsufficientFunds), transaction.atomic():
        journal.set_floors({key: 101}, actor="op", reason="too much", now=NOW)
    assert [change.after for change in AccountChange.objects.all()] == ["40"]


def test_a_role_on_the_wrong_kind_of_asset_is_refused(books: Books) -> None:
    wrong = AccountKey(books.ada, books.currency, Role.ENTITLEMENT)
    with pytest.raises(InvalidAmount):
        post(books.draft("x", Leg(wrong, 1), Leg(books.cash(books.bob), -1)))


def test_the_ledger_is_not_written_outside_a_transaction(books: Books) -> None:
    with pytest.raises(RuntimeError):
        journal.post([books.deposit(books.ada, 1, "d1")], actor="test", now=NOW)


def test_amounts_beyond_64_bits_are_refused(books: Books) -> None:
    post(books.deposit(books.ada, 2**63 - 1, "d1"))
    with pytest.raises(InvalidAmount):
        post(books.deposit(books.ada, 1, "d2"))
    with pytest.raises(DomainError):
        books.deposit(books.ada, 2**63, "d3")


def test_texts_of_the_greatest_length_are_posted_as_they_are(books: Books) -> None:
    actor, ref = "人" * MAX_ACTOR, "é" * MAX_REF
    draft = replace(
        books.deposit(books.ada, 5, "参" * MAX_REFERENCE),
        kind="k" * MAX_KIND,
        source="源" * MAX_SOURCE,
        legs=tuple(Leg(leg.account, leg.amount, ref) for leg in books.deposit(books.ada, 5, "").legs),
        holds=(HoldChange(books.cash(books.ada), 1, ref),),
    )
    with transaction.atomic():
        (posted,) = journal.post([draft], actor=actor, now=NOW)
        journal.set_floors({books.cash(books.ada): 1}, actor=actor, reason="test", now=NOW)
    stored = Transaction.objects.get(id=posted.transaction_id)
    assert (stored.kind, stored.source, stored.reference) == (draft.kind, draft.source, draft.reference)
    assert {stored.actor, Batch.objects.get().actor, AccountChange.objects.get().actor} == {actor}
    assert {*Entry.objects.values_list("ref", flat=True), *HoldEntry.objects.values_list("ref", flat=True)} == {ref}


@pytest.mark.parametrize("actor", ["x" * (MAX_ACTOR + 1), "nul\0", "half \ud83d"])
def test_an_actor_that_cannot_be_stored_is_refused_at_every_way_in(books: Books, actor: str) -> None:
    post(books.deposit(books.ada, 100, "d1"))
    key = books.cash(books.ada)
    ways: tuple[Callable[[], object], ...] = (
        lambda: journal.post([books.move("m1", 1)], actor=actor, now=NOW),
        lambda: journal.set_floors({key: 1}, actor=actor, reason="test", now=NOW),
        lambda: journal.set_flags(key, frozen=True, closed=False, actor=actor, reason="test", now=NOW),
    )
    with transaction.atomic():  # it goes on: nothing has reached the database
        for way in ways:
            with pytest.raises(InvalidText) as refused:
                way()
            assert refused.value.fields["field"] == "actor"
    assert (books.balance(books.ada), Batch.objects.count(), AccountChange.objects.count()) == ((100, 0), 1, 0)
