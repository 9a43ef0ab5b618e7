"""Freezing, thawing and closing accounts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection

from ledger import restrictions
from ledger.chart import AccountKey, Role
from ledger.errors import (
    AccountClosed,
    AccountFrozen,
    AccountNeeded,
    AccountNotEmpty,
    NotFound,
    ReasonMissing,
)
from ledger.models import Account, AccountChange, ActionLog
from ledger.restrictions import AccountUse, close_account, freeze_account, register_account_use, thaw_account
from ledger.transfers import approve_transfer, request_deposit
from tests.conftest import DatabaseUrls
from tests.integration.ledger.till import LATER, NOW, OLGA, OTTO, Till, open_till

WHY = "A court order."
ACTS = (freeze_account, thaw_account, close_account)


@pytest.fixture
def till(database: DatabaseUrls) -> Till:
    till = open_till()
    till.deposit(500)
    return till


def flags(till: Till, party: int) -> tuple[bool, bool]:
    account = Account.objects.get(party_id=party, role=Role.CASH)
    return account.frozen, account.closed


def test_a_frozen_account_takes_money_and_gives_none_until_it_is_thawed(till: Till) -> None:
    freeze_account(till.cash(till.ada), reason=WHY, actor=OLGA, now=NOW)
    assert flags(till, till.ada) == (True, False)
    with pytest.raises(AccountFrozen):
        till.spend(1)
    till.deposit(1, "wire 2")
    assert till.stands() == (501, 0)
    thaw_account(till.cash(till.ada), reason="It was lifted.", actor=OTTO, now=LATER)
    till.spend(1)
    account = Account.objects.get(party_id=till.ada, role=Role.CASH).pk
    acts = (
        ActionLog.objects.filter(subject=f"account:{account}").order_by("id").values_list("actor", "action", "reason")
    )
    assert list(acts) == [(OLGA, "freeze_account", WHY), (OTTO, "thaw_account", "It was lifted.")]
    evidence = AccountChange.objects.order_by("id").values_list("account_id", "actor", "reason", "at")
    assert list(evidence) == [(account, OLGA, WHY, NOW), (account, OTTO, "It was lifted.", LATER)]


def test_doing_it_twice_leaves_no_second_trace(till: Till) -> None:
    thaw_account(till.cash(till.ada), reason=WHY, actor=OLGA, now=NOW)
    assert not AccountChange.objects.exists()
    for _ in range(2):
        freeze_account(till.cash(till.ada), reason=WHY, actor=OLGA, now=NOW)
    assert AccountChange.objects.count() == 1


def test_an_account_closes_empty_and_for_good(till: Till) -> None:
    key = till.cash(till.ada)
    asked = till.ask(500)
    with pytest.raises(AccountNotEmpty) as refused:
        close_account(key, reason=WHY, actor=OLGA, now=NOW)
    assert (refused.value.fields["balance"], refused.value.fields["held"]) == ("0.000500", "0.000500")
    approve_transfer(asked.pk, actor=OTTO, now=NOW)
    waiting = request_deposit(till.ada, till.currency, 7, reference="wire 2", actor=OLGA, now=NOW)
    close_account(key, reason=WHY, actor=OLGA, now=NOW)
    assert flags(till, till.ada) == (False, True)

    closed: list[Callable[[], object]] = [
        lambda: approve_transfer(waiting.pk, actor=OTTO, now=NOW),
        lambda: till.ask(1, "out 2"),
        lambda: till.spend(1),
    ]
    for act in closed:
        with pytest.raises(AccountFrozen):
            act()
    for command in ACTS:
        with pytest.raises(AccountClosed):
            command(key, reason=WHY, actor=OLGA, now=NOW)
    assert (till.stands(), flags(till, till.ada)) == ((0, 0), (False, True))


def test_a_frozen_account_may_be_closed_when_it_is_empty(till: Till) -> None:
    till.spend(500)
    freeze_account(till.cash(till.ada), reason=WHY, actor=OLGA, now=NOW)
    close_account(till.cash(till.ada), reason=WHY, actor=OLGA, now=NOW)
    assert flags(till, till.ada) == (True, True)


def test_an_account_of_the_whole_market_is_never_closed(till: Till) -> None:
    till.spend(500)
    key = AccountKey(till.house, till.currency, Role.EXTERNAL)
    with pytest.raises(AccountNeeded):
        close_account(key, reason=WHY, actor=OLGA, now=NOW)
    freeze_account(key, reason="No money leaves or enters today.", actor=OLGA, now=NOW)
    with pytest.raises(AccountFrozen):
        till.deposit(1, "wire 2")


def test_an_account_that_something_needs_stays_open(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restrictions, "_uses", {})
    till.spend(500)
    key, needed = till.cash(till.ada), ["its owner has a seat"]
    use = AccountUse("seats", lambda asked: needed[0] if asked == key else "")
    register_account_use(use)
    register_account_use(use)  # as an app may that starts twice
    with pytest.raises(ValueError, match="seats"):
        register_account_use(AccountUse("seats", lambda asked: ""))
    with pytest.raises(AccountNeeded) as refused:
        close_account(key, reason=WHY, actor=OLGA, now=NOW)
    assert refused.value.message == "The cash account stays open: its owner has a seat."
    assert refused.value.fields == {"role": Role.CASH, "use": "seats"}
    assert flags(till, till.ada) == (False, False)
    needed[0] = ""
    close_account(key, reason=WHY, actor=OLGA, now=NOW)
    assert flags(till, till.ada) == (False, True)


@pytest.mark.parametrize("command", ACTS)
def test_each_needs_a_reason_and_an_account(till: Till, command: Callable[..., None]) -> None:
    for words in ("", "  \n"):
        with pytest.raises(ReasonMissing):
            command(till.cash(till.ada), reason=words, actor=OLGA, now=NOW)
    with pytest.raises(NotFound):
        command(till.cash(till.bob), reason=WHY, actor=OLGA, now=NOW)
    assert not AccountChange.objects.exists()


def test_the_database_closes_nothing_that_holds_money(till: Till) -> None:
    account = Account.objects.get(party_id=till.ada, role=Role.CASH).pk
    with pytest.raises(IntegrityError, match="closes empty"), connection.cursor() as cursor:
        cursor.execute("SELECT ledger_set_flags(%s, false, true, 'me', 'because', now())", [account])
