"""Money in and out, and accounts frozen and closed, as people do it in the admin."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.chart import Role
from ledger.models import Account, ActionLog, MembershipRole, Transaction, Transfer, User
from ledger.models.transfers import TransferState
from ledger.parties.commands import add_member
from tests.integration.admin.conftest import Site
from tests.integration.admin.people import PASSWORD, Visitor, as_user
from tests.integration.settlement.trading_day import ACTOR, NOW

LIST = "/admin/ledger/transfer/"


def party_url(site: Site, code: str, act: str) -> str:
    return f"/admin/ledger/party/{site.day.parties[code].pk}/{act}/"


def page(transfer: Transfer, act: str = "change") -> str:
    return f"{LIST}{transfer.pk}/{act}/"


def data(site: Site, amount: str, reference: str, **more: str) -> dict[str, Any]:
    return {"currency": site.day.currency_id, "amount": amount, "reference": reference} | more


def ask(site: Site, visitor: Visitor, act: str, amount: str, reference: str, code: str = "buyer-3") -> Transfer:
    """A request that goes through and leads to its page."""
    response = visitor.post(party_url(site, code, act), **data(site, amount, reference))
    assert response.status_code == 302, response.content.decode()
    transfer = Transfer.objects.latest("id")
    assert response.headers["Location"] == page(transfer)
    return transfer


def free_cash(site: Site, code: str = "buyer-3") -> int:
    return site.day.balance(code) - site.day.held(code)


def test_a_deposit_is_credited_when_a_second_operator_has_approved_it(site: Site) -> None:
    before = site.day.balance("buyer-3")
    asked = ask(site, site.operator, "deposit", "12.5", "bank 17")
    told = site.operator.text(page(asked))
    assert "an operator other than user:olga approves or refuses it" in told
    assert "/approve/" not in told
    for act in ("approve", "refuse"):
        assert site.operator.post(page(asked, act), reason="x").status_code == 403
    assert site.day.balance("buyer-3") == before

    form = site.second_operator.text(page(asked, "approve"))
    assert "12.5" in form
    assert "bank 17" in form
    response = site.second_operator.post(page(asked, "approve"))
    assert response.headers["Location"] == page(asked)
    assert "is posted as transaction" in site.second_operator.text(page(asked))
    assert site.day.balance("buyer-3") == before + 12_500_000

    again = site.operator.post(party_url(site, "buyer-3", "deposit"), **data(site, "12.5", "bank 17"))
    assert again.headers["Location"] == page(asked)
    assert "was posted before" in site.operator.text(page(asked))
    conflict = site.operator.post(party_url(site, "buyer-3", "deposit"), **data(site, "13", "bank 17"))
    assert conflict.status_code == 422
    assert "with this payment reference and another amount" in conflict.content.decode()
    assert site.day.balance("buyer-3") == before + 12_500_000


@pytest.mark.parametrize("act", ["deposit", "withdraw"])
@pytest.mark.parametrize("amount", ["0", "-1", "1.1234567", "much", ""])
def test_a_bad_amount_asks_for_nothing(site: Site, act: str, amount: str) -> None:
    before = Transfer.objects.count()
    assert site.operator.post(party_url(site, "buyer-3", act), **data(site, amount, "x")).status_code == 422
    assert Transfer.objects.count() == before


def test_only_free_cash_can_be_asked_for_and_is_held(site: Site) -> None:
    refused = site.operator.post(party_url(site, "buyer-3", "withdraw"), **data(site, "100000", "out 1"))
    assert refused.status_code == 422
    assert "No more than 100.000000 CNY is free." in refused.content.decode()
    asked = ask(site, site.operator, "withdraw", "40", "out 1")
    assert (site.day.balance("buyer-3"), free_cash(site)) == (100_000_000, 60_000_000)
    assert site.second_operator.post(page(asked, "approve")).status_code == 302
    assert (site.day.balance("buyer-3"), free_cash(site)) == (60_000_000, 60_000_000)


def test_a_buyers_staff_asks_for_its_own_money_alone(site: Site) -> None:
    link = party_url(site, "buyer-1", "withdraw")
    assert link in site.buyer.text("/admin/")
    before = free_cash(site, "buyer-1")
    asked = ask(site, site.buyer, "withdraw", "1", "rent", "buyer-1")
    assert (asked.requested_by, free_cash(site, "buyer-1")) == ("user:bea", before - 1_000_000)
    assert "user:bea" in site.buyer.text(page(asked))
    others = Transfer.objects.exclude(party=site.day.parties["buyer-1"]).latest("id")
    assert site.buyer.get(page(others)).status_code in (302, 404)
    assert f'href="{page(others)}' not in site.buyer.text(LIST)
    for code, act in (("buyer-3", "withdraw"), ("provider-1", "withdraw"), ("buyer-1", "deposit")):
        assert site.buyer.post(party_url(site, code, act), **data(site, "1", "more")).status_code == 403, (code, act)
    for act in ("approve", "refuse", "reverse"):
        assert site.buyer.post(page(asked, act), reason="x", note="x").status_code == 403
    assert site.auditor.post(party_url(site, "buyer-1", "withdraw"), **data(site, "1", "more")).status_code == 403
    assert Transfer.objects.latest("id") == asked


def test_an_operator_who_is_staff_too_does_not_decide_what_they_asked_for(site: Site) -> None:
    add_member("bea", PASSWORD, site.day.parties["house"], MembershipRole.OPERATOR, actor=ACTOR, now=NOW)
    asked = ask(site, site.buyer, "withdraw", "1", "rent", "buyer-1")
    assert site.buyer.post(page(asked, "approve")).status_code == 403
    assert site.operator.post(page(asked, "approve")).status_code == 302
    assert Transfer.objects.get(pk=asked.pk).decided_by == "user:olga"


def test_an_operator_who_adds_a_second_self_still_needs_another_person(site: Site) -> None:
    asked = ask(site, site.operator, "deposit", "12.5", "bank 17")
    new = {"password": PASSWORD, "party": site.day.parties["house"].pk, "role": MembershipRole.OPERATOR}
    taken = site.operator.post("/admin/ledger/user/add/", username="Otto", **new)
    assert (taken.status_code, "The name otto is taken" in taken.content.decode()) == (422, True)
    assert site.operator.post("/admin/ledger/user/add/", username="puppet", **new).status_code == 302
    puppet = as_user(User.objects.get(username="puppet"))
    for act in ("approve", "refuse"):
        refused = puppet.post(page(asked, act), reason="x")
        assert refused.status_code == 422
        assert "user:puppet was made an operator by user:olga" in refused.content.decode()
    assert site.second_operator.post(page(asked, "approve")).status_code == 302


def test_refusing_needs_a_reason_which_the_party_reads(site: Site) -> None:
    asked = ask(site, site.buyer, "withdraw", "1", "rent", "buyer-1")
    before = free_cash(site, "buyer-1")
    assert site.operator.post(page(asked, "refuse"), reason=" ").status_code == 422
    assert site.operator.post(page(asked, "refuse"), reason="The account number is wrong.").status_code == 302
    assert "The account number is wrong." in site.buyer.text(page(asked))
    assert free_cash(site, "buyer-1") == before + 1_000_000
    assert site.operator.get(page(asked, "approve")).status_code == 403  # nothing left to decide


def test_two_who_have_the_form_open_decide_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ask(site, site.buyer, "withdraw", "1", "rent", "buyer-1")
    monkeypatch.setattr("ledger.admin.treasury.TransferAdmin.has_decide_permission", lambda *_: True)  # as it was then
    assert site.operator.post(page(asked, "approve")).status_code == 302
    late = site.second_operator.post(page(asked, "refuse"), reason="No.")
    assert late.status_code == 422
    assert f"Transfer {asked.pk} is posted already, decided by user:olga." in late.content.decode()
    own = ask(site, site.operator, "withdraw", "1", "out 2")
    refused = site.operator.post(page(own, "approve"))
    assert refused.status_code == 422
    assert "another operator decides" in refused.content.decode()


def test_a_deposit_is_reversed_once_and_only_while_its_cash_is_there(site: Site) -> None:
    deposit = Transfer.objects.get(party=site.day.parties["buyer-3"])
    spent = ask(site, site.operator, "withdraw", "40", "out 1")
    assert site.operator.post(page(deposit, "reverse"), note="").status_code == 422
    assert site.operator.post(page(deposit, "reverse"), note="It bounced.").status_code == 302
    reversal = Transfer.objects.get(reverses=deposit)
    assert site.second_operator.get(page(deposit, "reverse")).status_code == 403  # it is asked for already
    short = site.second_operator.post(page(reversal, "approve"))
    assert short.status_code == 422
    assert "would fall short by 40.000000" in short.content.decode()
    assert site.second_operator.post(page(spent, "refuse"), reason="Reversed.").status_code == 302
    assert site.second_operator.post(page(reversal, "approve")).status_code == 302
    assert site.day.balance("buyer-3") == 0
    posted = Transaction.objects.latest("id")
    assert (posted.kind, posted.reverses) == ("reversal", deposit.transaction_id)
    assert site.operator.get(page(reversal, "reverse")).status_code == 403


def test_what_waits_stands_first_and_is_counted_on_the_start_page(site: Site) -> None:
    waiting = ask(site, site.operator, "deposit", "1", "bank 1")
    decided = ask(site, site.operator, "deposit", "2", "bank 2")
    assert site.second_operator.post(page(decided, "approve")).status_code == 302
    for visitor in (site.operator, site.auditor):
        text = visitor.text(LIST)
        assert text.index(page(waiting)) < text.index(page(decided))
        start = visitor.text("/admin/")
        assert f'href="{LIST}">Transfers</a> to decide</dt><dd>1</dd>' in start
    assert "to decide" not in site.buyer.text("/admin/")


def test_an_operator_freezes_thaws_and_closes_an_account_for_a_reason(site: Site) -> None:
    account = Account.objects.get(party=site.day.parties["buyer-3"], role=Role.CASH)
    url = f"/admin/ledger/account/{account.pk}/"
    for visitor in (site.buyer, site.provider, site.auditor, site.outsider):
        for act in ("freeze", "thaw", "close"):
            assert visitor.post(f"{url}{act}/", reason="x").status_code == 403, act
    assert site.operator.get(f"{url}thaw/").status_code == 403  # it is not frozen
    assert site.operator.post(f"{url}freeze/", reason=" ").status_code == 422
    assert site.operator.post(f"{url}freeze/", reason="A court order.").status_code == 302
    refused = site.operator.post(party_url(site, "buyer-3", "withdraw"), **data(site, "1", "x"))
    assert "frozen" in refused.content.decode()
    assert site.operator.get(f"{url}freeze/").status_code == 403
    assert site.operator.post(f"{url}thaw/", reason="It was lifted.").status_code == 302

    full = site.operator.post(f"{url}close/", reason="They left.")
    assert full.status_code == 422
    assert "closes when it holds nothing" in full.content.decode()
    last = ask(site, site.operator, "withdraw", "100", "all")
    assert site.second_operator.post(page(last, "approve")).status_code == 302
    assert site.operator.post(f"{url}close/", reason="They left.").status_code == 302
    account.refresh_from_db()
    assert (account.frozen, account.closed) == (False, True)
    for act in ("freeze", "thaw", "close"):
        assert site.operator.get(f"{url}{act}/").status_code == 403
    acts = ActionLog.objects.filter(subject=f"account:{account.pk}").order_by("id").values_list("action", "reason")
    assert list(acts) == [
        ("freeze_account", "A court order."),
        ("thaw_account", "It was lifted."),
        ("close_account", "They left."),
    ]
    external = Account.objects.get(role=Role.EXTERNAL)
    assert site.operator.get(f"/admin/ledger/account/{external.pk}/close/").status_code == 403


def test_a_transfer_that_nobody_has_leads_nowhere(site: Site) -> None:
    for act in ("approve", "refuse", "reverse"):
        assert site.operator.get(f"{LIST}999999/{act}/").status_code in (403, 404)
        assert site.operator.get(f"{LIST}x/{act}/").status_code == 404
    assert not Transfer.objects.filter(state=TransferState.REQUESTED).exists()
