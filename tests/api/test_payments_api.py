"""Nettings, payments and invoice rows over REST."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from ledger.chart import AccountKey, Role
from ledger.models import PartyKind
from ledger.parties.commands import register_party
from ledger.parties.keys import Scope
from ledger.restrictions import freeze_account
from settlement.models import PaymentInstruction
from settlement.payments.errors import PaymentsWithheld
from settlement.payments.invoicing import invoice_rows
from tests.api.client import Api
from tests.api.live_market import MarketClock, api_of, api_of_old
from tests.integration.settlement.line_rows import insert_line, published_run
from tests.integration.settlement.payment_day import PaymentDay
from tests.integration.settlement.trading_day import ACTOR, END, NOW, START, TradingDay
from tests.two_operators import FIRST


@pytest.fixture
def paying(stopped_clock: None) -> PaymentDay:
    clock: Any = MarketClock()
    return PaymentDay(TradingDay(clock))


def test_a_party_reads_what_it_is_paid_and_why(paying: PaymentDay) -> None:
    paying.sent(("provider-1", 5_000_000), ("provider-1", -1_000_000), ("buyer-1", 300_000))
    api = api_of(paying.party("provider-1"))
    (netted,) = api.get("nettings").ok()["items"]
    assert (netted["credits"], netted["debits"], netted["net"]) == ("5.000000", "1.000000", "4.000000")
    assert (netted["currency"], netted["value_date"], netted["ratio_ppm"]) == ("CNY", "2026-12-02", 333_333)
    (payment,) = api.get("payments").ok()["items"]
    assert (payment["party"], payment["amount"], payment["state"]) == ("provider-1", "4.000000", "exported")
    assert (payment["iban"], payment["paid_transaction_id"]) == ("GB82WEST12345698765432", None)
    assert api.get(f"payments/{payment['id']}").ok() == payment
    (account,) = api.get("payout-accounts").ok()["items"]
    assert (account["iban"], account["state"]) == (payment["iban"], "confirmed")
    assert api.get("payments", {"state": "created"}).ok()["items"] == []
    assert api.get("nettings", {"value_date": "2026-12-03"}).ok()["items"] == []


def test_a_payment_that_was_not_sent_says_why(paying: PaymentDay) -> None:
    paying.accounts()
    paying.run(("provider-1", 5_000_000))
    netting = paying.net()
    paying.instruct(netting)
    key = AccountKey(paying.party("provider-1").pk, paying.day.currency_id, Role.CASH)
    freeze_account(key, reason="an inquiry", actor=FIRST, now=NOW)
    with pytest.raises(PaymentsWithheld):
        paying.export(netting)
    (payment,) = api_of(paying.party("provider-1")).get("payments").ok()["items"]
    assert (payment["state"], payment["withheld"]) == ("returned", "cash_frozen")
    assert payment["return_reason"] == "not sent: the party's cash is frozen"


def test_invoice_rows_as_json_and_as_a_file(paying: PaymentDay) -> None:
    run = published_run("CNY", START, END)
    provider, buyer = paying.party("provider-1"), paying.party("buyer-1")
    insert_line(run, provider, paying.day.contract.id, "delivered", 10_600_000, counterparty=buyer)
    invoice_rows(run.pk, now=NOW)
    for party in (provider, buyer):
        api = api_of(party)
        (row,) = api.get("invoice-rows").ok()["items"]
        assert (row["supplier"], row["recipient"], row["net"], row["tax"], row["gross"], row["reverses"]) == (
            "provider-1",
            "buyer-1",
            "10.00",
            "0.60",
            "10.60",
            None,
        )
        file = api.get("invoice-rows/download", {"run": str(run.pk)})
        assert (file.status, file.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
        (told,) = csv.DictReader(io.StringIO(file.content.decode(), newline=""))
        assert told["number"] == row["number"]
    other = api_of(paying.party("buyer-2"))
    assert other.get("invoice-rows").ok()["items"] == []
    assert len(other.get("invoice-rows/download", {"run": str(run.pk)}).content.splitlines()) == 1
    other.get("invoice-rows/download").problem(400, "invalid_amount")
    other.get("invoice-rows/download", {"run": "x"}).problem(400, "invalid_amount")


def test_nobody_sees_anothers_money_but_an_auditor(paying: PaymentDay) -> None:
    payments = paying.sent(("provider-1", 5_000_000), ("provider-2", 4_000_000))
    foreign = payments["provider-2"].pk
    stranger = api_of_old(paying.party("provider-1"), *Scope)  # the audit scope alone opens nothing
    for path in ("nettings", "payments", "payout-accounts"):
        assert {each["party"] for each in stranger.get(path).ok()["items"]} == {"provider-1"}
    stranger.get(f"payments/{foreign}").problem(404, "instruction_not_found")
    api_of(paying.party("provider-1"), Scope.METER).get("payments").problem(403, "not_allowed")
    Api().get("payments").problem(401, "not_authenticated")
    auditor = api_of(register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW), Scope.AUDIT)
    assert {each["party"] for each in auditor.get("payments").ok()["items"]} == {"provider-1", "provider-2"}
    assert len(auditor.get("payments", {"party": "provider-2"}).ok()["items"]) == 1
    assert auditor.get(f"payments/{foreign}").ok()["party"] == "provider-2"


def test_nothing_is_changed_by_key(paying: PaymentDay) -> None:
    payments = paying.sent(("provider-1", 5_000_000))
    api = api_of(paying.party("provider-1"))
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in (
            "payments",
            f"payments/{payments['provider-1'].pk}",
            "payout-accounts",
            "nettings",
            "invoice-rows",
        ):
            assert api.call(method, path, b"{}").status == 405
    assert PaymentInstruction.objects.get().state == "exported"


@pytest.mark.parametrize("query", [{"state": "paid"}, {"value_date": "tomorrow"}, {"stat": "created"}])
def test_a_filter_that_makes_no_sense_is_refused(paying: PaymentDay, query: dict[str, str]) -> None:
    assert api_of(paying.party("provider-1")).get("payments", query).status == 400
