"""Discrepancy cases on the pages and in the admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from config.clock import SimulatedClock
from settlement.metering.reconciling import reconcile_contract
from settlement.models import BiasDecision, CaseState, DiscrepancyCase, PairReconciliation
from tests.integration.admin.conftest import Site
from tests.integration.settlement.trading_day import END
from tests.integration.settlement.usage_rows import UsageRows

AT = END + timedelta(minutes=2)
ADMIN = "/admin/settlement/discrepancycase"


@pytest.fixture
def disputed(site: Site) -> DiscrepancyCase:
    """Inflated reasoning between the first provider and the first buyer, and shaving inside the tolerance."""
    SimulatedClock().set(AT)
    site.day.clock.at = AT
    rows = UsageRows(site.day)
    with transaction.atomic():
        rows.keep("meter/provider-1", "<a>", output_visible=100, output_reasoning=300)
        rows.keep("meter/buyer-1", "<a>", output_visible=100, output_reasoning=200)
        for number in range(30):
            rows.both(f"s{number}", 401, 400)
    reconcile_contract(site.day.contract.id, now=AT)
    return DiscrepancyCase.objects.get()


def test_both_sides_and_the_auditor_see_the_case_and_nobody_else(site: Site, disputed: DiscrepancyCase) -> None:
    for visitor in (site.provider, site.buyer, site.auditor, site.operator):
        listed = visitor.text("/cases/")
        assert f'<a href="/cases/{disputed.pk}/">' in listed
        assert "Output visible" in listed, "the pair without tolerance"
        page = visitor.text(f"/cases/{disputed.pk}/")
        assert "Figures differ: provider-1 for buyer-1" in page
        row = '<th scope="row">Output reasoning</th><td class="number">300</td><td class="number">200</td>'
        assert f'{row}<td class="number">+100</td>' in page
        assert '<th scope="row">&lt;a&gt;</th>' in page
        assert (f"{ADMIN}/{disputed.pk}/change/" in page) == (visitor is not site.auditor)
        assert "buyer=buyer-1&amp;provider=provider-1" in page
    assert "reconciliation" in site.auditor.text(f"/cases/{disputed.pk}/")
    assert site.other_provider.get(f"/cases/{disputed.pk}/").status_code == 404
    assert f"/cases/{disputed.pk}/" not in site.other_provider.text("/cases/")
    assert site.outsider.get("/cases/").status_code == 403
    assert site.nobody.get("/cases/").status_code == 302


def test_a_party_answers_and_operators_rule_in_twos(site: Site, disputed: DiscrepancyCase) -> None:
    at = f"{ADMIN}/{disputed.pk}"
    party = disputed.provider_id
    assert site.provider.post(f"{at}/answer/", party=party, text="").status_code == 422
    assert site.provider.post(f"{at}/answer/", party=disputed.buyer_id, text="No.").status_code == 422
    assert site.provider.post(f"{at}/answer/", party=party, text="Counted by the model.").status_code == 302
    assert site.other_provider.post(f"{at}/answer/", party=party, text="No.").status_code == 403
    assert site.provider.post(f"{at}/propose/", ruling="provider", reason="Ours.").status_code == 403
    assert site.auditor.post(f"{at}/propose/", ruling="provider", reason="Theirs.").status_code == 403
    assert site.operator.post(f"{at}/propose/", ruling="buyer", reason="Text recounted.").status_code == 302
    assert site.operator.post(f"{at}/confirm/").status_code == 403
    assert "the buyer&#x27;s record settles" in site.second_operator.text(f"{at}/confirm/")
    assert site.second_operator.post(f"{at}/reject/", reason="Ask the buyer first.").status_code == 302
    assert site.operator.post(f"{at}/propose/", ruling="minimum", reason="No more is known.").status_code == 302
    assert site.second_operator.post(f"{at}/confirm/").status_code == 302
    disputed.refresh_from_db()
    assert (disputed.state, disputed.ruling) == (CaseState.DECIDED, "minimum")
    page = site.buyer.text(f"/cases/{disputed.pk}/")
    assert "Counted by the model." in page
    assert "What nobody disputes settles" in page
    assert f'<a href="/cases/{disputed.pk}/">' not in site.buyer.text("/cases/")
    assert f'<a href="/cases/{disputed.pk}/">' in site.buyer.text("/cases/?state=all")


def test_an_operator_gives_a_tolerance_back(site: Site, disputed: DiscrepancyCase) -> None:
    decision = BiasDecision.objects.get()
    at = f"/admin/settlement/biasdecision/{decision.pk}"
    for visitor in (site.provider, site.auditor):
        assert "output_visible" in visitor.text(f"{at}/change/")
        assert visitor.post(f"{at}/restore/", note="We promise.").status_code == 403
    assert site.operator.post(f"{at}/restore/", note="").status_code == 422
    assert site.operator.post(f"{at}/restore/", note="A tokenizer was replaced.").status_code == 302
    assert site.operator.post(f"{at}/restore/", note="Again.").status_code == 403
    assert [each.step for each in BiasDecision.objects.order_by("id")] == ["zeroed", "restored"]
    assert "Output visible" not in site.buyer.text("/cases/")


def test_reconciliations_are_there_to_look_at(site: Site, disputed: DiscrepancyCase) -> None:
    row = PairReconciliation.objects.get()
    for visitor in (site.provider, site.buyer, site.auditor):
        assert site.day.contract.symbol in visitor.text("/admin/settlement/pairreconciliation/")
        assert "within_tolerance" in visitor.text(f"/admin/settlement/pairreconciliation/{row.pk}/change/")
    assert site.other_provider.get(f"/admin/settlement/pairreconciliation/{row.pk}/change/").status_code == 302
