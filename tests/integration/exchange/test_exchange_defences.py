"""SQL that moves the exchange's counters or changes who may sell: refused by the database, or found by the audit."""

from __future__ import annotations

import psycopg
import pytest
from django.db import Error, IntegrityError, ProgrammingError, connection

from exchange.commands.qualify_provider import RevokeQualification, revoke_qualification
from exchange.models import IntakeResult, Qualification
from exchange.sequencer.results import find_result
from tests.audits import audit, findings, found_by, tamper
from tests.conftest import DatabaseUrls
from tests.integration.exchange.market import ACTOR, NOW, Market

# What is set back, and whose counters the audit then finds astray; an epoch leaves nothing to compare it with.
SET_BACK = [
    ("UPDATE exchange_sequencerstate SET cursor = cursor - 1 WHERE shard = 1", ["shard 1"]),
    ("UPDATE exchange_sequencerstate SET cursor = 0 WHERE shard = 1", ["shard 1"]),
    ("UPDATE exchange_sequencerstate SET epoch = epoch - 1 WHERE shard = 1", []),
    ("UPDATE exchange_sequencerstate SET last_ran_at = NULL WHERE shard = 1", []),
    ("UPDATE exchange_sequencerstate SET last_ran_at = last_ran_at - interval '1 second' WHERE shard = 1", []),
    ("UPDATE exchange_exchangehead SET last_batch = last_batch - 1", ["exchange"]),
    ("UPDATE exchange_exchangehead SET last_fill = last_fill - 1", ["exchange"]),
    ("UPDATE exchange_exchangehead SET last_ran_at = NULL", ["exchange"]),
    ("UPDATE exchange_exchangehead SET last_ran_at = last_ran_at - interval '1 second'", ["exchange"]),
]


def sql(statement: str) -> None:
    """Whatever the application's role types."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def traded(market: Market) -> Market:
    market.offer(3, 400)
    market.buy(market.party("buyer-1"), 2, 400)
    return market


@pytest.mark.parametrize(("attack", "subjects"), SET_BACK, ids=[attack for attack, _ in SET_BACK])
def test_counters_do_not_go_back(traded: Market, database: DatabaseUrls, attack: str, subjects: list[str]) -> None:
    with pytest.raises(IntegrityError, match="only rise"):
        sql(attack)
    with psycopg.connect(database.owner_url) as owner, pytest.raises(psycopg.Error, match="only rise"):
        owner.execute(attack.encode())
    assert findings(audit()) == {}
    tamper(database, attack)
    assert found_by(audit("exchange.line")).get("exchange.line", []) == subjects


@pytest.mark.parametrize("table", ["exchange_sequencerstate", "exchange_exchangehead"])
def test_counters_do_not_go_away(traded: Market, database: DatabaseUrls, table: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        sql(f"DELETE FROM {table}")
    with psycopg.connect(database.owner_url) as owner, pytest.raises(psycopg.Error, match="append-only"):
        owner.execute(f"DELETE FROM {table}".encode())


def test_without_the_trigger_a_number_would_be_given_twice(traded: Market, database: DatabaseUrls) -> None:
    """The control: a sequencer that is set back cannot go on."""
    tamper(database, "UPDATE exchange_exchangehead SET last_batch = last_batch - 1")
    with pytest.raises(IntegrityError):
        traded.buy(traded.party("buyer-2"), 1, 400)


def test_a_cursor_that_is_pushed_ahead_leaves_commands_out_and_is_found(traded: Market) -> None:
    """It rises, so the database lets it: a batch may be of any length."""
    seq = traded.submit_buy(traded.party("buyer-2"), 1, 400)
    sql(f"UPDATE exchange_sequencerstate SET cursor = {seq} WHERE shard = 1")
    traded.results([])
    assert find_result(seq) is None
    assert found_by(audit()) == {"exchange.line": [f"command {seq}", "shard 1"]}


def test_a_result_that_is_gone_is_found(traded: Market, database: DatabaseUrls) -> None:
    last = IntakeResult.objects.latest("seq").seq
    tamper(database, f"DELETE FROM exchange_intakeresult WHERE seq = {last}")
    assert found_by(audit("exchange.line")) == {"exchange.line": [f"command {last}"]}


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM exchange_qualification",
        "TRUNCATE exchange_qualification CASCADE",
        "UPDATE exchange_qualification SET valid_until = valid_until + interval '1 year'",
        "UPDATE exchange_qualification SET endpoint_url = 'https://elsewhere.example'",
        "UPDATE exchange_qualification SET provider_id = 1",
    ],
)
def test_the_role_lacks_the_right_to_change_qualifications(market: Market, attack: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        sql(attack)


def test_a_qualification_is_revoked_once_and_for_all(market: Market, database: DatabaseUrls) -> None:
    qualification = Qualification.objects.get(provider=market.provider)
    revoke_qualification(RevokeQualification(qualification.pk, "a probe failed"), actor=ACTOR, now=NOW)
    for attack in (
        "UPDATE exchange_qualification SET revoked_at = NULL",
        "UPDATE exchange_qualification SET revoked_at = now()",
    ):
        with pytest.raises(IntegrityError, match="only be revoked"):
            sql(attack)
    for attack in ("UPDATE exchange_qualification SET revoked_at = NULL", "DELETE FROM exchange_qualification"):
        with psycopg.connect(database.owner_url) as owner, pytest.raises(psycopg.Error, match=r"refused|revoked"):
            owner.execute(attack.encode())
    qualification.refresh_from_db()
    assert qualification.revoked_at == NOW


def test_without_the_trigger_the_provider_would_sell_again(market: Market, database: DatabaseUrls) -> None:
    """The control."""
    qualification = Qualification.objects.get(provider=market.provider)
    revoke_qualification(RevokeQualification(qualification.pk, "a probe failed"), actor=ACTOR, now=NOW)
    with pytest.raises(Error):
        sql("UPDATE exchange_qualification SET revoked_at = NULL")
    tamper(database, "UPDATE exchange_qualification SET revoked_at = NULL")
    assert market.offer(1, 400)["status"] == "accepted"
