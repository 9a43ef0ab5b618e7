"""Acts that take two operators: a contract is cancelled, a trade is busted, a provider's default is declared."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import Error, connection, transaction

from exchange.commands.decide_request import approve_decision, refuse_decision
from exchange.commands.post_offer import PostOffer, post_offer
from exchange.commands.qualify_provider import RevokeQualification, revoke_qualification
from exchange.commands.request_decision import RequestDecision, request_decision
from exchange.commands.sweep_contract_life import sweep_contract_life
from exchange.errors import (
    DecisionPending,
    FillNotFound,
    FillReversed,
    ProviderInDefault,
    UnknownContract,
    WrongContractState,
)
from exchange.models import (
    Contract,
    ContractMarket,
    DecisionKind,
    DecisionState,
    Fill,
    FillReversal,
    Intake,
    OperatorDecision,
    Order,
    Qualification,
    SequencerBatch,
)
from exchange.selectors.market import get_book, get_contract
from exchange.selectors.positions import list_own_positions, list_positions
from exchange.sequencer.loop import drain
from exchange.sequencer.results import find_result
from ledger.actions import record_action
from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.errors import AlreadyDecided, DomainError, NeedsAnotherPerson, NotFound, ReasonMissing
from ledger.journal import post
from ledger.models import Account, ActionLog, Entry, Transaction
from ledger.parties.access import ADD_MEMBER
from ledger.selectors.parties import get_house_id
from tests.audits import audit, findings, tamper
from tests.integration.exchange.market import CODE, HOUR, LOT, NOW, START, SYMBOL, Market

FIRST, SECOND = "user:olga", "user:otto"
CANCEL, DEFAULT, BUST = DecisionKind.CANCEL_CONTRACT, DecisionKind.DEFAULT_PROVIDER, DecisionKind.BUST_FILL


def ask(market: Market, kind: DecisionKind, subject: str, reason: str = "for a good reason") -> OperatorDecision:
    return request_decision(RequestDecision(kind, subject, reason), actor=FIRST, now=market.clock.at)


def carry_out(market: Market, kind: DecisionKind, subject: str) -> dict[str, Any]:
    """Asked for, approved and decided by the sequencer."""
    decision = approve_decision(ask(market, kind, subject).pk, actor=SECOND, now=market.clock.at)
    (result,) = market.results(decision.seqs)
    return result


def legs(reference: str) -> Counter[tuple[str, str, int]]:
    """(party, role, amount) of a posting's entries."""
    posted = Transaction.objects.get(source="sequencer", reference=reference)
    entries = Entry.objects.filter(transaction_id=posted.id)
    accounts = Account.objects.select_related("party").in_bulk(entries.values_list("account_id", flat=True))
    found = ((accounts[entry.account_id], entry.amount) for entry in entries)
    return Counter((account.party.code, account.role, amount) for account, amount in found)


def balances() -> dict[tuple[int, str, str], tuple[int, int]]:
    """Balance and hold of every account that is not empty."""
    rows = Account.objects.values_list("party_id", "role", "qualifier", "asset_id", "balance", "held")
    return {(party, role, f"{asset}/{name}"): (balance, held) for party, role, name, asset, balance, held in rows
            if balance or held}  # fmt: skip


def _deliver(market: Market) -> None:
    for at in (market.contract.gate_close, START):
        market.clock.at = at
        market.sweep()


@pytest.fixture
def traded(market: Market) -> Market:
    """Two fills, at 4.00 and at 4.10, with overage; and an open order of each side."""
    buyer = market.party("buyer-1")
    market.offer(3, 400)
    market.offer(10, 410)
    market.buy(buyer, 5, 410, overage_permille=100)
    market.buy(market.party("buyer-2"), 2, 390)
    assert Fill.objects.count() == 2
    return market


