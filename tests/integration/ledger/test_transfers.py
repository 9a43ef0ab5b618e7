"""Deposits, withdrawals and reversals: one person asks, another decides, and the books say no more than that."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from ledger.chart import Role
from ledger.errors import (
    AccountFrozen,
    AlreadyDecided,
    InsufficientFunds,
    InvalidAmount,
    NeedsAnotherPerson,
    NotFound,
    NotReversible,
    ReasonMissing,
    ReferenceConflict,
)
from ledger.models import Account, ActionLog, Asset, Entry, HoldEntry, MembershipRole, Party, Transaction, Transfer
from ledger.models.transfers import TransferState
from ledger.parties.commands import add_member, register_currency
from ledger.restrictions import freeze_account, thaw_account
from ledger.selectors.accounts import list_balances
from ledger.transfers import approve_transfer, refuse_transfer, request_deposit, request_reversal, request_withdrawal
from tests.conftest import DatabaseUrls
from tests.integration.ledger.till import LATER, NOW, OLGA, OTTO, Till, open_till, take_back


@pytest.fixture
def till(database: DatabaseUrls) -> Till:
    return open_till()


def test_a_deposit_is_nothing_but_a_request_until_another_person_approves_it(till: Till) -> None:
    asked = request_deposit(till.ada, till.currency, 500, reference="wire 1", note="n", actor=OLGA, now=NOW)
    assert (asked.state, till.stands(), Transaction.objects.count()) == (TransferState.REQUESTED, (0, 0), 0)
    posted = approve_transfer(asked.pk, actor=OTTO, now=LATER)
    assert till.stands() == (500, 0)
    row = Transaction.objects.get()
    assert (row.pk, row.kind, row.source, row.reference) == (
        posted.transaction_id,
        "deposit",
        "treasury",
        f"transfer/{asked.pk}",
    )
    assert (row.actor, row.effective_at, row.posted_at) == (OTTO, NOW, LATER)
    legs = Entry.objects.order_by("leg").values_list("amount", "ref")
    assert list(legs) == [(-500, "wire 1"), (500, "wire 1")]
    kept = Transfer.objects.get()
    assert (kept.requested_by, kept.requested_at, kept.decided_by, kept.decided_at) == (OLGA, NOW, OTTO, LATER)
    acts = ActionLog.objects.filter(subject=f"transfer:{asked.pk}").order_by("id").values_list("actor", "action")
    assert list(acts) == [(OLGA, "request_deposit"), (OTTO, "approve_transfer")]


def test_what_a_withdrawal_asks_for_is_held_at_once_and_cannot_be_spent(till: Till) -> None:
    till.deposit(500)
    asked = till.ask(300)
    assert till.stands() == (500, 300)
    with pytest.raises(InsufficientFunds):
        till.spend(201)
    with pytest.raises(InsufficientFunds) as short:
        till.ask(201, "out 2")
    assert short.value.fields["held"] == "0.000501"
    assert Transfer.objects.filter(payment_reference="out 2").count() == 0
    till.spend(200)
    approve_transfer(asked.pk, actor=OTTO, now=LATER)
    assert till.stands() == (0, 0)
    holds = HoldEntry.objects.order_by("hold_seq").values_list("delta", "held_after", "ref")
    assert list(holds) == [(300, 300, f"transfer/{asked.pk}"), (-300, 0, f"transfer/{asked.pk}")]
    kinds = list(Transaction.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["deposit", "withdrawal_request", "test", "withdrawal"]


def test_a_party_is_told_what_is_free_while_a_withdrawal_waits(till: Till) -> None:
    till.deposit(500)
    till.ask(200)
    (cash,) = list_balances(till.ada)
    assert (cash.asset, cash.balance, cash.held, cash.available) == ("CNY", 500, 200, 300)


def test_refusing_releases_the_hold_and_posts_no_money(till: Till) -> None:
    till.deposit(500)
    asked = till.ask(300)
    refused = refuse_transfer(asked.pk, "Wrong account number.", actor=OTTO, now=LATER)
    assert (refused.state, refused.refusal, refused.transaction_id) == ("refused", "Wrong account number.", None)
    assert till.stands() == (500, 0)
    assert Entry.objects.count() == 2
    again = till.ask(500)  # the reference is free again
    assert (again.pk != asked.pk, till.stands()) == (True, (500, 500))


@pytest.mark.parametrize("kind", ["deposit", "withdrawal", "reversal"])
def test_nobody_decides_what_they_asked_for(till: Till, kind: str) -> None:
    first = till.deposit(500)
    asked = {
        "deposit": lambda: request_deposit(till.ada, till.currency, 1, reference="x", actor=OLGA, now=NOW),
        "withdrawal": lambda: till.ask(1),
        "reversal": lambda: request_reversal(first.pk, "It bounced.", actor=OLGA, now=NOW),
    }[kind]()
    before = till.stands()
    with pytest.raises(NeedsAnotherPerson):
        approve_transfer(asked.pk, actor=OLGA, now=LATER)
    with pytest.raises(NeedsAnotherPerson):
        refuse_transfer(asked.pk, "No.", actor=OLGA, now=LATER)
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by, till.stands()) == (TransferState.REQUESTED, "", before)


def test_capital_letters_make_nobody_another_person(till: Till) -> None:
    asked = request_deposit(till.ada, till.currency, 1, reference="x", actor=OLGA, now=NOW)
    for actor in (OLGA.upper(), "user:Olga"):
        with pytest.raises(NeedsAnotherPerson):
            approve_transfer(asked.pk, actor=actor, now=LATER)


def let_in(till: Till, username: str, role: MembershipRole, *, actor: str) -> str:
    """Somebody whom somebody adds; gives the actor's name."""
    party = Party.objects.get(pk=till.house if role == MembershipRole.OPERATOR else till.ada)
    return f"user:{add_member(username, 'long enough password', party, role, actor=actor, now=NOW)}"


