"""SQL that goes around the posting door, typed by the application's own role: each attack meets a refusal.

What cannot be refused, since it looks like any posting, is a finding of the audit (`test_audit_attacks`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from ledger import journal
from ledger.keys.ring import ensure_current_key
from ledger.keys.rotation import prepare_next_key, revoke, rotate
from ledger.models import Account, Entry, HoldEntry, LedgerHead, Transaction
from tests.conftest import DatabaseUrls
from tests.integration.ledger.books import NOW, Books, EntrySql, enter, hold, post, seal, sql

BIGGEST = 2**63 - 1

BEYOND_THE_ROLE = (
    "UPDATE ledger_account SET balance = balance + 1",
    "UPDATE ledger_account SET held = 0",
    "UPDATE ledger_account SET floor = -1000",
    "UPDATE ledger_account SET frozen = false",
    "DELETE FROM ledger_account",
    "TRUNCATE ledger_account CASCADE",
    "UPDATE ledger_entry SET amount = 1",
    "DELETE FROM ledger_entry",
    "TRUNCATE ledger_entry",
    "UPDATE ledger_holdentry SET delta = 1",
    "DELETE FROM ledger_holdentry",
    "UPDATE ledger_transaction SET kind = 'x'",
    "DELETE FROM ledger_transaction",
    "INSERT INTO ledger_transaction SELECT * FROM ledger_transaction",
    "DELETE FROM ledger_batch",
    "INSERT INTO ledger_batch SELECT * FROM ledger_batch",
    "UPDATE ledger_checkpoint SET size = 1",
    "DELETE FROM ledger_lognode",
    "DELETE FROM ledger_periodseal",
    "UPDATE ledger_auditrun SET findings = 0",
    "INSERT INTO ledger_accountchange (account_id, what, before, after, actor, reason, at, head_version)"
    " VALUES (1, 'floor', '0', '1', 'me', 'because', now(), 1)",
    "DELETE FROM ledger_ledgerhead",
    "INSERT INTO ledger_ledgerhead SELECT * FROM ledger_ledgerhead",
    "UPDATE ledger_ledgerhead SET last_transaction = 1000",
    "UPDATE ledger_ledgerhead SET version = version + 1",
    "UPDATE ledger_ledgerhead SET entered = false",
    "CREATE TABLE mine (id int)",
    "ALTER TABLE ledger_entry DISABLE TRIGGER ALL",
    "ALTER TABLE ledger_ledgerhead DISABLE TRIGGER ledger_must_be_sealed",
    "DROP FUNCTION ledger_apply_entries CASCADE",
    "SELECT make_append_only('ledger_account')",
    "SELECT ledger_check_restricted(0)",
    "SET session_replication_role = replica",
    "UPDATE ledger_asset SET scale = 0",
    "UPDATE ledger_party SET kind = 'house'",
    "DELETE FROM ledger_party",
)


@pytest.fixture
def books(database: DatabaseUrls) -> Books:
    """Ada has 100; the next transaction is 2, and the head at version 1."""
    books = Books()
    post(books.deposit(books.ada, 100, "d1"))
    return books


def ids(books: Books) -> tuple[int, int]:
    """Ada's cash and the outside world."""
    return books.account(books.ada).id, Account.objects.get(role="external").id


def refused(rule: str, *attack: Callable[[], None]) -> None:
    """The steps, in one database transaction, are refused at the latest when it commits, and nothing is left."""

    @transaction.atomic
    def try_it() -> None:
        for step in attack:
            step()

    before = everything()
    with pytest.raises(IntegrityError, match=rule):
        try_it()
    assert everything() == before


def everything() -> tuple[object, ...]:
    head = LedgerHead.objects.values_list().get()
    return Entry.objects.count(), HoldEntry.objects.count(), Transaction.objects.count(), tuple(map(str, head))


def test_the_role_lacks_the_right(books: Books) -> None:
    for statement in BEYOND_THE_ROLE:
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            sql(statement)