def test_cancelling_before_the_gate_takes_every_fill_back_to_the_micro(market: Market) -> None:
    buyers = [market.party("buyer-1"), market.party("buyer-2")]
    before = balances()
    market.offer(3, 400)
    market.offer(10, 410)
    market.buy(buyers[0], 5, 410, overage_permille=100)
    market.buy(buyers[1], 2, 390)
    result = carry_out(market, CANCEL, SYMBOL)
    assert (result["contract_state"], result["orders_withdrawn"], result["fills_reversed"]) == ("cancelled", 2, 2)
    assert balances() == before  # the fees too
    first, second = Fill.objects.order_by("id")
    notional, fee = 3 * 400 * 1_000, 2_400
    assert legs(f"reversal-{first.id}") == Counter(
        [
            ("buyer-1", Role.CASH, notional + fee),
            ("house", Role.ESCROW, -notional),
            ("house", Role.FEES, -fee),
            ("buyer-1", Role.ENTITLEMENT, -3 * LOT),
            ("provider-1", Role.OBLIGATION, 3 * LOT),
        ]
    )
    assert legs(f"reversal-{second.id}")["buyer-1", Role.CASH, 820_000 + 1_640] == 1
    assert set(Order.objects.exclude(status="filled").values_list("status", "close_reason")) == {
        ("cancelled", "withdrawn")
    }
    contract = Contract.objects.get(symbol=SYMBOL)
    assert (contract.state, contract.cancelled_at, contract.state_reason) == ("cancelled", NOW, "for a good reason")
    assert (list_positions(contract_id=contract.id), list_own_positions(buyers[0].id)) == ([], [])
    figures = ContractMarket.objects.get(contract_id=contract.id)
    assert (figures.traded_lots, figures.last_price_ticks) == (0, None)
    assert findings(audit()) == {}
    market.clock.at = contract.delivery_end + timedelta(hours=1)
    assert market.sweep() == []  # its gate closes no more
    assert get_contract(SYMBOL).state == "cancelled"
    assert findings(audit()) == {}


def test_cancelling_between_gate_and_delivery_takes_back_as_well(traded: Market) -> None:
    traded.clock.at = traded.contract.gate_close
    traded.sweep()
    frozen = get_contract(SYMBOL).obligations_hash
    traded.clock.at = START - timedelta(seconds=1)
    assert carry_out(traded, CANCEL, SYMBOL)["fills_reversed"] == 2
    assert not Account.objects.filter(role__in=[Role.ESCROW, Role.ENTITLEMENT, Role.OBLIGATION]).exclude(balance=0)
    assert not Account.objects.exclude(held=0)
    assert get_contract(SYMBOL).obligations_hash == frozen  # what was frozen stays on record
    assert findings(audit()) == {}
    for at in (START, START + timedelta(hours=2)):
        traded.clock.at = at
        traded.sweep()
    assert get_contract(SYMBOL).state == "cancelled"


def test_cancelling_during_delivery_takes_nothing_back(traded: Market) -> None:
    _deliver(traded)
    traded.clock.at = START + timedelta(minutes=20)
    result = carry_out(traded, CANCEL, SYMBOL)
    assert (result["contract_state"], result["fills_reversed"]) == ("cancelled", 0)
    assert Contract.objects.get(symbol=SYMBOL).cancelled_at == traded.clock.at
    assert list_positions(contract_id=traded.contract.id)[0].tokens == 5 * LOT
    traded.clock.at = START + timedelta(hours=1)
    traded.sweep()
    assert get_contract(SYMBOL).state == "cancelled"
    assert findings(audit()) == {}
    with pytest.raises(WrongContractState):
        ask(traded, CANCEL, SYMBOL)


def test_a_contract_that_was_delivered_in_the_meantime_is_not_cancelled(traded: Market) -> None:
    _deliver(traded)
    decision = ask(traded, CANCEL, SYMBOL)
    approve_decision(decision.pk, actor=SECOND, now=traded.clock.at)
    traded.clock.at = START + timedelta(hours=1)
    traded.results([])
    decision.refresh_from_db()
    answer = find_result(decision.seqs[0])
    assert answer is not None
    assert (answer["status"], answer["code"]) == ("refused", "wrong_contract_state")
    traded.sweep()
    assert get_contract(SYMBOL).state == "delivered"