@pytest.mark.parametrize("maker", [OLGA, "user:OLGA"])
def test_who_was_let_in_by_the_one_who_asked_does_not_decide(till: Till, maker: str) -> None:
    puppet = let_in(till, "puppet", MembershipRole.OPERATOR, actor=maker)
    asked = request_deposit(till.ada, till.currency, 1, reference="x", actor=OLGA, now=NOW)
    for actor in (puppet, puppet.replace("puppet", "Puppet")):
        with pytest.raises(NeedsAnotherPerson) as refused:
            approve_transfer(asked.pk, actor=actor, now=LATER)
        told = f"{actor} was made an operator by {OLGA}, who asked for this; another person must decide."
        assert refused.value.message == told
        with pytest.raises(NeedsAnotherPerson):
            refuse_transfer(asked.pk, "No.", actor=actor, now=LATER)
    assert approve_transfer(asked.pk, actor=OTTO, now=LATER).decided_by == OTTO


@pytest.mark.parametrize("role", [MembershipRole.OPERATOR, MembershipRole.BUYER_STAFF])
def test_nobody_decides_what_was_asked_for_with_a_login_that_they_made(till: Till, role: MembershipRole) -> None:
    till.deposit(5)
    puppet = let_in(till, "puppet", role, actor=OLGA)
    asked = request_withdrawal(till.ada, till.currency, 1, reference="x", actor=puppet, now=NOW)
    with pytest.raises(NeedsAnotherPerson, match="user:puppet, who asked for this, was given their login by user:olga"):
        approve_transfer(asked.pk, actor=OLGA, now=LATER)
    assert approve_transfer(asked.pk, actor=OTTO, now=LATER).decided_by == OTTO