@pytest.mark.parametrize("function", ["ledger_apply_entries", "ledger_apply_holds"])
def test_a_posting_trigger_cannot_be_put_on_a_table_of_ones_own(books: Books, function: str) -> None:
    sql("CREATE TEMPORARY TABLE mine (LIKE ledger_entry)")
    with pytest.raises(ProgrammingError, match="permission denied"):
        sql(
            "CREATE TRIGGER steal AFTER INSERT ON mine REFERENCING NEW TABLE AS fresh"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )


def test_a_one_legged_entry_is_refused(books: Books) -> None:
    cash, _ = ids(books)
    refused("does not sum to 0", lambda: enter(EntrySql(2, cash, 2, 1, books.currency, 50, 150)))


def test_assets_do_not_balance_each_other(books: Books) -> None:
    cash, world = ids(books)
    other = books.currency + 1
    refused(
        "does not sum to 0",
        lambda: enter(EntrySql(2, cash, 2, 1, books.currency, 50, 150), EntrySql(2, world, 2, 2, other, -50, -150)),
    )


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("does not follow", [(0, 2, 1, 50, 150), (0, 3, 2, -50, 101)]),  # wrong running balance inside
        ("does not follow", [(0, 2, 1, 50, 150), (0, 4, 2, -50, 100)]),  # skipped sequence inside
        ("stand elsewhere", [(0, 3, 1, 50, 150), (0, 4, 2, -50, 100)]),  # skipped sequence at the start
        ("stand elsewhere", [(0, 2, 1, 50, 151), (0, 3, 2, -50, 101)]),  # wrong running balance at the start
        ("stand elsewhere", [(99, 1, 1, 50, 50), (99, 2, 2, -50, 0)]),  # unknown account
        ("numbered from 1", [(0, 2, 1, 50, 150), (0, 3, 3, -50, 100)]),
        ("numbered from 1", [(0, 2, 0, 50, 150), (0, 3, 1, -50, 100)]),
        ("entry_leg_once", [(0, 2, 1, 50, 150), (0, 3, 1, -50, 100)]),
        ("entry_amount_not_zero", [(0, 2, 1, 0, 100)]),
    ],
)
def test_entries_that_do_not_follow_are_refused(
    books: Books, rule: str, rows: list[tuple[int, int, int, int, int]]
) -> None:
    cash, _ = ids(books)
    entries = [
        EntrySql(2, account or cash, seq, leg, books.currency, amount, after)
        for account, seq, leg, amount, after in rows
    ]
    refused(rule, lambda: enter(*entries))


def test_the_wrong_asset_is_refused(books: Books) -> None:
    cash, world = ids(books)
    other = books.currency + 1
    entries = (EntrySql(2, cash, 2, 1, other, 50, 150), EntrySql(2, world, 2, 2, other, -50, -150))
    refused("hold another asset", lambda: enter(*entries))


def moved(books: Books, amount: int, *, transaction_id: int = 2) -> tuple[EntrySql, EntrySql]:
    """`amount` from ada to the outside world."""
    cash, world = ids(books)
    return (
        EntrySql(transaction_id, cash, 2, 1, books.currency, -amount, 100 - amount),
        EntrySql(transaction_id, world, 2, 2, books.currency, amount, amount - 100),
    )


def test_an_overdraft_by_one_micro_is_refused(books: Books) -> None:
    refused("account_available_at_least_floor", lambda: enter(*moved(books, 101)))


def test_amounts_at_the_edge_of_64_bits_are_refused_or_exact(books: Books) -> None:
    cash, world = ids(books)
    for amount, after in ((BIGGEST, BIGGEST), (-BIGGEST, -BIGGEST)):
        entries = (
            EntrySql(2, cash, 2, 1, books.currency, amount, after),
            EntrySql(2, world, 2, 2, books.currency, -amount, -after),
        )
        refused("stand elsewhere", partial(enter, *entries))
    with pytest.raises(Exception, match="out of range"), transaction.atomic():
        enter(EntrySql(2, cash, 2, 1, books.currency, BIGGEST + 1, 0))
    post(books.deposit(books.ada, BIGGEST - 100, "as much as fits"))
    assert books.balance(books.ada) == (BIGGEST, 0)