def test_a_bust_takes_one_trade_back_and_leaves_the_others(traded: Market) -> None:
    first, second = Fill.objects.order_by("id")
    buyer = first.buyer_id
    before = balances()
    last = ContractMarket.objects.get(contract_id=traded.contract.id)
    assert (last.last_price_ticks, last.traded_lots) == (410, 5)
    sequence = get_book(SYMBOL).book_seq
    assert carry_out(traded, BUST, str(second.id))["fill_id"] == second.id
    cash = (buyer, Role.CASH, f"{traded.currency.id}/")
    paid, held = 2 * 410 * 1_000 + 1_640, second.overage_hold
    assert held > 0
    assert balances()[cash] == (before[cash][0] + paid, before[cash][1] - held)
    seller = (traded.provider.id, Role.CASH, f"{traded.currency.id}/")
    assert balances()[seller] == (before[seller][0], before[seller][1] - 2 * 1_000_000)
    (position,) = list_positions(contract_id=traded.contract.id)
    assert (position.fills, position.tokens, position.notional) == (1, 3 * LOT, 1_200_000)
    after = ContractMarket.objects.get(contract_id=traded.contract.id)
    assert (after.last_price_ticks, after.traded_lots, after.last_trade_no) == (400, 3, last.last_trade_no)
    assert get_book(SYMBOL).book_seq == sequence + 1
    (kept,) = FillReversal.objects.all()
    assert (kept.fill_id, kept.reason, kept.reversed_at) == (second.id, "for a good reason", NOW)
    assert Order.objects.get(id=second.sell_order_id).status == "open"  # orders stay as they are
    assert findings(audit()) == {}


def test_the_reference_price_leaves_busted_trades_out(traded: Market) -> None:
    _, second = Fill.objects.order_by("id")
    carry_out(traded, BUST, str(second.id))
    traded.clock.at = traded.contract.gate_close
    traded.sweep()
    contract = get_contract(SYMBOL)
    assert (contract.reference_step, contract.reference_price_micros) == ("trades", 4_000_000)
    assert findings(audit()) == {}


def test_a_trade_is_busted_once_and_before_the_gate_alone(traded: Market) -> None:
    first, second = Fill.objects.order_by("id")
    decisions = [ask(traded, BUST, str(first.id))]
    with pytest.raises(DecisionPending):
        ask(traded, BUST, f"0{first.id}")
    decisions.append(ask(traded, BUST, str(second.id)))
    for decision in decisions:
        approve_decision(decision.pk, actor=SECOND, now=NOW)
    seqs = [seq for decision in OperatorDecision.objects.order_by("id") for seq in decision.seqs]
    assert [result["status"] for result in traded.results(seqs)] == ["accepted", "accepted"]
    with pytest.raises(FillReversed):
        ask(traded, BUST, str(first.id))
    assert ContractMarket.objects.get(contract_id=traded.contract.id).last_price_ticks is None
    traded.clock.at = traded.contract.gate_close
    traded.sweep()
    with pytest.raises(FillReversed):
        ask(traded, BUST, str(first.id))
    assert findings(audit()) == {}


def test_a_bust_that_comes_behind_the_gate_is_refused(traded: Market) -> None:
    fill = Fill.objects.order_by("id")[0]
    decision = ask(traded, BUST, str(fill.id))
    traded.clock.at = traded.contract.gate_close
    sweep_contract_life(traded.clock.at)
    decision = approve_decision(decision.pk, actor=SECOND, now=traded.clock.at)
    (result,) = traded.results(decision.seqs)
    assert (result["status"], result["code"]) == ("refused", "wrong_contract_state")
    with pytest.raises(WrongContractState):
        ask(traded, BUST, str(fill.id))
    assert not FillReversal.objects.exists()


def test_trades_just_before_are_taken_back_with_the_rest(traded: Market) -> None:
    """The command does not share a batch with the trades that it finds."""
    waiting = traded.submit_buy(traded.party("buyer-3"), 1, 410)
    result = carry_out(traded, CANCEL, SYMBOL)
    assert Fill.objects.filter(buy_order_id=waiting).exists()
    assert result["fills_reversed"] == 3
    assert SequencerBatch.objects.filter(first_seq=waiting, last_seq=waiting).exists()
    assert not Account.objects.filter(role=Role.ESCROW).exclude(balance=0)
    assert findings(audit()) == {}


