"""Money out as people do it in the admin, and the pages that show it to those it concerns."""

from __future__ import annotations

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from ledger.chart import AccountKey, Role
from ledger.models import Account, ActionLog, Asset, MembershipRole
from ledger.restrictions import freeze_account
from settlement.models import (
    ConfirmationImport,
    NettingSet,
    PaymentFile,
    PaymentInstruction,
    PaymentReturn,
    PayoutAccount,
)
from settlement.payments.invoicing import invoice_rows
from settlement.payments.pots import open_pots
from tests.integration.admin.conftest import Site
from tests.integration.admin.people import Visitor, login
from tests.integration.settlement.line_rows import insert_line, published_run
from tests.integration.settlement.payment_day import IBANS, VALUE_DATE
from tests.integration.settlement.trading_day import ACTOR, END, NOW, START
from tests.unit.settlement.bank_files import camt054, entry

ADMIN = "/admin/settlement"


def posted(visitor: Visitor, path: str, **data: object) -> str:
    """Where a form that goes through leads to."""
    response = visitor.post(path, **data)
    assert response.status_code == 302, response.content.decode()
    return str(response.headers["Location"])


def enter_account(site: Site, code: str) -> PayoutAccount:
    party = site.day.parties[code].pk
    posted(
        site.operator, f"{ADMIN}/payoutaccount/add/", party=party, currency="CNY", holder=code, iban=IBANS[code], bic=""
    )
    account = PayoutAccount.objects.latest("id")
    assert site.operator.post(f"{ADMIN}/payoutaccount/{account.pk}/confirm/").status_code == 403
    posted(site.second_operator, f"{ADMIN}/payoutaccount/{account.pk}/confirm/")
    return account


def run_with_lines(site: Site) -> None:
    run = published_run("CNY", START, END, value_date=VALUE_DATE)
    provider, buyer = site.day.parties["provider-1"], site.day.parties["buyer-1"]
    insert_line(run, provider, site.day.contract.id, "delivered", 5_120_000, counterparty=buyer)
    invoice_rows(run.pk, now=NOW)


@pytest.fixture
def exported(site: Site) -> NettingSet:
    """A payment of 5.12 that the bank has."""
    run_with_lines(site)
    for code in ("house", "provider-1"):
        enter_account(site, code)
    posted(site.operator, f"{ADMIN}/nettingset/add/", waiting=f"CNY {VALUE_DATE}")
    netting = NettingSet.objects.get()
    posted(site.operator, f"{ADMIN}/nettingset/{netting.pk}/pay/")
    refused = site.operator.post(f"{ADMIN}/nettingset/{netting.pk}/export/", form="pain.001")
    assert refused.status_code == 422
    posted(site.second_operator, f"{ADMIN}/nettingset/{netting.pk}/export/", form="pain.001")
    return netting


def test_from_the_netting_to_the_banks_file_and_back(site: Site, exported: NettingSet) -> None:
    page = site.operator.text(f"/payments/nettings/{exported.pk}/")
    assert "5.12" in page
    file = PaymentFile.objects.get()
    download = site.auditor.get(f"/payments/files/{file.pk}/file")
    assert download.content == bytes(file.content)
    assert download.headers["Content-Type"] == "application/xml"
    payment = PaymentInstruction.objects.get()
    content = camt054(entry((payment.end_to_end_id, "5.12"), ("unknown", "1.00")))
    upload = SimpleUploadedFile("camt.xml", content)
    where = posted(site.operator, f"{ADMIN}/confirmationimport/add/", file=upload)
    told = site.operator.text(where)
    assert "Confirmed" in told
    assert "Instruction not found" in told
    assert ConfirmationImport.objects.get().confirmed == 1
    payment.refresh_from_db()
    assert payment.state == "confirmed"


def test_a_hostile_file_is_refused_on_the_form(site: Site, exported: NettingSet) -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    response = site.operator.client.post(f"{ADMIN}/confirmationimport/add/", {"file": io.BytesIO(bomb)})
    assert response.status_code == 422
    assert "DTD or entities" in response.content.decode()
    assert not ConfirmationImport.objects.exists()


def test_a_payment_is_cancelled_before_it_is_exported(site: Site) -> None:
    run_with_lines(site)
    for code in ("house", "provider-1"):
        enter_account(site, code)
    posted(site.operator, f"{ADMIN}/nettingset/add/", waiting=f"CNY {VALUE_DATE}")
    posted(site.operator, f"{ADMIN}/nettingset/{NettingSet.objects.get().pk}/pay/")
    payment = PaymentInstruction.objects.get()
    posted(site.operator, f"{ADMIN}/paymentinstruction/{payment.pk}/cancel/", reason="wrong account")
    payment.refresh_from_db()
    assert (payment.state, payment.return_reason) == ("returned", "wrong account")


