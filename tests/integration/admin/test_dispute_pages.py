"""Disputes on the pages and in the admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from config.clock import SimulatedClock
from settlement.models import Dispute, DisputeEvidence, DisputeState, RunKind, SettlementRun
from tests.conftest import DatabaseUrls
from tests.integration.admin.conftest import Site
from tests.integration.settlement.disputed_day import DisputedDay, give_deadline, give_lines

ADMIN = "/admin/settlement/dispute"


@pytest.fixture
def market(settled: Site, database: DatabaseUrls) -> DisputedDay:
    run = SettlementRun.objects.get(kind=RunKind.INITIAL)
    until = give_deadline(run, database)
    give_lines(run)
    market = DisputedDay(settled.day, database, run, until)
    SimulatedClock().set(market.now)
    return market


@pytest.fixture
def dispute(market: DisputedDay) -> Dispute:
    return market.open(text="<b>Less</b> arrived.")


def form(market: DisputedDay, **changes: object) -> dict[str, object]:
    good: dict[str, object] = {
        "statement": market.statement("buyer-1").pk,
        "line": market.number("buyer-1", "delivered"),
        "amount": "0.1",
        "reason": "quantity",
        "text": "Our meter saw less.",
        "file": SimpleUploadedFile("count.csv", b"r1,900\n", "text/csv"),
        "usage_records": "meter/buyer-1 r1\n\nmeter/provider-1 refused-1",
    }
    return good | changes


def test_a_party_disputes_a_line_in_the_workspace(settled: Site, market: DisputedDay) -> None:
    page = settled.buyer.text(f"{ADMIN}/add/?statement={market.statement('buyer-1').pk}&line=1")
    assert 'enctype="multipart/form-data"' in page
    assert 'value="1"' in page
    assert f'<option value="{market.statement("provider-1").pk}"' not in page
    for changes in (
        {"amount": "9"},
        {"amount": "0.001"},
        {"line": 99},
        {"text": ""},
        {"statement": market.statement("provider-1").pk},
        {"usage_records": "meter/buyer-1"},
        {"usage_records": "meter/buyer-1 none"},
        {"file": SimpleUploadedFile("big.bin", bytes(1_000_001), "text/csv")},
    ):
        assert settled.buyer.post(f"{ADMIN}/add/", **form(market, **changes)).status_code == 422, changes
    assert not Dispute.objects.exists()
    assert settled.buyer.post(f"{ADMIN}/add/", **form(market)).status_code == 302
    dispute = Dispute.objects.get()
    assert (dispute.disputed_micros, dispute.party_id) == (100_000, market.party_id("buyer-1"))
    (file,) = DisputeEvidence.objects.all()
    assert (file.name, file.media_type, bytes(file.content)) == ("count.csv", "text/csv", b"r1,900\n")
    assert len(dispute.entries.get().details["usage_records"]) == 2
    assert settled.auditor.post(f"{ADMIN}/add/", **form(market)).status_code == 403
    SimulatedClock().set(market.until + timedelta(minutes=1))
    assert "until" not in settled.buyer.text(f"{ADMIN}/add/").partition('name="statement"')[2].partition("</select>")[0]


def test_both_sides_and_the_auditor_see_the_dispute_and_nobody_else(settled: Site, dispute: Dispute) -> None:
    (file,) = DisputeEvidence.objects.all()
    for visitor in (settled.provider, settled.buyer, settled.auditor, settled.operator):
        assert f'<a href="/disputes/{dispute.pk}/">' in visitor.text("/disputes/")
        page = visitor.text(f"/disputes/{dispute.pk}/")
        assert "&lt;b&gt;Less&lt;/b&gt; arrived." in page
        assert f"/disputes/{dispute.pk}/evidence/{file.pk}" in page
        assert (f"{ADMIN}/{dispute.pk}/change/" in page) == (visitor is not settled.auditor)
        assert (f'href="/statements/{dispute.statement_id}/"' in page) == (visitor is not settled.provider)
        answer = visitor.get(f"/disputes/{dispute.pk}/evidence/{file.pk}")
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/octet-stream")
        assert answer["Content-Disposition"].startswith("attachment")
        assert f'<a href="/disputes/{dispute.pk}/">Dispute opened</a>' in visitor.text("/notices/")
        assert visitor.text(f"{ADMIN}/{dispute.pk}/change/")
    for page in (f"/disputes/{dispute.pk}/", f"/disputes/{dispute.pk}/evidence/{file.pk}", "/disputes/999/"):
        assert settled.other_provider.get(page).status_code == 404
        assert settled.nobody.get(page).status_code == 302
        assert settled.outsider.get(page).status_code == 403
    assert f"/disputes/{dispute.pk}/" not in settled.other_provider.text("/disputes/")
    assert "Dispute opened" not in settled.other_provider.text("/notices/")


def test_both_sides_say_more_and_operators_decide_in_twos(settled: Site, market: DisputedDay, dispute: Dispute) -> None:
    at = f"{ADMIN}/{dispute.pk}"
    said = {"party": dispute.payee_id, "text": "Ours saw it all.", "usage_records": ""}
    assert settled.provider.post(f"{at}/say-more/", **said | {"text": ""}).status_code == 422
    assert settled.provider.post(f"{at}/say-more/", **said | {"party": dispute.party_id}).status_code == 422
    assert settled.provider.post(f"{at}/say-more/", **said).status_code == 302
    assert settled.other_provider.post(f"{at}/say-more/", **said).status_code == 403
    assert settled.provider.post(f"{at}/withdraw/", text="Leave it.").status_code == 403
    for visitor in (settled.provider, settled.buyer, settled.auditor):
        assert visitor.post(f"{at}/propose/", amount="0.05", text="Half.").status_code == 403
    assert settled.operator.post(f"{at}/propose/", amount="0.2", text="More.").status_code == 422
    assert settled.operator.post(f"{at}/propose/", amount="0.05", text="Half.").status_code == 302
    assert settled.operator.post(f"{at}/decide/", proposed="0.05", decision="confirm", text="I.").status_code == 403
    decide = {"proposed": "0.05", "decision": "confirm", "text": "Agreed."}
    assert settled.second_operator.post(f"{at}/decide/", **decide | {"proposed": "0.06"}).status_code == 422
    assert settled.second_operator.post(f"{at}/decide/", **decide | {"decision": "back"}).status_code == 302
    assert settled.second_operator.post(f"{at}/propose/", amount="0.05", text="Half.").status_code == 302
    assert settled.operator.post(f"{at}/decide/", **decide).status_code == 302
    dispute.refresh_from_db()
    assert (dispute.state, dispute.decided_micros) == (DisputeState.UPHELD, 50_000)
    page = settled.buyer.text(f"/disputes/{dispute.pk}/")
    assert "Ours saw it all." in page
    assert "A settlement run of its own posts what was decided." in page
    assert market.suspense() == 100_000
    assert settled.buyer.post(f"{at}/withdraw/", text="Too late.").status_code == 403


def test_who_disputed_withdraws_in_the_workspace(settled: Site, market: DisputedDay, dispute: Dispute) -> None:
    assert settled.buyer.post(f"{ADMIN}/{dispute.pk}/withdraw/", text="Found it.").status_code == 302
    assert market.suspense() == 0
    assert f'<a href="/disputes/{dispute.pk}/">' not in settled.buyer.text("/disputes/")
    assert f'<a href="/disputes/{dispute.pk}/">' in settled.buyer.text("/disputes/?state=all")


def test_a_dispute_that_nobody_decided_in_time_is_called_overdue(settled: Site, dispute: Dispute) -> None:
    assert "overdue" not in settled.auditor.text(f"/disputes/{dispute.pk}/")
    SimulatedClock().set(dispute.decide_by)
    assert "overdue" in settled.auditor.text(f"/disputes/{dispute.pk}/")