def test_fees_that_the_house_paid_out_are_not_given_back_twice(traded: Market) -> None:
    fees = AccountKey(get_house_id(), traded.currency.id, Role.FEES)
    cash = AccountKey(traded.provider.id, traded.currency.id, Role.CASH)
    with transaction.atomic():
        post([TransactionDraft("test", "test", "paid", NOW, (Leg(fees, -4_000), Leg(cash, 4_000)))], actor="t", now=NOW)
    result = carry_out(traded, CANCEL, SYMBOL)
    assert (result["status"], result["code"]) == ("refused", "insufficient_funds")
    assert result["fields"] == {"required": "0.004040", "available": "0.000040"}
    assert get_contract(SYMBOL).state == "trading"
    assert len(get_book(SYMBOL).asks) == 1  # the book as well
    assert traded.buy(traded.party("buyer-3"), 1, 410)["status"] == "accepted"
    assert findings(audit()) == {}


def test_a_default_withdraws_every_order_freezes_cash_and_ends_the_right_to_sell(traded: Market) -> None:
    other = traded.list_window(START + timedelta(hours=1), shard=2)
    traded.sweep()
    drain(traded.clock, 2)
    start = other.delivery_start
    post_offer(PostOffer(traded.provider.id, CODE, HOUR, start, start, 4, 420), actor=FIRST, now=NOW)
    drain(traded.clock, 2)
    assert Order.objects.filter(status="open", party_id=traded.provider.id).count() == 2
    bonds = 5 * 1_000_000
    decision = approve_decision(ask(traded, DEFAULT, "provider-1").pk, actor=SECOND, now=NOW)
    assert len(decision.seqs) == 2
    assert set(Intake.objects.filter(seq__in=decision.seqs).values_list("shard", flat=True)) == {1, 2}
    account = traded.cash(traded.provider)
    assert account.frozen
    drain(traded.clock, 1)
    drain(traded.clock, 2)
    assert set(Order.objects.filter(party_id=traded.provider.id).values_list("status", "close_reason")) == {
        ("filled", "filled"),
        ("cancelled", "withdrawn"),
    }
    assert traded.cash(traded.provider).held == bonds
    assert not Qualification.objects.filter(provider=traded.provider, revoked_at=None).exists()
    assert Order.objects.filter(status="open").count() == 1  # the buyer's
    assert findings(audit()) == {}
    with pytest.raises(ProviderInDefault):
        ask(traded, DEFAULT, "provider-1")
    with pytest.raises(DomainError):
        traded.offer(1, 400)
    figures = traded.provider.default
    assert (figures.defaulted_at, figures.decision_id) == (NOW, decision.pk)


