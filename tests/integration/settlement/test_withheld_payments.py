"""Payments that must not leave: of who is frozen, in default or in debt, or whose cash a dispute needs."""

from __future__ import annotations

import pytest
from django.db import transaction

from exchange.models import DecisionKind
from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.restrictions import freeze_account, thaw_account
from settlement.models import InstructionState, NettingSet, PaymentInstruction, Withheld
from settlement.payments.errors import PaymentsWithheld, WrongInstructionState
from settlement.payments.instructions import Unpaid
from settlement.payments.withholding import withhold_unpayable
from settlement.runs.sweep import sweep
from tests.audits import findings
from tests.conftest import DatabaseUrls
from tests.integration.settlement.disputed_day import disputed_day
from tests.integration.settlement.line_rows import audit_but_lines
from tests.integration.settlement.payment_day import IBANS, PaymentDay
from tests.integration.settlement.trading_day import ACTOR
from tests.two_operators import FIRST, decide, withdraw

OPENING = 100_000_000
FIRST_NAME, SECOND_NAME = "TB-CNY-20261202-1-{}", "TB-CNY-20261202-1-{}-2"


@pytest.fixture
def paying(database: DatabaseUrls) -> PaymentDay:
    return PaymentDay()


def instructed(paying: PaymentDay, *amounts: tuple[str, int]) -> NettingSet:
    paying.accounts()
    paying.run(*amounts)
    netting = paying.net()
    paying.instruct(netting)
    return netting


def cash(paying: PaymentDay, code: str) -> AccountKey:
    return AccountKey(paying.party(code).pk, paying.day.currency_id, Role.CASH)


def owe(paying: PaymentDay, code: str, micros: int) -> None:
    """A debt, and somebody's claim."""
    debt = cash(paying, code)._replace(role=Role.DEBT)
    claim = AccountKey(paying.party("buyer-2").pk, paying.day.currency_id, Role.CLAIM, code)
    legs = (Leg(debt, -micros), Leg(claim, micros))
    with transaction.atomic():
        now = paying.day.clock.at
        journal.post([TransactionDraft("adjustment", "settlement", f"owed/{code}", now, legs)], actor=ACTOR, now=now)


def states(netting: NettingSet) -> dict[str, tuple[str, str]]:
    rows = PaymentInstruction.objects.filter(netting=netting).select_related("party").order_by("id")
    return {row.party.code: (row.state, row.withheld) for row in rows}


def test_a_provider_that_defaults_before_the_export_is_not_paid(paying: PaymentDay) -> None:
    netting = instructed(paying, ("provider-1", 10_000_000), ("buyer-1", 2_000_000))
    decide(DecisionKind.DEFAULT_PROVIDER, "provider-1", now=paying.day.clock.at)
    file = paying.export(netting)
    assert states(netting) == {"provider-1": ("returned", "cash_frozen"), "buyer-1": ("exported", "")}
    assert b"provider-1" not in bytes(file.content)
    assert b"<NbOfTxs>1</NbOfTxs>" in bytes(file.content)
    assert (paying.day.balance("provider-1"), paying.day.held("provider-1")) == (OPENING, 0)
    payment = PaymentInstruction.objects.get(netting=netting, party=paying.party("provider-1"))
    assert payment.return_reason == "not sent: the party's cash is frozen"
    assert findings(audit_but_lines()) == {}


def test_who_owes_is_neither_sent_a_payment_nor_made_one(paying: PaymentDay) -> None:
    netting = instructed(paying, ("provider-1", 10_000_000))
    owe(paying, "provider-1", 5)
    with pytest.raises(PaymentsWithheld, match="owes for an earlier settlement"):
        paying.export(netting)
    assert states(netting) == {"provider-1": ("returned", "open_debt")}
    assert paying.day.held("provider-1") == 0
    assert paying.instruct(netting).unpaid == {"provider-1": Unpaid.OPEN_DEBT}
    with pytest.raises(WrongInstructionState):  # nothing is left to export
        paying.export(netting)
    assert findings(audit_but_lines()) == {}


