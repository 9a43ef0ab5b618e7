from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.errors import AccountFrozen, DomainError, HoldExceeded, InsufficientFunds, InvalidAmount, ReferenceConflict
from ledger.models import Account, AccountChange, Batch, Entry, LedgerHead, PartyKind, Transaction
from ledger.parties.commands import register_currency, register_party
from tests.conftest import DatabaseUrls

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)


class Books:
    """A house, two parties and a currency."""

    def __init__(self) -> None:
        self.currency = register_currency("CNY", actor="test", now=NOW).id
        self.house, self.ada, self.bob = (
            register_party(code, code, kind, actor="test", now=NOW).id
            for code, kind in (("house", PartyKind.HOUSE), ("ada", PartyKind.BUYER), ("bob", PartyKind.BUYER))
        )

    def cash(self, party: int) -> AccountKey:
        return AccountKey(party, self.currency, Role.CASH)

    def deposit(self, party: int, amount: int, reference: str) -> TransactionDraft:
        external = AccountKey(self.house, self.currency, Role.EXTERNAL)
        return self.draft(reference, Leg(external, -amount), Leg(self.cash(party), amount))

    def draft(self, reference: str, *legs: Leg, holds: tuple[HoldChange, ...] = ()) -> TransactionDraft:
        return TransactionDraft("test", "test", reference, NOW, legs, holds)

    def move(self, reference: str, amount: int) -> TransactionDraft:
        return self.draft(reference, Leg(self.cash(self.ada), -amount), Leg(self.cash(self.bob), amount))

    def hold(self, reference: str, party: int, delta: int) -> TransactionDraft:
        return self.draft(reference, holds=(HoldChange(self.cash(party), delta),))

    def balance(self, party: int) -> tuple[int, int]:
        account = Account.objects.get(party_id=party, role=Role.CASH)
        return account.balance, account.held


def post(*drafts: TransactionDraft) -> tuple[journal.Posted, ...]:
    with transaction.atomic():
        return journal.post(drafts, actor="test", now=NOW)


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
    assert bytes(batches[1].previous) == bytes(batches[0].hash)
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
        journal.set_floor(key, 40, actor="op", reason="collateral", now=NOW)
    with pytest.raises(InsufficientFunds):
        post(books.move("m1", 61))
    with pytest.raises(InsufficientFunds), transaction.atomic():
        journal.set_floor(key, 101, actor="op", reason="too much", now=NOW)
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