def test_what_is_entered_must_be_sealed(books: Books) -> None:
    refused("no batch seals", lambda: enter(*moved(books, 5)))
    refused("no batch seals", lambda: hold(ids(books)[0], 1, 2, 5, 5))


def test_an_early_check_does_not_spare_the_one_at_the_end(books: Books) -> None:
    refused(
        "no batch seals",
        lambda: sql("SET CONSTRAINTS ALL IMMEDIATE"),
        lambda: enter(*moved(books, 5)),
    )


def test_a_seal_covers_exactly_what_was_entered(books: Books) -> None:
    wrong = [(1,), (3,), (2, 2), (0, 2), (2, 0, 2)]
    for counts in wrong:
        refused(
            "not those of the batch",
            lambda: enter(*moved(books, 5)),
            partial(seal, *counts, version=1),
        )
    refused("not those of the batch", lambda: seal(2, version=1))
    refused("not those of the batch", lambda: enter(*moved(books, 5, transaction_id=9)), lambda: seal(2, version=1))
    refused("not those of the batch", lambda: hold(ids(books)[0], 1, 3, 5, 5), lambda: seal(0, version=1))


def test_a_seal_follows_the_head(books: Books) -> None:
    for version in (0, 2):
        refused("head is at version 1", lambda: enter(*moved(books, 5)), partial(seal, 2, version=version))
    earlier = NOW - timedelta(microseconds=1)
    refused("head is at version 1", lambda: enter(*moved(books, 5)), lambda: seal(2, version=1, at=earlier))
    refused("no root", lambda: enter(*moved(books, 5)), lambda: seal(2, version=1, root="00"))


@pytest.mark.parametrize(
    ("rule", "arguments"),
    [
        ("transaction_digests_whole", {"leaf": "11" * 40}),
        ("transaction_digests_whole", {"leaf": ""}),
        ("head is at version 1", {"at": "9999-06-01Z"}),
        ("head is at version 1", {"at": "20000-01-01Z"}),
        ("head is at version 1", {"at": "infinity"}),
        ("effective_at_readable", {"effective": "infinity"}),
        ("effective_at_readable", {"effective": "0044-03-15Z BC"}),
        ("effective_at_readable", {"effective": "20000-01-01Z"}),
    ],
)
def test_what_no_reader_could_take_is_refused(books: Books, rule: str, arguments: dict[str, str]) -> None:
    refused(rule, lambda: seal(0, version=1, **arguments))  # type: ignore[arg-type]  # texts all


def test_an_account_belongs_to_somebody_who_is_there(books: Books) -> None:
    insert = (
        "INSERT INTO ledger_account (party_id, asset_id, role, qualifier, balance, held, seq, hold_seq, floor, frozen,"
        " closed) VALUES ({}, {}, '{}', '', 0, 0, 0, 0, {}, false, false)"
    )
    for party, asset, role, floor in (
        (9999, books.currency, "external", "NULL"),  # a buyer of that id might be made up afterwards
        (books.bob, 9999, "cash", "0"),
        (books.bob, books.currency, "purse", "0"),
    ):
        refused("does not fit", partial(sql, insert.format(party, asset, role, floor)))
    with pytest.raises(ProgrammingError, match="permission denied"):
        sql("INSERT INTO ledger_account (id, party_id, asset_id, role) VALUES (-1, 1, 1, 'cash')")


def test_sql_that_keeps_every_rule_posts(books: Books) -> None:
    """The control: the attacks above differ from this in one thing each."""
    with transaction.atomic():
        enter(*moved(books, 5))
        hold(ids(books)[0], 1, 2, 7, 7)
        seal(2, version=1)
    assert books.balance(books.ada) == (95, 7)


def test_nothing_is_added_to_a_sealed_transaction(books: Books) -> None:
    cash, _ = ids(books)
    refused(
        "sealed: nothing",
        lambda: enter(
            EntrySql(1, cash, 2, 3, books.currency, 5, 105), EntrySql(1, cash, 3, 4, books.currency, -5, 100)
        ),
    )
    refused("sealed: nothing", lambda: hold(cash, 1, 1, 5, 5))