def test_a_withheld_payment_is_made_again_under_another_name(paying: PaymentDay) -> None:
    netting = instructed(paying, ("provider-1", 10_000_000))
    key, number = cash(paying, "provider-1"), paying.party("provider-1").pk
    freeze_account(key, reason="an inquiry", actor=FIRST, now=paying.day.clock.at)
    assert withhold_unpayable(actor=ACTOR, now=paying.day.clock.at) == 1
    assert paying.instruct(netting).unpaid == {"provider-1": Unpaid.NO_FREE_CASH}
    thaw_account(key, reason="it is over", actor=FIRST, now=paying.day.clock.at)
    assert withhold_unpayable(actor=ACTOR, now=paying.day.clock.at) == 0
    (again,) = paying.instruct(netting).instructions
    assert (again.end_to_end_id, again.micros) == (SECOND_NAME.format(number), 10_000_000)
    content = bytes(paying.export(netting).content).decode()
    assert f"<EndToEndId>{SECOND_NAME.format(number)}</EndToEndId>" in content
    assert f"<EndToEndId>{FIRST_NAME.format(number)}</EndToEndId>" not in content
    assert list(PaymentInstruction.objects.order_by("id").values_list("state", "withheld")) == [
        (InstructionState.RETURNED, Withheld.CASH_FROZEN),
        (InstructionState.EXPORTED, ""),
    ]
    assert len(paying.instruct(netting).instructions) == 1
    assert findings(audit_but_lines()) == {}


def test_a_sweep_frees_what_payments_to_a_defaulted_provider_hold(paying: PaymentDay) -> None:
    netting = instructed(paying, ("provider-1", 10_000_000), ("buyer-1", 2_000_000))
    decide(DecisionKind.DEFAULT_PROVIDER, "provider-1", now=paying.day.clock.at)
    sweep(paying.day.clock.at, ring=lambda _: None)
    assert states(netting) == {"provider-1": ("returned", "cash_frozen"), "buyer-1": ("created", "")}
    assert (paying.day.held("provider-1"), paying.day.held("buyer-1")) == (0, 2_000_000)


def test_a_payment_not_yet_sent_shields_nothing_from_a_dispute(paying: PaymentDay, database: DatabaseUrls) -> None:
    day = paying.day
    market = disputed_day(day, database)
    paying.accounts()
    account = journal.load_accounts([cash(paying, "buyer-1")])[cash(paying, "buyer-1")]
    free = (account.available or 0) - 62_000
    withdraw(market.party_id("buyer-1"), day.currency_id, free, reference="all but a payment", now=day.clock.at)
    netting = paying.net()
    paying.instruct(netting)
    assert paying.day.held("buyer-1") == 50_000
    assert market.open(code="provider-1", kind="damages", micros=10_500).suspended_micros == 10_500
    assert states(netting)["buyer-1"] == ("created", "")  # what is free was enough
    dispute = market.open(code="provider-1", kind="delivered", micros=25_200)
    assert dispute.suspended_micros == 25_200
    assert states(netting)["buyer-1"] == ("returned", "dispute")
    paying.instruct(netting)
    assert paying.day.held("buyer-1") == 20_000  # of what is free still
    assert findings(audit_but_lines()) == {}


def test_a_payment_to_an_account_that_was_replaced_is_made_again_to_the_new_one(paying: PaymentDay) -> None:
    netting = instructed(paying, ("provider-1", 10_000_000), ("buyer-1", 2_000_000))
    paying.account("provider-1", iban="IE29AIBK93115212345678")
    first = bytes(paying.export(netting).content).decode()
    assert states(netting) == {"provider-1": ("returned", "other_account"), "buyer-1": ("exported", "")}
    assert "provider-1" not in first
    paying.instruct(netting)
    second = bytes(paying.export(netting).content).decode()
    assert "<IBAN>IE29AIBK93115212345678</IBAN>" in second
    assert IBANS["provider-1"] not in first + second
    assert findings(audit_but_lines()) == {}
