"""What the database refuses of disputes, whoever asks: the application's own role, with plain SQL."""

from __future__ import annotations

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from settlement.models import Dispute
from tests.audits import audit, findings
from tests.conftest import DatabaseUrls
from tests.integration.settlement.disputed_day import ONE, DisputedDay, disputed_day
from tests.integration.settlement.trading_day import TradingDay

DECIDED = "decided_micros = 1, decided_at = now(), proposed_by = 'user:a'"


@pytest.fixture
def market(day: TradingDay, database: DatabaseUrls) -> DisputedDay:
    return disputed_day(day, database)


def run(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE settlement_dispute SET disputed_micros = 1",
        "UPDATE settlement_dispute SET payee_id = party_id",
        "UPDATE settlement_dispute SET decide_by = now()",
        "UPDATE settlement_dispute SET suspended_micros = disputed_micros + 1",
        "UPDATE settlement_dispute SET decided_micros = disputed_micros + 1",
        "UPDATE settlement_dispute SET state = 'settled'",
        "UPDATE settlement_dispute SET state = 'upheld'",
        "UPDATE settlement_dispute SET state = 'odd'",
        f"UPDATE settlement_dispute SET state = 'rejected', {DECIDED}, decided_by = 'user:b'",  # nobody proposed it
        "DELETE FROM settlement_dispute",
        "UPDATE settlement_disputeentry SET text = 'other'",
        "DELETE FROM settlement_disputeentry",
        "UPDATE settlement_disputeevidence SET content = 'other'",
        "DELETE FROM settlement_disputeevidence",
        "UPDATE settlement_partynotice SET text = 'other'",
        "DELETE FROM settlement_partynotice",
    ],
)
def test_the_application_cannot(market: DisputedDay, statement: str) -> None:
    dispute = market.open()
    with pytest.raises(DatabaseError):
        run(statement)
    assert Dispute.objects.values().get() == {
        field.attname: getattr(dispute, field.attname) for field in Dispute._meta.concrete_fields
    }
    assert findings(audit("settlement.suspense", "settlement.suspensions", "settlement.evidence")) == {}


def test_nobody_decides_alone_nor_turns_a_decision_back(market: DisputedDay) -> None:
    market.open()
    run("UPDATE settlement_dispute SET state = 'proposed', decided_micros = 1, proposed_by = 'user:a'")
    alone = f"UPDATE settlement_dispute SET state = 'upheld', {DECIDED}, decided_by = "
    for who in ("'user:a'", "''"):
        with pytest.raises(DatabaseError):
            run(alone + who)
    run(f"{alone} '{ONE}'")
    for back in ("open", "proposed", "rejected", "withdrawn"):
        with pytest.raises(DatabaseError):
            run(f"UPDATE settlement_dispute SET state = '{back}'")


def test_not_even_the_owner_edits_what_was_said(market: DisputedDay) -> None:
    market.open()
    with psycopg.connect(market.database.owner_url, autocommit=True) as owner:
        for statement in (
            "UPDATE settlement_disputeentry SET text = 'other'",
            "UPDATE settlement_disputeevidence SET digest = '\\x00'",
            "UPDATE settlement_dispute SET text = 'other'",
            "DELETE FROM settlement_dispute",
        ):
            with pytest.raises(psycopg.Error):
                owner.execute(statement)