def test_an_act_needs_two_people_a_reason_and_a_subject(traded: Market) -> None:
    for reason in ("", "  "):
        with pytest.raises(ReasonMissing):
            ask(traded, CANCEL, SYMBOL, reason)
    for kind, subject, error in (
        (CANCEL, "NOTHING", UnknownContract),
        (DEFAULT, "buyer-1", NotFound),
        (BUST, "999", FillNotFound),
        (BUST, "one", FillNotFound),
    ):
        with pytest.raises(error):
            ask(traded, kind, subject)
    assert not OperatorDecision.objects.exists()
    decision = ask(traded, CANCEL, SYMBOL)
    with pytest.raises(DecisionPending):
        ask(traded, CANCEL, SYMBOL, "another reason")
    for same in (FIRST, FIRST.upper()):
        with pytest.raises(NeedsAnotherPerson):
            approve_decision(decision.pk, actor=same, now=NOW)
        with pytest.raises(NeedsAnotherPerson):
            refuse_decision(decision.pk, "no", actor=same, now=NOW)
    record_action(actor=FIRST, action=ADD_MEMBER, subject="user:olivia", now=NOW, details={"role": "operator"})
    with pytest.raises(NeedsAnotherPerson):
        approve_decision(decision.pk, actor="user:olivia", now=NOW)
    with pytest.raises(ReasonMissing):
        refuse_decision(decision.pk, " ", actor=SECOND, now=NOW)
    assert get_contract(SYMBOL).state == "trading"
    assert Intake.objects.filter(kind__in=DecisionKind.values).count() == 0

    refused = refuse_decision(decision.pk, "it is not needed", actor=SECOND, now=NOW)
    assert (refused.state, refused.decided_by, refused.refusal) == (DecisionState.REFUSED, SECOND, "it is not needed")
    assert refuse_decision(decision.pk, "again", actor=SECOND, now=NOW).refusal == "it is not needed"
    with pytest.raises(AlreadyDecided):
        approve_decision(decision.pk, actor=SECOND, now=NOW)

    again = approve_decision(ask(traded, CANCEL, SYMBOL).pk, actor=SECOND, now=NOW)
    assert approve_decision(again.pk, actor="user:third", now=NOW).seqs == again.seqs
    with pytest.raises(AlreadyDecided):
        refuse_decision(again.pk, "too late", actor="user:third", now=NOW)
    told = ActionLog.objects.filter(subject__startswith="decision:").order_by("id")
    assert list(told.values_list("actor", "action", "reason")) == [
        (FIRST, "request_cancel_contract", "for a good reason"),
        (SECOND, "refuse_cancel_contract", "it is not needed"),
        (FIRST, "request_cancel_contract", "for a good reason"),
        (SECOND, "approve_cancel_contract", "for a good reason"),
    ]


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE exchange_operatordecision SET state = 'approved', decided_by = requested_by, decided_at = now()",
        "UPDATE exchange_operatordecision SET reason = 'another'",
        "DELETE FROM exchange_operatordecision",
        "UPDATE exchange_fillreversal SET reason = 'another'",
        "DELETE FROM exchange_fillreversal",
        "INSERT INTO exchange_fillreversal (fill_id, contract_id, reason, command_seq, batch_no, reversed_at)"
        " SELECT id, contract_id, 'theft', 1, 1, now() FROM exchange_fill ORDER BY id LIMIT 1",
        "INSERT INTO exchange_fillreversal (fill_id, contract_id, reason, command_seq, batch_no, reversed_at)"
        " VALUES (999, 1, 'nothing', 1, 1, now())",
        "UPDATE exchange_fill SET notional = 1",
    ],
)
def test_the_database_itself_refuses(traded: Market, attack: str) -> None:
    _, second = Fill.objects.order_by("id")
    carry_out(traded, BUST, str(second.id))
    ask(traded, CANCEL, SYMBOL)
    with pytest.raises(Error), connection.cursor() as cursor:
        cursor.execute(attack)


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE exchange_operatordecision SET reason = 'another' WHERE state = 'approved'",
        "UPDATE exchange_operatordecision SET state = 'requested', decided_by = '', decided_at = NULL"
        " WHERE state = 'approved'",
        "DELETE FROM exchange_providerdefault",
        "DELETE FROM exchange_fillreversal",
    ],
)
def test_it_refuses_its_owner_too(traded: Market, database: Any, attack: str) -> None:
    carry_out(traded, DEFAULT, "provider-1")
    with psycopg.connect(database.owner_url, autocommit=True) as owner, pytest.raises(psycopg.Error):
        owner.execute(attack.encode())


@pytest.mark.parametrize(
    ("attack", "checks"),
    [
        ("UPDATE exchange_fillreversal SET fill_id = (SELECT min(id) FROM exchange_fill)", {"exchange.reversals"}),
        ("DELETE FROM exchange_fillreversal", {"exchange.reversals", "exchange.fills", "holds"}),
        ("UPDATE exchange_fillreversal SET fill_id = 999", {"exchange.reversals", "exchange.fills", "holds"}),
    ],
)
def test_a_reversal_that_was_changed_is_found(traded: Market, database: Any, attack: str, checks: set[str]) -> None:
    second = Fill.objects.order_by("id")[1]
    carry_out(traded, BUST, str(second.id))
    tamper(database, attack)
    assert checks <= set(findings(audit()))


def test_qualification_lost_withdraws_the_sell_orders(traded: Market) -> None:
    qualification = Qualification.objects.get(provider=traded.provider)
    lost = RevokeQualification(qualification.pk, "the weights were replaced")
    revoke_qualification(lost, actor=FIRST, now=NOW)
    traded.results([])
    (order,) = Order.objects.filter(side="sell").exclude(status="filled")
    assert (order.status, order.close_reason) == ("cancelled", "withdrawn")
    assert len(list_positions(contract_id=traded.contract.id)) == 1  # what was sold stays sold
    assert findings(audit()) == {}