def test_two_whom_a_third_let_in_decide_for_each_other(till: Till) -> None:
    for name in ("olga", "otto"):
        let_in(till, name, MembershipRole.OPERATOR, actor="setup")
    let_in(till, "otto", MembershipRole.BUYER_STAFF, actor=OLGA)  # neither a login nor the role of an operator
    asked = request_deposit(till.ada, till.currency, 1, reference="x", actor=OLGA, now=NOW)
    assert approve_transfer(asked.pk, actor=OTTO, now=LATER).decided_by == OTTO


def test_an_operator_made_of_somebody_known_does_not_decide_for_who_made_them_one(till: Till) -> None:
    known = let_in(till, "clerk", MembershipRole.BUYER_STAFF, actor="setup")
    let_in(till, "clerk", MembershipRole.OPERATOR, actor=OLGA)
    asked = request_deposit(till.ada, till.currency, 1, reference="x", actor=OLGA, now=NOW)
    with pytest.raises(NeedsAnotherPerson):
        approve_transfer(asked.pk, actor=known, now=LATER)


def test_a_payment_counts_once_however_often_it_is_sent(till: Till) -> None:
    asked = request_deposit(till.ada, till.currency, 500, reference="wire 1", actor=OLGA, now=NOW)
    for actor in (OLGA, OTTO):
        again = request_deposit(till.ada, till.currency, 500, reference="wire 1", actor=actor, now=LATER)
        assert (again.pk, again.requested_by) == (asked.pk, OLGA)
    first = approve_transfer(asked.pk, actor=OTTO, now=LATER)
    second = approve_transfer(asked.pk, actor="user:third", now=LATER.replace(hour=11))
    assert (second.transaction_id, second.decided_by, second.decided_at) == (first.transaction_id, OTTO, LATER)
    late = request_deposit(till.ada, till.currency, 500, reference="wire 1", actor=OLGA, now=LATER)
    assert (late.pk, late.state) == (asked.pk, TransferState.POSTED)
    assert till.stands() == (500, 0)
    out = till.ask(100)
    assert till.ask(100).pk == out.pk
    assert till.stands() == (500, 100)


def test_a_used_reference_with_other_content_names_the_field(till: Till) -> None:
    till.deposit(500)
    other = register_currency("EUR", actor="test", now=NOW).pk
    for currency, micros, field in ((till.currency, 501, "amount"), (other, 500, "currency")):
        with pytest.raises(ReferenceConflict) as conflict:
            request_deposit(till.ada, currency, micros, reference="wire 1", actor=OLGA, now=NOW)
        assert conflict.value.fields["field"] == field
    # The same words for another party or the other way are another payment.
    elsewhere = request_deposit(till.bob, till.currency, 7, reference="wire 1", actor=OLGA, now=NOW)
    assert {elsewhere.pk, till.ask(7, "wire 1").pk}.isdisjoint({Transfer.objects.earliest("id").pk})


def test_a_decision_stands(till: Till) -> None:
    posted = till.deposit(500)
    with pytest.raises(AlreadyDecided) as decided:
        refuse_transfer(posted.pk, "Too late.", actor="user:third", now=LATER)
    assert decided.value.fields["state"] == "posted"
    asked = till.ask(300)
    refuse_transfer(asked.pk, "No.", actor=OTTO, now=LATER)
    with pytest.raises(AlreadyDecided):
        approve_transfer(asked.pk, actor=OTTO, now=LATER)
    again = refuse_transfer(asked.pk, "Again.", actor="user:third", now=LATER)
    assert (again.refusal, again.decided_by, till.stands()) == ("No.", OTTO, (500, 0))


@pytest.mark.parametrize("micros", [0, -1, 2**63])
@pytest.mark.parametrize("ask", [request_deposit, request_withdrawal])
def test_an_amount_that_is_none_is_refused(till: Till, ask: Any, micros: int) -> None:
    with pytest.raises(InvalidAmount) as refused:
        ask(till.ada, till.currency, micros, reference="x", actor=OLGA, now=NOW)
    assert refused.value.fields["field"] == "amount"
    assert not Transfer.objects.exists()


