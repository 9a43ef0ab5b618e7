"""The recorded history decided again gives the same bytes, and whatever was changed in it is told."""

from __future__ import annotations

import json
import random
import secrets
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from exchange.commands.mark_contract_settled import MarkContractSettled, mark_contract_settled
from exchange.commands.qualify_provider import RevokeQualification, revoke_qualification
from exchange.models import (
    BookDelta,
    Fill,
    FillReversal,
    Intake,
    IntakeResult,
    PreventedMatch,
    Qualification,
    SequencerBatch,
    SetAside,
)
from exchange.replay.facts import DOUBT
from exchange.replay.second_database import made_database, settings_of, standing_in
from ledger.models import LedgerHead
from tests.audits import tamper
from tests.conftest import DatabaseUrls
from tests.integration.exchange.commands import decided, order
from tests.integration.exchange.market import ACTOR, START, Market
from tests.integration.exchange.market_day import MarketDay
from tests.replays import Replays


@pytest.fixture
def day(market: Market) -> MarketDay:
    seed = secrets.randbits(32)
    print("seed", seed)
    day = MarketDay(market, random.Random(seed))
    day.run()
    return day


@pytest.fixture
def traded(market: Market) -> Market:
    """Commands 1 (the gate's opening) to 6, and a fill each of commands 4 and 5."""
    buyers = [market.party("buyer-1"), market.party("buyer-2")]
    for price in (400, 401):
        market.offer(3, price)
    for buyer in buyers:
        market.buy(buyer, 2, 405)
    market.buy(buyers[0], 1, 390)
    assert list(Fill.objects.order_by("id").values_list("buy_order_id", "price_ticks")) == [
        (4, 400),
        (5, 400),
        (5, 401),
    ]
    return market


def test_a_random_day_is_decided_the_same_again(day: MarketDay, replays: Replays) -> None:
    for model in (Fill, FillReversal, PreventedMatch, BookDelta, SetAside):
        assert model.objects.exists(), f"the day had no {model.__name__}"
    assert {1, 2} <= set(SequencerBatch.objects.values_list("shard", flat=True))
    report = replays.check_identical()
    assert report.commands == Intake.objects.count() == IntakeResult.objects.count()
    assert report.batches == SequencerBatch.objects.count()
    assert report.ledger_version == LedgerHead.objects.get().version


def test_nothing_at_all_is_replayed_too(database: DatabaseUrls, replays: Replays) -> None:
    assert replays.check_identical().batches == 0


@pytest.mark.parametrize(
    ("statement", "place", "subject", "field"),
    [
        ("UPDATE exchange_fill SET price_ticks = 399 WHERE id = 2", "batch 5, ", "fill 2", "price_ticks"),
        ("DELETE FROM exchange_fill WHERE id = 3", "batch 5, ", "fill 3", ""),
        ("DELETE FROM exchange_intake WHERE seq = 6", "batch 6, ", "result of command 6", ""),
        ("DELETE FROM exchange_intake WHERE seq = 3", "batch 3, ", "result of command 3", ""),
        (
            "UPDATE exchange_intake SET payload = jsonb_set(payload, '{lots}', '1') WHERE seq = 4",
            "batch 4, ",
            "result of command 4",
            "result.filled_lots",
        ),
        (
            "UPDATE exchange_intake AS one SET party_id = other.party_id FROM exchange_intake AS other"
            " WHERE one.seq + other.seq = 9 AND one.seq IN (4, 5)",
            "batch 4, ",
            "fill 1",
            "buyer_id",
        ),
        (
            "UPDATE exchange_intakeresult SET result = jsonb_set(result, '{lots}', '9') WHERE seq = 6",
            "batch 6, ",
            "result of command 6",
            "result.lots",
        ),
        ("UPDATE exchange_order SET remaining_lots = 1 WHERE id = 3", "at the end", "order 3", "remaining_lots"),
        ("UPDATE exchange_order SET priority = 99 WHERE id = 6", "at the end", "order 6", "priority"),
        ("DELETE FROM exchange_order WHERE id = 6", "at the end", "order 6", ""),
        (
            "UPDATE ledger_transaction SET leaf = sha256(leaf) WHERE id = 3",
            "ledger version ",
            "transaction 3",
            "leaf",
        ),
        ("UPDATE ledger_batch SET hash = sha256(hash) WHERE no = 2", "ledger version ", "journal batch 2", "hash"),
        (
            "UPDATE ledger_entry SET ref = '9' WHERE ref = '2' AND amount < 0 AND balance_after > 0",
            "ledger version ",
            "entry ",
            "ref",
        ),
        (
            "UPDATE ledger_entry SET amount = amount + sign(amount)::bigint WHERE transaction_id = 1",
            "ledger version ",
            "transaction 1",
            "request_hash",
        ),
        ("UPDATE ledger_account SET balance = balance + 1 WHERE id = 1", "at the end", "account 1", "balance"),
        (
            "UPDATE ledger_accountchange SET before = '5' WHERE id = 1",
            "ledger version ",
            "change of account ",
            "before",
        ),
        (
            "UPDATE exchange_bookdelta SET content = content - 'asks' WHERE seq = 2",
            "batch ",
            "book delta 1/2",
            "content.asks",
        ),
        ("UPDATE exchange_contract SET reference_step = 'trades'", "at the end", "contract 1", "reference_step"),
        ("UPDATE exchange_contractmarket SET traded_lots = 5", "at the end", "market of contract 1", "traded_lots"),
        (
            "DELETE FROM exchange_sequencerbatch WHERE no = 6",
            "the order of the history",
            "transactions 8 to 8",
            "batch of the sequencer",
        ),
        (
            "DELETE FROM exchange_sequencerbatch WHERE no = 4",
            "the order of the history",
            "transactions 6 to 6",
            "batch of the sequencer",
        ),
        (
            "UPDATE exchange_sequencerbatch SET ledger_version = 1 WHERE no = 4",
            "the order of the history",
            "batch 4",
            "ledger_version",
        ),
        (
            "UPDATE exchange_sequencerbatch SET ran_at = ran_at + interval '1 second' WHERE no = 4",
            "batch 4, ",
            "",
            "",
        ),
        (
            "INSERT INTO exchange_fillreversal (fill_id, contract_id, reason, command_seq, batch_no, reversed_at)"
            " VALUES (1, 1, 'theft', 6, 6, now())",
            "batch 6, ",
            "reversal of fill 1",
            "",
        ),
    ],
)
def test_what_was_changed_is_found_where_it_was_changed(
    traded: Market, database: DatabaseUrls, replays: Replays, statement: str, place: str, subject: str, field: str
) -> None:
    assert replays.run().identical
    tamper(database, statement)
    difference = replays.run().difference
    assert difference is not None
    print(difference)
    assert difference.place.startswith(place)
    assert difference.subject.startswith(subject)
    assert difference.field == field or not subject