def test_each_sees_its_own_payments_and_invoice_rows(site: Site, exported: NettingSet) -> None:
    own = site.provider.text("/payments/")
    payment = PaymentInstruction.objects.get()
    assert payment.end_to_end_id in own
    for other in (site.other_provider, site.buyer):
        assert payment.end_to_end_id not in other.text("/payments/")
    for side in (site.provider, site.buyer, site.auditor):
        assert "INV-" in side.text("/invoices/")
    assert "INV-" not in site.other_provider.text("/invoices/")
    run = PaymentFile.objects.get().netting.runs.get().run_id
    assert site.buyer.get(f"/invoices/{run}/file").status_code == 200
    assert site.other_provider.get(f"/invoices/{run}/file").status_code == 404
    for path in ("/payments/nettings/", f"/payments/nettings/{exported.pk}/", f"/payments/files/{exported.pk}/file"):
        assert site.provider.get(path).status_code == 403
        assert site.nobody.get(path).status_code == 302
        assert site.outsider.get(path).status_code == 403
        assert site.auditor.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        f"{ADMIN}/nettingset/add/", f"{ADMIN}/payoutaccount/add/", f"{ADMIN}/confirmationimport/add/",
        f"{ADMIN}/nettingset/1/pay/", f"{ADMIN}/nettingset/1/export/", f"{ADMIN}/nettingset/waterfall/fund/",
        f"{ADMIN}/nettingset/waterfall/walk/",
    ],
)  # fmt: skip
def test_only_operators_act(site: Site, path: str) -> None:
    for visitor in (site.provider, site.buyer, site.auditor, site.outsider):
        assert visitor.post(path).status_code in (302, 403)
        assert visitor.get(path).status_code in (302, 403)
    assert not NettingSet.objects.exists()
    assert not PayoutAccount.objects.exists()


def test_the_waterfall_is_filled_by_two(site: Site) -> None:
    open_pots(actor=ACTOR, now=NOW)
    where = posted(
        site.operator, f"{ADMIN}/nettingset/waterfall/fund/",
        pot="member", party="buyer-3", currency="CNY", amount="2.50", reason="first contribution",
    )  # fmt: skip
    asked = ActionLog.objects.filter(action="ask_fund_waterfall").get()
    assert f"Look at request {asked.pk}" not in site.operator.text(where)
    assert f"Look at request {asked.pk}" in site.second_operator.text(where)
    decide = f"{ADMIN}/nettingset/waterfall/{asked.pk}/"
    assert site.operator.post(decide).status_code == 422
    assert "first contribution" in site.second_operator.text(decide)
    posted(site.second_operator, decide)
    pot = Account.objects.get(role=Role.DEFAULT_FUND, qualifier="member/buyer-3", asset=Asset.objects.get(code="CNY"))
    assert pot.balance == 2_500_000
    assert "member/buyer-3" in site.auditor.text(where)
    assert site.second_operator.post(decide).status_code == 422  # once
    assert site.provider.get(where).status_code in (302, 403)


def test_a_return_of_a_paid_payment_is_accepted_by_a_third_person(site: Site, exported: NettingSet) -> None:
    payment = PaymentInstruction.objects.get()
    for side, why in (("DBIT", ""), ("CRDT", "AC04")):
        content = camt054(entry((payment.end_to_end_id, "5.12"), side=side, returned=why))
        posted(site.operator, f"{ADMIN}/confirmationimport/add/", file=SimpleUploadedFile("camt.xml", content))
    accept = f"{ADMIN}/paymentreturn/{PaymentReturn.objects.get().pk}/accept/"
    for visitor in (site.operator, site.second_operator, site.auditor, site.provider):
        assert visitor.post(accept).status_code in (302, 403)
    payment.refresh_from_db()
    assert payment.state == "confirmed"
    posted(login("omar", site.day.parties["house"], MembershipRole.OPERATOR), accept)
    payment.refresh_from_db()
    assert payment.state == "returned"
    assert "AC04" in site.provider.text("/payments/")


def test_a_payment_that_was_not_sent_says_why_on_the_pages(site: Site) -> None:
    run_with_lines(site)
    for code in ("house", "provider-1"):
        enter_account(site, code)
    posted(site.operator, f"{ADMIN}/nettingset/add/", waiting=f"CNY {VALUE_DATE}")
    netting = NettingSet.objects.get()
    posted(site.operator, f"{ADMIN}/nettingset/{netting.pk}/pay/")
    key = AccountKey(site.day.parties["provider-1"].pk, site.day.currency_id, Role.CASH)
    freeze_account(key, reason="an inquiry", actor=ACTOR, now=NOW)
    refused = site.second_operator.post(f"{ADMIN}/nettingset/{netting.pk}/export/", form="pain.001")
    assert (refused.status_code, "the party&#x27;s cash is frozen" in refused.content.decode()) == (422, True)
    for page in (site.provider.text("/payments/"), site.operator.text(f"/payments/nettings/{netting.pk}/")):
        assert "not sent: the party&#x27;s cash is frozen" in page