class TestTheDatabaseDefendsItself:
    """What the application's own role cannot do with SQL of its own."""

    @pytest.fixture(autouse=True)
    def funded(self, books: Books) -> None:
        post(books.deposit(books.ada, 100, "d1"))

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE ledger_account SET balance = balance + 1",
            "UPDATE ledger_account SET held = 0",
            "UPDATE ledger_account SET floor = -1000",
            "DELETE FROM ledger_account",
            "UPDATE ledger_entry SET amount = 1",
            "DELETE FROM ledger_entry",
            "TRUNCATE ledger_entry",
            "UPDATE ledger_transaction SET kind = 'x'",
            "DELETE FROM ledger_batch",
            "INSERT INTO ledger_accountchange (account_id, what, before, after, actor, reason, at, head_version)"
            " VALUES (1, 'floor', '0', '1', 'me', 'because', now(), 1)",
            "DELETE FROM ledger_ledgerhead",
            "CREATE TABLE mine (id int)",
            "ALTER TABLE ledger_entry DISABLE TRIGGER ALL",
            "SELECT make_append_only('ledger_account')",
            "UPDATE ledger_asset SET scale = 0",
            "UPDATE ledger_party SET kind = 'house'",
            "DELETE FROM ledger_party",
        ],
    )
    def test_the_role_lacks_the_right(self, statement: str) -> None:
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), connection.cursor() as cursor:
            cursor.execute(statement)

    def test_the_posting_trigger_cannot_be_put_on_a_table_of_ones_own(self) -> None:
        steal = "CREATE TRIGGER steal AFTER INSERT ON mine REFERENCING NEW TABLE AS fresh"
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE mine (LIKE ledger_entry)")
            with pytest.raises(ProgrammingError, match="permission denied"):
                cursor.execute(f"{steal} FOR EACH STATEMENT EXECUTE FUNCTION ledger_apply_entries()")

    def test_no_account_but_an_obligation_gets_credit(self, books: Books) -> None:
        cash = Account.objects.get(party_id=books.ada, role="cash").id
        with pytest.raises(IntegrityError, match="credit_for_obligations"), connection.cursor() as cursor:
            cursor.execute("SELECT ledger_set_floor(%s, -1, 'me', 'because', now())", [cash])

    @pytest.mark.parametrize(
        ("rule", "rows"),
        [
            ("sums to", [(2, 2, 1, 50, 150)]),
            ("running balance", [(2, 2, 1, 50, 150), (2, 3, 2, -50, 101)]),
            ("running balance", [(2, 2, 1, 50, 150), (2, 4, 2, -50, 100)]),
            ("stand elsewhere", [(2, 3, 1, 50, 150), (2, 4, 2, -50, 100)]),
            ("stand elsewhere", [(2, 2, 1, 50, 151), (2, 3, 2, -50, 101)]),
            ("stand elsewhere", [(99, 1, 1, 50, 50), (99, 2, 2, -50, 0)]),
        ],
    )
    def test_entries_that_do_not_follow_are_refused(
        self, books: Books, rule: str, rows: list[tuple[int, int, int, int, int]]
    ) -> None:
        cash = Account.objects.get(party_id=books.ada, role="cash").id
        columns = [list(column) for column in zip(*rows, strict=True)]
        columns[0] = [cash if account == 2 else account for account in columns[0]]
        with pytest.raises(IntegrityError, match=rule), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO ledger_entry (transaction_id, account_id, account_seq, leg, asset_id, amount,"
                " balance_after, ref) SELECT 2, account, seq, leg, %s, amount, after, '' FROM unnest(%s::bigint[],"
                " %s::bigint[], %s::int[], %s::bigint[], %s::bigint[]) AS row(account, seq, leg, amount, after)",
                [books.currency, *columns],
            )

    def test_nothing_is_added_to_a_sealed_transaction(self, books: Books) -> None:
        cash = Account.objects.get(party_id=books.ada, role="cash").id
        with pytest.raises(IntegrityError, match="sealed"), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO ledger_entry (transaction_id, account_id, account_seq, leg, asset_id, amount,"
                " balance_after, ref) VALUES (1, %s, 2, 3, %s, 5, 105, ''), (1, %s, 3, 4, %s, -5, 100, '')",
                [cash, books.currency, cash, books.currency],
            )

    def test_an_account_opens_empty(self, books: Books) -> None:
        with pytest.raises(IntegrityError, match="opens empty"), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO ledger_account (party_id, asset_id, role, qualifier, balance, held, seq, floor, frozen,"
                " closed) VALUES (%s, %s, 'cash', 'mine', 1000, 0, 0, 0, false, false)",
                [books.bob, books.currency],
            )

    def test_the_head_moves_forward_only(self) -> None:
        with pytest.raises(IntegrityError, match="forward"), connection.cursor() as cursor:
            cursor.execute("UPDATE ledger_ledgerhead SET version = version + 1, last_transaction = 0")

    def test_even_the_owner_cannot_edit_history(self, database: DatabaseUrls) -> None:
        for statement in (
            "UPDATE ledger_entry SET amount = 1",
            "DELETE FROM ledger_transaction",
            "TRUNCATE ledger_batch",
        ):
            with (
                psycopg.connect(database.owner_url) as owner,
                pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"),
            ):
                owner.execute(statement)
