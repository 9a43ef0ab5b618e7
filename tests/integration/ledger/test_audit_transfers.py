"""A transfer's row that is changed behind the guards' back: the journal says otherwise, and the audit tells."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.models import Transfer
from ledger.transfers import approve_transfer, refuse_transfer
from tests.audits import audit, findings, tamper
from tests.conftest import DatabaseUrls
from tests.integration.ledger.till import LATER, NOW, OLGA, OTTO, Till, open_till, take_back

LONG = "a" * 80
ROWS = ("deposit", "paid", "waits", "refused", "reversal", "old deposit", "old withdrawal")
POSTED = ("deposit", "paid", "reversal", "old deposit", "old withdrawal")
ASKED_FOR_IN_THE_JOURNAL = ("paid", "waits", "refused", "old deposit", "old withdrawal")


@pytest.fixture
def rows(database: DatabaseUrls) -> dict[str, int]:
    """One transfer of each sort, as the product makes them."""
    till = open_till()
    deposit = till.deposit(500)
    made = {
        "deposit": deposit,
        "paid": approve_transfer(till.ask(10, "paid").pk, actor=OTTO, now=LATER),
        "waits": till.ask(20, "waits"),
        "refused": refuse_transfer(till.ask(30, "refused").pk, "No.", actor=OTTO, now=LATER),
        "reversal": approve_transfer(take_back(till.deposit(7, "bounced")).pk, actor=OTTO, now=LATER),
        "old deposit": one_phase(till, database, "deposit", 40, OLGA),
        "old withdrawal": one_phase(till, database, "withdrawal", -5, LONG),
    }
    assert tuple(made) == ROWS
    assert findings(audit("transfers")) == {}
    return {name: transfer.pk for name, transfer in made.items()}


def one_phase(till: Till, database: DatabaseUrls, kind: str, micros: int, actor: str) -> Transfer:
    """A payment of the time before two people, and the row that was made of it."""
    legs = (
        Leg(AccountKey(till.house, till.currency, Role.EXTERNAL), -micros, "old/wire"),
        Leg(till.cash(till.ada), micros, "old/wire"),
    )
    effective = NOW - timedelta(days=1)
    draft = TransactionDraft(kind, "treasury", f"{kind}/{till.ada}/old/wire", effective, legs)
    with transaction.atomic():
        (posted,) = journal.post([draft], actor=actor, now=LATER)
    tamper(
        database,
        "INSERT INTO ledger_transfer (kind, party_id, currency_id, micros, payment_reference, note, state,"
        " requested_by, requested_at, decided_by, decided_at, refusal, transaction_id)"
        " VALUES (%s, %s, %s, %s, 'old/wire', '', 'posted', %s, %s, left(%s, 60) || ' (before two-phase)', %s, '', %s)",
        [kind, till.ada, till.currency, abs(micros), actor, LATER, actor, LATER, posted.transaction_id],
    )
    return Transfer.objects.get(transaction_id=posted.transaction_id)


CHANGES = {
    "payment_reference = 'other'": POSTED,
    "requested_at = requested_at + interval '1 microsecond'": (*POSTED, "waits", "refused"),
    "requested_by = 'user:mallory'": ASKED_FOR_IN_THE_JOURNAL,
    "decided_by = 'user:mallory'": POSTED,
    "decided_by = 'user:mallory (before two-phase)'": POSTED,
    "micros = micros + 1": POSTED,
    "party_id = (SELECT id FROM ledger_party WHERE code = 'bob')": POSTED,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("row", ROWS)
def test_a_changed_row_is_told_by_the_journal(
    rows: dict[str, int], database: DatabaseUrls, row: str, change: str
) -> None:
    before = "" if "decided_by" not in change else " AND decided_by <> ''"
    tamper(database, f"UPDATE ledger_transfer SET {change} WHERE id = %s{before}", [rows[row]])
    told = findings(audit("transfers")).get("transfers", [])
    assert {subject for subject, _ in told} == ({f"transfer {rows[row]}"} if row in CHANGES[change] else set())


def test_a_finding_names_both_sides(rows: dict[str, int], database: DatabaseUrls) -> None:
    number = Transfer.objects.get(pk=rows["paid"]).transaction_id
    tamper(database, "UPDATE ledger_transfer SET decided_by = 'user:mallory' WHERE id = %s", [rows["paid"]])
    assert findings(audit("transfers")) == {
        "transfers": [
            (
                f"transfer {rows['paid']}",
                f"its row says decided by user:mallory, but transaction {number} says user:otto",
            )
        ]
    }


def test_a_row_that_goes_by_another_number_is_found(rows: dict[str, int], database: DatabaseUrls) -> None:
    tamper(database, "UPDATE ledger_transfer SET id = id + 1000 WHERE id = %s", [rows["deposit"]])
    ((subject, detail),) = findings(audit("transfers"))["transfers"]
    assert subject == f"transfer {rows['deposit'] + 1000}"
    assert detail.endswith(f"says transfer/{rows['deposit']}")


def test_a_withdrawal_that_no_request_holds_is_found(rows: dict[str, int], database: DatabaseUrls) -> None:
    tamper(
        database,
        "INSERT INTO ledger_transfer (kind, party_id, currency_id, micros, payment_reference, note, state,"
        " requested_by, requested_at, decided_by, refusal) SELECT kind, party_id, currency_id, micros, 'made up', '',"
        " 'requested', requested_by, requested_at, '', '' FROM ledger_transfer WHERE id = %s",
        [rows["paid"]],
    )
    made_up = Transfer.objects.get(payment_reference="made up")
    told = findings(audit("transfers"))["transfers"]
    assert {subject for subject, _ in told} == {f"transfer {made_up.pk}"}
    assert told[0][1].endswith("but the journal has no request of it")