@pytest.mark.parametrize("reference", ["", "x" * 121])
def test_a_reference_has_1_to_120_characters(till: Till, reference: str) -> None:
    with pytest.raises(InvalidAmount) as refused:
        request_deposit(till.ada, till.currency, 1, reference=reference, actor=OLGA, now=NOW)
    assert refused.value.fields["field"] == "reference"
    long = request_deposit(till.ada, till.currency, 1, reference="x" * 120, actor=OLGA, now=NOW)
    assert approve_transfer(long.pk, actor=OTTO, now=NOW).state == TransferState.POSTED


def test_what_does_not_exist_is_not_found(till: Till) -> None:
    tokens = Asset.objects.create(code="A@20261201T14/1H", kind="contract", scale=0).pk
    calls: list[Callable[[], object]] = [
        lambda: request_deposit(till.ada, 999, 1, reference="x", actor=OLGA, now=NOW),
        lambda: request_deposit(till.ada, tokens, 1, reference="x", actor=OLGA, now=NOW),
        lambda: request_withdrawal(999, till.currency, 1, reference="x", actor=OLGA, now=NOW),
        lambda: request_reversal(999, "Why?", actor=OLGA, now=NOW),
        lambda: approve_transfer(999, actor=OTTO, now=NOW),
        lambda: refuse_transfer(999, "No.", actor=OTTO, now=NOW),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert not Transfer.objects.exists()


def test_refusing_and_reversing_need_a_reason(till: Till) -> None:
    posted = till.deposit(500)
    asked = till.ask(1)
    for words in ("", " \n"):
        with pytest.raises(ReasonMissing):
            refuse_transfer(asked.pk, words, actor=OTTO, now=NOW)
        with pytest.raises(ReasonMissing):
            request_reversal(posted.pk, words, actor=OLGA, now=NOW)


def legs(number: int) -> dict[int, int]:
    """Amounts by account."""
    return dict(Entry.objects.filter(transaction_id=number).values_list("account_id", "amount"))


def test_a_reversal_mirrors_what_it_takes_back_and_happens_once(till: Till) -> None:
    deposit = till.deposit(500)
    withdrawal = approve_transfer(till.ask(200, "wire 1").pk, actor=OTTO, now=LATER)  # the deposit's reference
    for original, stands in ((withdrawal, (500, 0)), (deposit, (0, 0))):
        asked = request_reversal(original.pk, "It bounced.", actor=OLGA, now=LATER)
        assert request_reversal(original.pk, "Said twice.", actor=OTTO, now=LATER).pk == asked.pk
        assert (asked.micros, asked.payment_reference, till.stands()[1]) == (original.micros, "wire 1", 0)
        posted = approve_transfer(asked.pk, actor=OTTO, now=LATER)
        assert posted.transaction_id is not None
        assert original.transaction_id is not None
        row = Transaction.objects.get(pk=posted.transaction_id)
        assert (row.kind, row.reverses, till.stands()) == ("reversal", original.transaction_id, stands)

        mirrored = {account: -amount for account, amount in legs(original.transaction_id).items()}
        assert legs(posted.transaction_id) == mirrored
        assert request_reversal(original.pk, "Once more.", actor=OLGA, now=LATER).pk == asked.pk
    assert Transfer.objects.filter(kind="reversal").count() == 2


def test_only_what_is_posted_and_no_reversal_is_reversed(till: Till) -> None:
    posted = till.deposit(500)
    waiting = till.ask(1)
    refused = refuse_transfer(till.ask(2, "out 2").pk, "No.", actor=OTTO, now=NOW)
    reversal = take_back(posted)
    for transfer in (waiting, refused, reversal):
        with pytest.raises(NotReversible):
            request_reversal(transfer.pk, "Why not?", actor=OLGA, now=NOW)
    refuse_transfer(reversal.pk, "The money did arrive.", actor=OTTO, now=NOW)
    assert take_back(posted).pk != reversal.pk  # a refused one does not use the one reversal up


def test_a_deposit_whose_cash_is_gone_is_not_reversed_until_it_is_back(till: Till) -> None:
    deposit = till.deposit(500)
    till.spend(1)
    asked = take_back(deposit)
    with pytest.raises(InsufficientFunds) as short:
        approve_transfer(asked.pk, actor=OTTO, now=LATER)
    assert short.value.fields["balance"] == "-0.000001"
    asked.refresh_from_db()
    assert (asked.state, till.stands()) == (TransferState.REQUESTED, (499, 0))
    till.deposit(1, "wire 2")
    approve_transfer(asked.pk, actor=OTTO, now=LATER)
    assert till.stands() == (0, 0)


def test_a_frozen_account_takes_a_deposit_and_pays_nothing_out(till: Till) -> None:
    deposit = till.deposit(500)
    asked = till.ask(100)
    freeze_account(till.cash(till.ada), reason="A court order.", actor=OLGA, now=NOW)
    assert till.deposit(50, "wire 2").state == TransferState.POSTED
    refused: list[Callable[[], object]] = [
        lambda: till.ask(1, "out 2"),
        lambda: approve_transfer(asked.pk, actor=OTTO, now=LATER),  # although it was held before
        lambda: approve_transfer(take_back(deposit).pk, actor=OTTO, now=LATER),
    ]
    for act in refused:
        with pytest.raises(AccountFrozen):
            act()
    assert till.stands() == (550, 100)
    refuse_transfer(asked.pk, "Frozen.", actor=OTTO, now=LATER)
    assert till.stands() == (550, 0)
    thaw_account(till.cash(till.ada), reason="It was lifted.", actor=OTTO, now=LATER)
    approve_transfer(till.ask(550, "out 3").pk, actor=OTTO, now=LATER)
    assert till.stands() == (0, 0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_requests_and_decisions_leave_what_a_plain_reckoning_says(till: Till, seed: int) -> None:
    rng = random.Random(seed)
    balance = held = 0
    waiting: dict[int, Transfer] = {}
    reversible: dict[int, Transfer] = {}
    refusals = 0
    for step in range(120):
        act = rng.choice(["deposit", "withdrawal", "reversal", "approve", "approve", "refuse"])
        micros = rng.randint(1, 100)
        try:
            if act == "deposit":
                asked = request_deposit(till.ada, till.currency, micros, reference=f"{step}", actor=OLGA, now=NOW)
                waiting[asked.pk] = asked
            elif act == "withdrawal":
                asked = till.ask(micros, f"{step}")
                assert balance - held >= micros
                held += micros
                waiting[asked.pk] = asked
            elif act == "reversal" and reversible:
                original = reversible.pop(rng.choice(list(reversible)))
                asked = take_back(original)
                waiting[asked.pk] = asked
            elif act in ("approve", "refuse") and waiting:
                transfer = waiting[rng.choice(list(waiting))]
                held_now = transfer.micros if transfer.kind == "withdrawal" else 0
                if act == "refuse":
                    refuse_transfer(transfer.pk, "No.", actor=OTTO, now=NOW)
                else:
                    approve_transfer(transfer.pk, actor=OTTO, now=NOW)
                    source = transfer.reverses or transfer
                    sign = (1 if source.kind == "deposit" else -1) * (-1 if transfer.reverses else 1)
                    balance += sign * transfer.micros
                    if not transfer.reverses:
                        reversible[transfer.pk] = transfer
                held -= held_now
                del waiting[transfer.pk]
        except InsufficientFunds:
            refusals += 1
        assert till.stands() == (balance, held), (seed, step, act)
        assert balance >= held >= 0
    assert refusals, f"seed {seed} never ran out of money"
    outside = Account.objects.get(party_id=till.house, role=Role.EXTERNAL).balance
    assert outside == -balance