@pytest.mark.parametrize(
    ("rule", "row"),
    [
        ("account_available_at_least_floor", (1, 101, 101)),  # more than there is
        ("hold_never_negative", (1, -1, -1)),
        ("hold_delta_not_zero", (1, 0, 0)),
        ("hold something else", (2, 5, 5)),  # skipped sequence
        ("hold something else", (1, 5, 6)),  # wrong running figure
    ],
)
def test_holds_that_do_not_follow_are_refused(books: Books, rule: str, row: tuple[int, int, int]) -> None:
    seq, delta, after = row
    refused(rule, lambda: hold(ids(books)[0], seq, 2, delta, after))


def test_no_account_but_an_obligation_gets_credit(books: Books) -> None:
    cash, _ = ids(books)
    refused(
        "credit_for_obligations",
        lambda: sql(f"SELECT ledger_set_floors(ARRAY[{cash}]::bigint[], ARRAY[-1]::bigint[], 'me', 'because', now())"),
    )


def test_a_floor_cannot_be_lost_by_naming_an_account_twice_or_none(books: Books) -> None:
    cash, _ = ids(books)
    for targets, floors in ((f"{cash}, {cash}", "0, 1"), ("999", "0")):
        refused(
            "unknown account, or one twice",
            partial(
                sql,
                f"SELECT ledger_set_floors(ARRAY[{targets}]::bigint[], ARRAY[{floors}]::bigint[], 'me', 'so', now())",
            ),
        )


@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        ("opens empty", "'cash', 'mine', 1000, 0, 0, 0, 0"),
        ("opens empty", "'cash', 'mine', 0, 0, 0, 0, -5"),
        ("floor_by_role", "'cash', 'mine', 0, 0, 0, 0, NULL"),
        ("does not fit", "'external', 'mine', 0, 0, 0, 0, NULL"),
        ("does not fit", "'escrow', 'mine', 0, 0, 0, 0, 0"),
        ("does not fit", "'entitlement', '', 0, 0, 0, 0, 0"),
    ],
)
def test_an_account_opens_empty_and_in_its_place(books: Books, rule: str, columns: str) -> None:
    refused(
        rule,
        lambda: sql(
            "INSERT INTO ledger_account (party_id, asset_id, role, qualifier, balance, held, seq, hold_seq, floor,"
            f" frozen, closed) VALUES ({books.bob}, {books.currency}, {columns}, false, false)"
        ),
    )


def test_a_frozen_account_gives_nothing_and_a_closed_one_takes_nothing(books: Books) -> None:
    def flag(*, frozen: bool, closed: bool, party: int) -> None:
        with transaction.atomic():
            journal.set_flags(books.cash(party), frozen=frozen, closed=closed, actor="op", reason="a test", now=NOW)

    flag(frozen=True, closed=False, party=books.ada)
    refused("is frozen and gives", lambda: enter(*moved(books, 5)), lambda: seal(2, version=2))
    refused("is frozen and gives", lambda: hold(ids(books)[0], 1, 2, 5, 5), lambda: seal(0, version=2))
    post(books.deposit(books.ada, 1, "d2"), books.deposit(books.bob, 1, "d3"))
    post(books.draft("all", *books.deposit(books.bob, -1, "").legs))
    flag(frozen=False, closed=True, party=books.bob)
    bob = books.account(books.bob)
    refused(
        "closed",
        lambda: enter(
            EntrySql(5, bob.id, 3, 1, books.currency, 1, 1), EntrySql(5, bob.id, 4, 2, books.currency, -1, 0)
        ),
    )
    with pytest.raises(IntegrityError, match="for ever"):
        flag(frozen=False, closed=False, party=books.bob)