def test_what_the_same_minute_leaves_open_is_told_by_the_answers(market: Market, replays: Replays) -> None:
    """A provider loses its right to sell between two batches that ran at the same reading of the clock."""
    accepted = market.offer(1, 400)
    late = order(market, market.provider, "sell", 1, 400)
    qualification = Qualification.objects.get()
    revoke_qualification(RevokeQualification(qualification.pk, "lost"), actor=ACTOR, now=market.clock.at)
    (refused,) = decided(market, late)
    assert (accepted["status"], refused["code"]) == ("accepted", "not_qualified")
    assert replays.check_identical().from_answers > 0


def test_beyond_that_minute_a_forged_answer_is_found(market: Market, database: DatabaseUrls, replays: Replays) -> None:
    market.clock.at += 2 * DOUBT
    market.offer(1, 400)
    market.clock.at += 2 * DOUBT
    revoke_qualification(RevokeQualification(Qualification.objects.get().pk, "lost"), actor=ACTOR, now=market.clock.at)
    market.results([])
    assert replays.check_identical().from_answers == 0
    tamper(database, 'UPDATE exchange_intakeresult SET result = result || \'{"code": "not_qualified"}\' WHERE seq = 2')
    difference = replays.run().difference
    assert difference is not None
    assert (difference.subject, difference.field) == ("result of command 2", "result.code")


@pytest.mark.parametrize("marked_after", [False, True])
def test_a_gate_takes_the_price_of_what_had_settled_by_then(
    market: Market, replays: Replays, marked_after: bool
) -> None:
    """Whether the settlement of the same minute came before the closure, only the closure's answer tells."""
    market.offer(2, 450)
    market.buy(market.party("buyer-1"), 2, 450)
    following = market.list_window(START + timedelta(hours=2))
    market.sweep()
    for at in (market.contract.gate_close, START, START + timedelta(hours=1)):
        market.clock.at = at
        market.sweep()
    market.clock.at = following.gate_close
    settled = MarkContractSettled(market.contract.id)
    if not marked_after:
        mark_contract_settled(settled, actor=ACTOR, now=market.clock.at)
    market.sweep()
    if marked_after:
        mark_contract_settled(settled, actor=ACTOR, now=market.clock.at)
    following.refresh_from_db()
    assert following.reference_step == ("listing" if marked_after else "last_settled")
    replays.check_identical()


def replay_command(*arguments: str) -> tuple[int, str]:
    """Exit status and output."""
    told = StringIO()
    try:
        call_command("replay", *arguments, stdout=told)
    except SystemExit as ended:
        return int(str(ended.code)), told.getvalue()
    except CommandError as error:
        return error.returncode, str(error)
    return 0, told.getvalue()


def replay_databases() -> list[str]:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE current_database() || '_replay%%'")
        return [name for (name,) in cursor.fetchall()]


def test_the_command_makes_a_database_and_removes_it(traded: Market, database: DatabaseUrls) -> None:
    tamper(database, "UPDATE exchange_fill SET price_ticks = 399 WHERE id = 2")
    status, told = replay_command("--json")
    assert status == 1
    report = json.loads(told)
    assert (report["identical"], report["commands"]) == (False, 6)
    assert report["difference"]["subject"] == "fill 2"
    assert replay_databases() == []
    assert connection.settings_dict["NAME"] == connections["owner"].settings_dict["NAME"]
    with made_database(keep=True) as settings:
        pass
    assert replay_databases() == [settings["NAME"]]
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"DROP DATABASE {settings['NAME']}")


def test_the_command_replays_into_an_empty_database_alone(
    traded: Market, replays: Replays, database: DatabaseUrls
) -> None:
    with replays.clone() as url:
        status, told = replay_command("--into", url)
        assert (status, told.splitlines()[-1]) == (0, "Identical.")
        with standing_in(settings_of(url)):
            assert Fill.objects.count() == 3
        assert replay_command("--into", url) == (2, "The database to replay into is not empty.")
    assert replay_command("--into", database.owner_url)[0] == 2
    assert replay_command("--into", "mysql:")[0] == 2
    assert Fill.objects.count() == 3


def test_without_an_owner_there_is_no_database_to_make(traded: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(connections.databases, "owner")
    status, told = replay_command()
    assert status == 2
    assert "DATABASE_OWNER_URL" in told
