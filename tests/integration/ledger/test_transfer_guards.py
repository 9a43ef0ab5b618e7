"""What SQL of one's own cannot do to a transfer, neither as the application's role nor as the owner."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.errors import InsufficientFunds, ReferenceConflict
from ledger.models import Transfer
from ledger.models.transfers import TransferState
from ledger.sql import SQL_FOLDER
from ledger.transfers import approve_transfer, refuse_transfer, request_deposit
from tests.conftest import DatabaseUrls
from tests.integration.ledger.till import LATER, NOW, OLGA, OTTO, Till, open_till, take_back


@pytest.fixture
def till(database: DatabaseUrls) -> Till:
    return open_till()


@pytest.fixture
def asked(till: Till) -> Transfer:
    till.deposit(500)
    return till.ask(100)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ledger_transfer",
        "TRUNCATE ledger_transfer CASCADE",
        "UPDATE ledger_transfer SET micros = micros + 1",
        "UPDATE ledger_transfer SET requested_by = 'somebody else'",
        "UPDATE ledger_transfer SET payment_reference = 'another'",
        "ALTER TABLE ledger_transfer DISABLE TRIGGER ALL",
    ],
)
def test_the_role_lacks_the_right(asked: Transfer, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        # decided, but by the one who asked, or with no word, or without its posting, or with another's
        ("decided_by_another", "state = 'refused', refusal = 'x', decided_by = requested_by, decided_at = now()"),
        ("state_complete", "state = 'refused', decided_by = 'x', decided_at = now()"),
        ("not what transaction", "state = 'posted', decided_by = 'x', decided_at = now()"),
        ("not what transaction", "state = 'posted', decided_by = 'x', decided_at = now(), transaction_id = 1"),
        ("not what transaction", "state = 'posted', decided_by = 'x', decided_at = now(), transaction_id = 99"),
        ("decided once", "refusal = 'not yet'"),
        ("decided once", "state = 'settled', decided_by = 'x', decided_at = now()"),
        ("decided once", "decided_by = 'x', decided_at = now()"),
    ],
)
def test_a_made_up_decision_is_refused(asked: Transfer, rule: str, change: str) -> None:
    with pytest.raises(IntegrityError, match=rule), connection.cursor() as cursor:
        cursor.execute(f"UPDATE ledger_transfer SET {change} WHERE id = %s", [asked.pk])


def test_a_posting_is_of_whoever_decided(till: Till, asked: Transfer) -> None:
    legs = (Leg(till.cash(till.ada), -100), Leg(till.cash(till.bob), 100))
    with transaction.atomic():
        draft = TransactionDraft("withdrawal", "treasury", f"transfer/{asked.pk}", NOW, legs)
        (posted,) = journal.post([draft], actor=OLGA, now=NOW)
    decision = {"state": "posted", "decided_at": NOW, "transaction_id": posted.transaction_id}
    with pytest.raises(IntegrityError, match="not what transaction"), transaction.atomic():
        Transfer.objects.filter(pk=asked.pk).update(decided_by=OTTO, **decision)


def test_a_decision_cannot_be_undone(till: Till, asked: Transfer) -> None:
    refuse_transfer(asked.pk, "No.", actor=OTTO, now=NOW)
    for change in ("state = 'requested', decided_by = '', decided_at = NULL, refusal = ''", "refusal = 'Yes.'"):
        with pytest.raises(IntegrityError, match="decided once"), connection.cursor() as cursor:
            cursor.execute(f"UPDATE ledger_transfer SET {change} WHERE id = %s", [asked.pk])


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("begins as a request", {"state": "posted", "decided_by": OTTO, "decided_at": NOW, "transaction_id": 1}),
        ("begins as a request", {"state": "refused", "decided_by": OTTO, "decided_at": NOW, "refusal": "x"}),
        ("begins as a request", {"decided_by": OTTO, "decided_at": NOW}),
        ("transfer_kind_known", {"kind": "gift"}),
        ("transfer_amount_positive", {"micros": 0}),
        ("transfer_reverses_when_reversal", {"kind": "reversal"}),
        ("transfer_payment_once", {"payment_reference": "wire 1"}),
    ],
)
def test_a_transfer_begins_as_a_request(till: Till, asked: Transfer, rule: str, changes: dict[str, Any]) -> None:
    row = {
        "kind": "deposit",
        "party_id": till.ada,
        "currency_id": till.currency,
        "micros": 1,
        "payment_reference": "x",
        "requested_by": OLGA,
        "requested_at": NOW,
    }
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        Transfer.objects.create(**row | changes)


@pytest.mark.parametrize(
    ("rule", "statement"),
    [
        ("append-only", "DELETE FROM ledger_transfer"),
        ("append-only", "TRUNCATE ledger_transfer"),
        ("cannot change", "UPDATE ledger_transfer SET micros = 1, state = 'refused' WHERE state = 'requested'"),
        ("decided once", "UPDATE ledger_transfer SET micros = 1"),
    ],
)
def test_even_the_owner_cannot_rewrite_a_transfer(
    asked: Transfer, database: DatabaseUrls, rule: str, statement: str
) -> None:
    with (
        psycopg.connect(database.owner_url) as owner,
        pytest.raises(psycopg.errors.IntegrityConstraintViolation, match=rule),
    ):
        owner.execute(statement)


def test_the_guards_cannot_be_slept_through_by_a_replication_role(database: DatabaseUrls) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'ledger_transfer'::regclass"
                       " AND NOT tgisinternal ORDER BY tgname")  # fmt: skip
        assert cursor.fetchall() == [("ledger_transfer_guard", "A"), ("ledger_transfer_stays", "A")]


def test_payments_of_the_time_before_two_phases_are_still_known(till: Till, database: DatabaseUrls) -> None:
    external = AccountKey(till.house, till.currency, Role.EXTERNAL)
    long = "a" * 80
    before = [("deposit", 500, "wire/1\nwith a line", "olga"), ("withdrawal", -200, "wire/1\nwith a line", long)]
    for kind, micros, reference, actor in before:
        legs = (Leg(external, -micros, reference), Leg(till.cash(till.ada), micros, reference))
        draft = TransactionDraft(kind, "treasury", f"{kind}/{till.ada}/{reference}", NOW, legs)
        with transaction.atomic():
            journal.post([draft], actor=actor, now=NOW)
    hold = TransactionDraft("test", "treasury", "deposit/1/none", NOW, (), (HoldChange(till.cash(till.ada), 1),))
    with transaction.atomic():
        journal.post([hold], actor="test", now=NOW)
    with psycopg.connect(database.owner_url) as owner:
        for name in ("0004_transfers.reverse.sql", "0004_transfers.sql"):
            owner.execute((SQL_FOLDER / name).read_text(encoding="utf-8").encode())
    known = Transfer.objects.order_by("id").values_list("kind", "micros", "payment_reference", "state", "requested_by")
    assert list(known) == [
        ("deposit", 500, "wire/1\nwith a line", "posted", "olga"),
        ("withdrawal", 200, "wire/1\nwith a line", "posted", long),
    ]
    assert {row.decided_by for row in Transfer.objects.all()} == {
        "olga (before two-phase)",
        "a" * 60 + " (before two-phase)",
    }
    again = request_deposit(till.ada, till.currency, 500, reference=before[0][2], actor=OLGA, now=LATER)
    assert again.state == TransferState.POSTED
    with pytest.raises(ReferenceConflict):
        till.ask(201, before[1][2])
    with pytest.raises(InsufficientFunds):  # 200 of it are gone
        approve_transfer(take_back(again).pk, actor=OTTO, now=LATER)
    with pytest.raises(IntegrityError, match="begins as a request"), transaction.atomic():  # the guards are back
        Transfer.objects.create(
            kind="deposit", party_id=till.ada, currency_id=till.currency, micros=1, payment_reference="x",
            requested_by=OLGA, requested_at=NOW, state="posted", decided_by=OTTO, decided_at=NOW, transaction_id=1,
        )  # fmt: skip