def test_a_reversal_mirrors_what_it_reverses_and_happens_once(books: Books) -> None:
    refused("does not mirror", lambda: enter(*moved(books, 99)), lambda: seal(2, version=1, reverses=1))
    refused("does not mirror", lambda: enter(*moved(books, 100)), lambda: seal(2, version=1, reverses=2))
    refused("does not mirror", lambda: seal(0, version=1, reverses=1))
    refused("does not mirror", lambda: seal(0, version=1, reverses=-5))
    with transaction.atomic():
        enter(*moved(books, 100))
        seal(2, version=1, reverses=1)
    post(books.deposit(books.ada, 100, "d2"))
    cash, world = ids(books)
    again = (
        EntrySql(4, cash, 4, 1, books.currency, -100, 0),
        EntrySql(4, world, 4, 2, books.currency, 100, 0),
    )
    refused("transaction_reversed_once", lambda: enter(*again), lambda: seal(2, version=3, reverses=1))


def test_the_chain_does_not_fork(books: Books, database: DatabaseUrls) -> None:
    """Not even the owner adds a batch beside the last one."""
    fork = (
        "INSERT INTO ledger_batch (no, first_transaction, last_transaction, count, root, previous, hash, actor,"
        " posted_at) SELECT no + {}, first_transaction + {}, last_transaction + {}, 1, root, previous,"
        " sha256(hash), actor, posted_at FROM ledger_batch"
    )
    for numbers in ((0, 0, 0), (1, 1, 1), (1, 0, 0), (2, 1, 1)):
        with (
            psycopg.connect(database.owner_url) as owner,
            pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="does not follow the last one"),
        ):
            owner.execute(fork.format(*numbers))


@pytest.mark.parametrize(
    ("rule", "statement"),
    [
        ("not the hash of its children", "INSERT INTO ledger_lognode VALUES (1, 0, sha256('junk'))"),
        ("not the hash of its children", "INSERT INTO ledger_lognode VALUES (5, 1000, sha256('junk'))"),
        (
            "not what transaction 1 posted",
            "INSERT INTO ledger_periodseal (period, ends_at, through_transaction, accounts, root, transaction_id,"
            " sealed_at) VALUES ('2026-12-02', now(), 0, 1, sha256('junk'), 1, now())",
        ),
        ("no checkpoint of size 2", "INSERT INTO ledger_checkpoint VALUES (2, sha256('junk'), 'junk', now())"),
        ("no checkpoint of size 0", "INSERT INTO ledger_checkpoint VALUES (0, sha256('junk'), 'junk', now())"),
    ],
)
def test_nobody_takes_the_place_of_evidence_to_come(books: Books, rule: str, statement: str) -> None:
    refused(rule, partial(sql, statement))


def test_a_signing_key_never_goes_back(books: Books) -> None:
    ensure_current_key(actor="test", now=NOW)
    prepare_next_key(actor="test", now=NOW)
    kid = rotate(actor="test", now=NOW).retired.kid
    revoke(kid, reason="stolen", actor="test", now=NOW)
    for state in ("retired", "current", "next"):
        refused("cannot become", partial(sql, f"UPDATE ledger_signingkey SET state = '{state}' WHERE kid = '{kid}'"))
    for statement in ("DELETE FROM ledger_signingkey", "UPDATE ledger_signingkey SET public_jwk = '{}'"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            sql(statement)


@pytest.mark.parametrize(
    "table",
    [
        "ledger_transaction", "ledger_entry", "ledger_holdentry", "ledger_batch", "ledger_accountchange",
        "ledger_checkpoint", "ledger_lognode", "ledger_periodseal", "ledger_auditrun", "ledger_actionlog",
    ],
)  # fmt: skip
def test_even_the_owner_cannot_edit_history(database: DatabaseUrls, table: str) -> None:
    with psycopg.connect(database.owner_url) as owner:
        for statement in (
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
            f"UPDATE {table} SET {first_column(table)} = NULL",
        ):
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
                owner.execute(statement)
            owner.rollback()


def first_column(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = %s LIMIT 1", [table])
        name: str = cursor.fetchone()[0]
    return name


def test_the_owners_own_entries_are_held_to_the_same_rules(books: Books, database: DatabaseUrls) -> None:
    cash, _ = ids(books)
    with psycopg.connect(database.owner_url) as owner:
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="does not sum to 0"):
            enter(EntrySql(2, cash, 2, 1, books.currency, 50, 150), run=owner.execute)
        owner.rollback()
        enter(*moved(books, 5), run=owner.execute)
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="no batch seals"):
            owner.commit()
