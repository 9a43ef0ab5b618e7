"""Memberships decide, row by row; Django's own permissions and superusers decide nothing."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.db.models import Model
from django.urls import reverse

from exchange.models import (
    CapacityDeclaration,
    Contract,
    Fill,
    Intake,
    ListingRule,
    Offer,
    OperatorDecision,
    Order,
    PreventedMatch,
    SetAside,
    Site,
)
from ledger.models import Account, ActionLog, ApiKey, Party, SigningKey, Transaction, Transfer, User
from ledger.parties.keys import Scope, issue_key
from settlement.models import Meter, SettlementRun, ShareSchedule, Statement
from tests.integration.admin.conftest import Site as TheSite
from tests.integration.admin.people import Visitor
from tests.integration.settlement.trading_day import ACTOR, NOW, SYMBOL

OWN_OF_PROVIDER = (
    Site,
    CapacityDeclaration,
    Offer,
    Order,
    Fill,
    ShareSchedule,
    Statement,
    Account,
    Transfer,
    Meter,
    ApiKey,
    Party,
)
ONLY_READERS_OF_ALL = (
    User, Transaction, ActionLog, SigningKey, Intake, SetAside, PreventedMatch, SettlementRun, ListingRule,
    OperatorDecision,
)  # fmt: skip


def list_url(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def row_url(row: Model, page: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=(row.pk,))


def shown(visitor: Visitor, model: type[Model]) -> set[int]:
    """The rows that a person finds in a table."""
    links = re.findall(rf'href="{list_url(model)}(\d+)/change/', visitor.text(list_url(model)))
    return set(map(int, links))


def test_a_providers_staff_sees_its_own_organisation_and_nothing_else(settled: TheSite) -> None:
    for code in ("provider-1", "provider-2"):
        issue_key(settled.day.parties[code], "tests", [Scope.READ], actor=ACTOR, now=NOW)
    own, others = settled.day.parties["provider-1"], settled.day.parties["provider-2"]
    for model in OWN_OF_PROVIDER:
        mine, theirs = shown(settled.provider, model), shown(settled.other_provider, model)
        if model is not Fill:  # provider-2 sold nothing
            assert mine, model
        assert not mine & theirs, model
        assert mine | theirs <= shown(settled.auditor, model), model
    text = settled.provider.text(list_url(Account))
    assert Account.objects.filter(party=own).exists()
    assert others.name not in text


def test_another_partys_row_cannot_be_opened_by_its_address(settled: TheSite) -> None:
    theirs = settled.day.parties["provider-2"]
    rows: list[Model] = [
        Site.objects.get(provider=theirs),
        CapacityDeclaration.objects.get(site__provider=theirs),
        Offer.objects.get(provider=theirs),
        Order.objects.get(party_id=theirs.id),
        Statement.objects.get(party=theirs),
        Account.objects.filter(party=theirs).first() or pytest.fail("no account"),
    ]
    for row in rows:
        assert settled.provider.get(row_url(row)).status_code in (302, 404), row
        assert settled.other_provider.get(row_url(row)).status_code in (200, 302), row
    assert settled.provider.get(row_url(rows[2], "withdraw")).status_code == 403
    assert settled.provider.get(f"/statements/{rows[4].pk}/").status_code == 404
    assert settled.provider.get(f"/accounts/{rows[5].pk}/").status_code == 404


@pytest.mark.parametrize("model", ONLY_READERS_OF_ALL)
def test_some_tables_are_for_those_who_read_everything(site: TheSite, model: type[Model]) -> None:
    for name, visitor in site.roles().items():
        expected = {"operator": 200, "auditor": 200, "nobody": 302}.get(name, 403)
        assert visitor.get(list_url(model)).status_code == expected, name


def test_a_buyers_staff_sees_its_orders_and_no_capacity(site: TheSite) -> None:
    assert {Order.objects.get(pk=pk).party_id for pk in shown(site.buyer, Order)} == {site.day.parties["buyer-1"].id}
    for model in (Site, CapacityDeclaration, Offer, ShareSchedule):
        assert site.buyer.get(list_url(model)).status_code == 403, model


def test_a_superuser_without_membership_sees_nothing(site: TheSite) -> None:
    for model in admin.site._registry:
        assert site.outsider.get(list_url(model)).status_code == 403, model
    assert "belongs to no organisation" in site.outsider.text("/admin/")
    for page in ("/audit/", "/statements/", "/audit/journal/", "/admin/exchange/contract/obligations/"):
        assert site.outsider.get(page).status_code == 403, page


def test_the_auditor_and_the_operator_can_open_every_table_and_a_row_of_it(settled: TheSite) -> None:
    for visitor in (settled.auditor, settled.operator):
        for model in admin.site._registry:
            assert visitor.get(list_url(model)).status_code == 200, model
            row = model._default_manager.order_by("pk").first()
            if row is not None:
                assert visitor.get(row_url(row)).status_code in (200, 302), model


def test_the_other_side_of_a_fill_is_told_at_the_gate(site: TheSite) -> None:
    fill = Fill.objects.get()
    for page in (list_url(Fill), row_url(fill), reverse("contract", args=(SYMBOL,))):
        assert "buyer-1" not in site.provider.text(page), page
        assert "provider-1" not in site.buyer.text(page), page
    assert "buyer-1" in site.auditor.text(list_url(Fill))
    site.day.deliver()
    assert "buyer-1" in site.provider.text(list_url(Fill))
    assert "provider-1" in site.buyer.text(row_url(fill))


def test_nobody_can_edit_or_delete_anything(settled: TheSite) -> None:
    for visitor in settled.roles().values():
        if visitor.user is not None:
            User.objects.filter(pk=visitor.user.pk).update(is_superuser=True)
    for model in admin.site._registry:
        row = model._default_manager.order_by("pk").first()
        if row is None:
            continue
        before = list(model._default_manager.order_by("pk").values())
        for name, visitor in settled.roles().items():
            refused = {302} if name == "nobody" else {302, 403, 404}  # to the login; to the start page
            for page in ("change", "delete"):
                response = visitor.post(row_url(row, page), post="yes", _save="Save", code="changed", name="changed")
                assert response.status_code in refused, (model, name, page)
                assert response.status_code != 302 or "/admin/" in response.headers["Location"], (model, name, page)
            action = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
            assert visitor.post(list_url(model), **action).status_code in (200, 302, 403), (model, name)
        if model is not User:  # a login in between sets its time
            assert list(model._default_manager.order_by("pk").values()) == before, model


def test_only_who_may_add_gets_a_form(site: TheSite) -> None:
    may = {
        "provider": {"site", "capacitydeclaration", "offer", "shareschedule", "dispute"},
        "buyer": {"dispute"},
        "operator": {
            "user",
            "party",
            "product",
            "contract",
            "qualification",
            "meter",
            "feeschedule",
            "tradegroup",
            "listingrule",
            "operatordecision",
            "settlementcalendar",
            "forcemajeure",
            "auditorkey",
            "nettingset",
            "payoutaccount",
            "confirmationimport",
        },
    }
    for model in admin.site._registry:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
        for name, visitor in site.roles().items():
            allowed = model._meta.model_name in may.get(name, set())
            expected = 200 if allowed else 302 if name == "nobody" else 403
            assert visitor.get(url).status_code == expected, (model, name)
            if not allowed:
                assert visitor.post(url, code="x", name="x").status_code == expected, (model, name)


def test_the_operators_acts_are_the_operators(site: TheSite) -> None:
    contract, party = Contract.objects.get(symbol=SYMBOL), site.day.parties["buyer-1"]
    key = issue_key(party, "tests", [Scope.READ], actor=ACTOR, now=NOW).key
    acts = [
        row_url(contract, "halt"),
        reverse("admin:exchange_listingrule_add"),
        reverse("admin:exchange_operatordecision_add"),
        row_url(party, "deposit"),
        row_url(party, "issue_key"),
        row_url(key, "revoke"),
    ]
    for url in acts:
        for name, visitor in site.roles().items():
            expected = {"operator": 200, "nobody": 302}.get(name, 403)
            assert visitor.get(url).status_code == expected, (url, name)
