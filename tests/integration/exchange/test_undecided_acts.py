"""SQL that goes around the operators: refused by the database, and found by the audit where its triggers were off.

That the sequencer would have carried such a command out is shown beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from exchange.commands.decide_request import refuse_decision
from exchange.commands.request_decision import RequestDecision, request_decision
from exchange.models import DecisionKind, Fill, FillReversal, Intake, OperatorDecision, ProviderDefault
from tests.audits import audit, findings, found_by, tamper
from tests.conftest import DatabaseUrls
from tests.integration.exchange.market import NOW, SYMBOL, Market
from tests.replays import Replays
from tests.two_operators import FIRST, SECOND, decide

CANCEL, DEFAULT, BUST = DecisionKind.CANCEL_CONTRACT, DecisionKind.DEFAULT_PROVIDER, DecisionKind.BUST_FILL
UNDECIDED = "not what two operators decided"
COMMAND = """
    INSERT INTO exchange_intake (shard, bundle_left, kind, contract_id, party_id, actor, payload, received_at)
    VALUES (1, 0, %(kind)s, %(contract_id)s, %(party_id)s, %(actor)s, %(payload)s, '2026-12-01T10:00Z') RETURNING seq
"""
APPROVE = """
    UPDATE exchange_operatordecision
       SET state = 'approved', decided_by = %(by)s, decided_at = '2026-12-01T10:00Z', seqs = %(seqs)s
     WHERE id = %(id)s
"""
REPEAT = """
    INSERT INTO exchange_intake (shard, bundle_left, kind, contract_id, party_id, actor, payload, received_at)
    SELECT shard, bundle_left, kind, contract_id, party_id, actor, payload, received_at FROM exchange_intake
     WHERE seq = %(seq)s
"""
DECLARE = """
    INSERT INTO exchange_providerdefault (provider_id, decision_id, defaulted_at)
    VALUES (%(provider_id)s, %(decision_id)s, %(at)s)
