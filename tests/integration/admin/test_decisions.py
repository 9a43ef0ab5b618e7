"""Acts that take two operators, and the listing calendar, as people do them in the admin."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.urls import reverse

from exchange.commands.list_due_windows import list_due_windows
from exchange.models import Contract, Fill, ListingRule, OperatorDecision
from exchange.sequencer.loop import drain
from ledger.models import ActionLog
from tests.integration.admin.conftest import Site
from tests.integration.settlement.trading_day import CODE, NOW, SYMBOL

LIST = "/admin/exchange/operatordecision/"
RULES = "/admin/exchange/listingrule/"


def page(decision: OperatorDecision, act: str = "change") -> str:
    return f"{LIST}{decision.pk}/{act}/"


def ask(site: Site, kind: str, subject: str) -> OperatorDecision:
    data = {"kind": kind, "subject": subject, "reason": "It went wrong."}
    response = site.operator.post(f"{LIST}add/", **data)
    assert response.status_code == 302, response.content.decode()
    decision = OperatorDecision.objects.latest("id")
    assert response.headers["Location"] == page(decision)
    return decision


def test_a_contract_is_cancelled_by_two_operators(site: Site) -> None:
    contract = Contract.objects.get(symbol=SYMBOL)
    link = site.operator.get(f"/admin/exchange/contract/{contract.pk}/cancel/")
    assert link.headers["Location"] == f"{LIST}add/?kind=cancel_contract&subject={quote(SYMBOL, safe='')}"
    form = site.operator.text(link.headers["Location"])
    assert SYMBOL in form
    decision = ask(site, "cancel_contract", SYMBOL)
    told = site.operator.text(page(decision))
    assert "an operator other than user:olga approves or refuses it" in told
    for act in ("approve", "refuse"):
        assert site.operator.post(page(decision, act), reason="x").status_code == 403
        for visitor in (site.auditor, site.provider, site.buyer):
            assert visitor.post(page(decision, act), reason="x").status_code == 403
    assert "It went wrong." in site.second_operator.text(page(decision, "approve"))
    assert site.second_operator.post(page(decision, "approve")).headers["Location"] == page(decision)
    assert "waits for the sequencer" in site.second_operator.text(LIST)
    drain(site.day.clock)
    assert "accepted" in site.second_operator.text(LIST)
    contract.refresh_from_db()
    assert (contract.state, contract.state_reason) == ("cancelled", "It went wrong.")
    assert "It went wrong." in site.nobody.text(reverse("contract", args=(SYMBOL,)))
    fills = site.buyer.text("/admin/exchange/fill/")
    assert "It went wrong." in fills
    assert "provider-1" not in fills  # the gate never closed
    assert site.day.left_over() == []


def test_a_trade_is_busted_from_its_page(site: Site) -> None:
    fill = Fill.objects.get()
    link = site.operator.get(f"/admin/exchange/fill/{fill.pk}/bust/")
    assert link.headers["Location"] == f"{LIST}add/?kind=bust_fill&subject={fill.pk}"
    for visitor in (site.auditor, site.buyer):
        assert visitor.get(f"/admin/exchange/fill/{fill.pk}/bust/").status_code == 403
    decision = ask(site, "bust_fill", str(fill.pk))
    again = site.operator.post(f"{LIST}add/", kind="bust_fill", subject=str(fill.pk), reason="Again.")
    assert again.status_code == 422
    assert "was asked for already" in again.content.decode()
    assert site.second_operator.post(page(decision, "approve")).status_code == 302
    drain(site.day.clock)
    assert site.operator.get(f"/admin/exchange/fill/{fill.pk}/bust/").status_code == 403  # it is taken back
    site.day.deliver()
    assert "provider-1" not in site.buyer.text("/admin/exchange/fill/")


def test_a_request_can_be_refused_with_a_reason(site: Site) -> None:
    decision = ask(site, "default_provider", "provider-1")
    assert site.second_operator.post(page(decision, "refuse"), reason=" ").status_code == 422
    assert site.second_operator.post(page(decision, "refuse"), reason="They answered.").status_code == 302
    assert "They answered." in site.operator.text(page(decision))
    told = ActionLog.objects.get(action="refuse_default_provider")
    assert (told.actor, told.reason) == ("user:otto", "They answered.")


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "cancel_contract", "subject": "NOTHING", "reason": "x"},
        {"kind": "default_provider", "subject": "buyer-1", "reason": "x"},
        {"kind": "bust_fill", "subject": "77", "reason": "x"},
        {"kind": "cancel_contract", "subject": SYMBOL, "reason": ""},
        {"kind": "anything", "subject": SYMBOL, "reason": "x"},
    ],
)
def test_a_bad_request_asks_for_nothing(site: Site, data: dict[str, str]) -> None:
    assert site.operator.post(f"{LIST}add/", **data).status_code == 422
    assert not OperatorDecision.objects.exists()


def rule_data(**changes: Any) -> dict[str, Any]:
    return {
        "product": CODE,
        "length": "3600",
        "windows_ahead": "3",
        "gate_open_lead": "1440",
        "gate_close_lead": "10",
        "listing_price": "4.2",
        "price_from": "reference",
        "band_low_permille": "500",
        "band_high_permille": "2000",
        "collar_permille": "100",
        "shard": "1",
    } | changes


def test_a_rule_is_made_changed_and_paused(site: Site) -> None:
    assert site.operator.post(f"{RULES}add/", **rule_data()).status_code == 302
    rule = ListingRule.objects.get()
    assert (rule.listing_price_ticks, rule.follow_reference, rule.gate_open_lead_seconds) == (420, True, 86_400)
    assert len(list_due_windows(NOW)) == 3
    change = f"{RULES}{rule.pk}/edit/"
    form = site.operator.text(change)
    for shown in ("4.200000", "1440", "500", "2000"):
        assert f'value="{shown}"' in form
    assert site.operator.post(change, **rule_data(windows_ahead="6", price_from="fixed")).status_code == 302
    rule.refresh_from_db()
    assert (rule.windows_ahead, rule.follow_reference, rule.changed_by) == (6, False, "user:olga")
    assert len(list_due_windows(NOW)) == 2  # the hour between was listed by hand
    assert site.operator.post(f"{RULES}{rule.pk}/pause/", reason=" ").status_code == 422
    assert site.operator.post(f"{RULES}{rule.pk}/pause/", reason="Holidays.").status_code == 302
    assert site.operator.get(f"{RULES}{rule.pk}/pause/").status_code == 403
    assert "paused" in site.auditor.text(RULES)
    assert site.auditor.get(f"{RULES}{rule.pk}/go-on/").status_code == 403
    assert site.operator.post(f"{RULES}{rule.pk}/go-on/", reason="Back.").status_code == 302
    assert not ListingRule.objects.get().paused


@pytest.mark.parametrize(
    "changes",
    [
        {"windows_ahead": "0"},
        {"gate_open_lead": "10"},
        {"gate_close_lead": "-1"},
        {"listing_price": "4.2001"},
        {"band_low_permille": "1001"},
        {"collar_permille": "much"},
        {"shard": "9"},
    ],
)
def test_a_bad_rule_is_not_kept(site: Site, changes: dict[str, str]) -> None:
    assert site.operator.post(f"{RULES}add/", **rule_data(**changes)).status_code == 422
    assert not ListingRule.objects.exists()


def test_a_month_is_listed_by_hand_with_a_collar(site: Site) -> None:
    data = {
        "product": CODE,
        "length": str(30 * 86_400),
        "delivery_start": "2027-01-01T00:00",
        "windows": "2",
        "gate_open": f"{NOW:%Y-%m-%dT%H:%M}",
        "lead_minutes": "60",
        "listing_price": "4.2",
        "band_low": "2",
        "band_high": "8",
        "collar_permille": "50",
        "shard": "2",
    }
    assert site.operator.post("/admin/exchange/contract/add/", **data).status_code == 302
    listed = Contract.objects.exclude(symbol=SYMBOL).order_by("delivery_start")
    assert [contract.symbol for contract in listed] == [f"{CODE}@202701/1M", f"{CODE}@202702/1M"]
    assert {(contract.collar_permille, contract.shard) for contract in listed} == {(50, 2)}
    assert "January 2027, all month UTC" in site.nobody.text(reverse("contract", args=(f"{CODE}@202701/1M",)))