"""
ALL_LATER = "cancelled_at = cancelled_at + interval '1 day'"


def sql(statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Whatever the application's role types."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def traded(market: Market) -> Market:
    """Two fills, and an open sell order."""
    market.offer(10, 400)
    for buyer in ("buyer-1", "buyer-2"):
        market.buy(market.party(buyer), 2, 400)
    assert Fill.objects.count() == 2
    return market


def subject(market: Market, kind: DecisionKind) -> str:
    return {CANCEL: SYMBOL, DEFAULT: market.provider.code, BUST: str(Fill.objects.order_by("id")[0].id)}[kind]


def ask(market: Market, kind: DecisionKind) -> OperatorDecision:
    return request_decision(RequestDecision(kind, subject(market, kind), "tests"), actor=FIRST, now=NOW)


def command(market: Market, kind: DecisionKind, decision_id: int, /, **changes: Any) -> dict[str, Any]:
    """A command as it would stand in the line had it been decided, but for some columns and members."""
    columns = {
        "kind": kind.value,
        "contract_id": None if kind is DEFAULT else market.contract.id,
        "party_id": market.provider.id if kind is DEFAULT else None,
        "actor": SECOND,
    }
    payload = {"reason": "tests", "decision_id": decision_id}
    if kind is BUST:
        payload["fill_id"] = int(subject(market, kind))
    columns |= {name: changes.pop(name) for name in columns if name in changes}
    return columns | {"payload": json.dumps(payload | changes)}


def put(market: Market, kind: DecisionKind, decision_id: int, /, **changes: Any) -> int:
    ((seq,),) = sql(COMMAND, **command(market, kind, decision_id, **changes))
    return int(seq)


def approve(decision_id: int, seqs: Iterable[int], by: str = SECOND) -> None:
    sql(APPROVE, id=decision_id, seqs=json.dumps(list(seqs)), by=by)


@pytest.mark.parametrize("kind", DecisionKind)
def test_a_command_that_two_did_not_approve_is_refused(traded: Market, kind: DecisionKind) -> None:
    before = Intake.objects.count()
    with pytest.raises(IntegrityError, match=UNDECIDED):
        put(traded, kind, 1)
    decision = ask(traded, kind)
    with pytest.raises(IntegrityError, match=UNDECIDED):
        put(traded, kind, decision.pk)
    refuse_decision(decision.pk, "no", actor=SECOND, now=NOW)
    with pytest.raises(IntegrityError, match=UNDECIDED):
        put(traded, kind, decision.pk)
    assert Intake.objects.count() == before
    assert findings(audit()) == {}


@pytest.mark.parametrize("kind", DecisionKind)
def test_a_decision_is_carried_out_once(traded: Market, kind: DecisionKind) -> None:
    (seq,) = decide(kind, subject(traded, kind), now=NOW)
    with pytest.raises(IntegrityError, match=UNDECIDED):
        sql(REPEAT, seq=seq)
    (result,) = traded.results([seq])
    assert result["status"] == "accepted"
    with pytest.raises(IntegrityError, match=UNDECIDED):
        sql(REPEAT, seq=seq)
    assert findings(audit()) == {}


def test_a_command_with_its_approval_comes_into_the_line(traded: Market) -> None:
    """The control of the next: what approving does, by hand."""
    decision = ask(traded, BUST)
    with transaction.atomic():
        seq = put(traded, BUST, decision.pk)
        approve(decision.pk, [seq])
    (result,) = traded.results([seq])
    assert result["status"] == "accepted"
    assert findings(audit()) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"fill_id": 2},
        {"fill_id": "1"},
        {"reason": "another"},
        {"decision_id": 7},
        {"more": 1},
        {"actor": FIRST},
        {"contract_id": None},
        {"party_id": 1},
        {"kind": CANCEL.value},
    ],
    ids=str,
)
def test_a_command_is_what_was_approved_and_nothing_else(traded: Market, changes: dict[str, Any]) -> None:
    decision = ask(traded, BUST)
    with pytest.raises(IntegrityError, match=UNDECIDED), transaction.atomic():
        approve(decision.pk, [put(traded, BUST, decision.pk, **changes)])


@pytest.mark.parametrize("named", ["[]", "[{seq}, 1]", "[1]"])
def test_a_decision_names_its_command_and_no_other(traded: Market, named: str) -> None:
    decision = ask(traded, BUST)

    @transaction.atomic
    def attack() -> None:
        seq = put(traded, BUST, decision.pk)
        approve(decision.pk, json.loads(named.format(seq=seq)))

    with pytest.raises(IntegrityError, match=UNDECIDED):
        attack()


@pytest.mark.parametrize(
    ("asker", "same"),
    [("user:olga", "user:olga"), ("user:olga", "USER:Olga"), ("user:žofie", "user:Žofie")],
)
def test_whoever_asked_does_not_decide_in_other_letters(traded: Market, asker: str, same: str) -> None:
    decision = request_decision(RequestDecision(CANCEL, SYMBOL, "tests"), actor=asker, now=NOW)
    with pytest.raises(IntegrityError, match="decision_by_another"):
        approve(decision.pk, [1], by=same)


@pytest.mark.parametrize(
    ("kind", "status", "undone"),
    [
        (CANCEL, "failed", []),
        (DEFAULT, "accepted", []),
        (BUST, "accepted", ["fill 1"]),
    ],  # contracts have their own guard
)
def test_without_the_trigger_it_is_carried_out_and_found(
    traded: Market, database: DatabaseUrls, replays: Replays, kind: DecisionKind, status: str, undone: list[str]
) -> None:
    with connection.cursor() as cursor:
        typed = psycopg.ClientCursor(cursor.connection).mogrify(COMMAND, command(traded, kind, 1))
    tamper(database, str(typed).replace("%", "%%"))
    forged = Intake.objects.latest("seq")
    (result,) = traded.results([forged.seq])
    assert result["status"] == status
    assert found_by(audit()) == {"exchange.decisions": [f"command {forged.seq}", *undone]}
    replays.check_identical()  # that it should not have been there is another matter


def test_a_default_that_two_did_not_approve_is_refused(traded: Market) -> None:
    declared, other = ask(traded, DEFAULT), traded.seller("provider-2")
    cancelled = OperatorDecision.objects.get(seqs=decide(CANCEL, SYMBOL, now=NOW))
    with pytest.raises(IntegrityError, match=UNDECIDED):
        sql(DECLARE, provider_id=traded.provider.id, decision_id=declared.pk, at=NOW)
    with pytest.raises(IntegrityError, match=UNDECIDED):
        sql(DECLARE, provider_id=traded.provider.id, decision_id=cancelled.pk, at=NOW)

    @transaction.atomic
    def approve_and_declare(provider_id: int, at: datetime) -> None:
        approve(declared.pk, [put(traded, DEFAULT, declared.pk)])
        sql(DECLARE, provider_id=provider_id, decision_id=declared.pk, at=at)

    for attack in ((other.id, NOW), (traded.provider.id, NOW - timedelta(hours=1))):
        with pytest.raises(IntegrityError, match=UNDECIDED):
            approve_and_declare(*attack)
    assert not ProviderDefault.objects.exists()
    approve_and_declare(traded.provider.id, NOW)  # the control
    assert findings(audit()) == {}


@pytest.mark.parametrize(
    ("attack", "subjects"),
    [
        ("DELETE FROM exchange_providerdefault", ["party {provider}"]),
        ("UPDATE exchange_providerdefault SET defaulted_at = defaulted_at - interval '1 day'", ["party {provider}"]),
        (
            "UPDATE exchange_operatordecision SET decided_by = upper(requested_by)",
            ["command {seq}", "party {provider}"],
        ),
        ("UPDATE exchange_operatordecision SET payload = '{{}}'", ["command {seq}", "decision 1", "party {provider}"]),
        (
            "UPDATE exchange_operatordecision SET state = 'refused', refusal = 'x'",
            ["command {seq}", "party {provider}"],
        ),
        ("UPDATE exchange_operatordecision SET seqs = '[1]'", ["command {seq}", "decision 1"]),
        ('UPDATE exchange_intake SET payload = payload || \'{{"reason": "x"}}\'', ["command {seq}", "decision 1"]),
        ("DELETE FROM exchange_intake WHERE kind = 'default_provider'", ["decision 1"]),
    ],
)
def test_what_was_decided_and_changed_is_found(
    traded: Market, database: DatabaseUrls, attack: str, subjects: list[str]
) -> None:
    (seq,) = decide(DEFAULT, traded.provider.code, now=NOW)
    traded.results([])
    assert findings(audit()) == {}
    if "decided_by" in attack:
        attack = f"ALTER TABLE exchange_operatordecision DROP CONSTRAINT decision_by_another; {attack}"
    tamper(database, attack.format())
    names = {"seq": seq, "provider": traded.provider.id}
    assert found_by(audit())["exchange.decisions"] == [each.format(**names) for each in subjects]


@pytest.mark.parametrize(
    "change",
    ["state = 'cancelled'", "cancelled_at = now()", "state = 'cancelled', cancelled_at = now()"],
)
def test_a_contract_is_not_cancelled_by_hand(traded: Market, database: DatabaseUrls, change: str) -> None:
    attack = f"UPDATE exchange_contract SET {change}"
    with pytest.raises(IntegrityError, match=UNDECIDED):
        sql(attack)
    tamper(database, attack)
    assert found_by(audit("exchange.decisions")) == {"exchange.decisions": [f"contract {SYMBOL}"]}


@pytest.mark.parametrize("change", ["state = 'trading'", "cancelled_at = NULL", ALL_LATER])
def test_a_cancelled_contract_stays_so(traded: Market, database: DatabaseUrls, change: str) -> None:
    traded.results(decide(CANCEL, SYMBOL, now=NOW))
    attack = f"UPDATE exchange_contract SET {change}"
    with pytest.raises(IntegrityError, match=UNDECIDED):
        sql(attack)
    tamper(database, attack)
    assert found_by(audit("exchange.decisions")) == {"exchange.decisions": [f"contract {SYMBOL}"]}


@pytest.mark.parametrize("wrong", ["command_seq = 1", "command_seq = 999", "fill_id = 2", "batch_no = 1"])
def test_a_reversal_names_the_command_that_made_it(traded: Market, database: DatabaseUrls, wrong: str) -> None:
    traded.results(decide(BUST, "1", now=NOW))
    column, value = wrong.split(" = ")
    row = dict(FillReversal.objects.values("fill_id", "command_seq", "batch_no").get()) | {column: int(value)}
    if column != "batch_no":
        with pytest.raises(IntegrityError, match="does not take fill"):
            sql(
                "INSERT INTO exchange_fillreversal (fill_id, contract_id, reason, command_seq, batch_no, reversed_at)"
                " VALUES (%(fill_id)s, %(contract_id)s, 'tests', %(command_seq)s, %(batch_no)s, now())",
                contract_id=traded.contract.id,
                **row,
            )
    tamper(database, f"UPDATE exchange_fillreversal SET {wrong}")
    assert found_by(audit("exchange.decisions")) == {"exchange.decisions": [f"fill {row['fill_id']}"]}
