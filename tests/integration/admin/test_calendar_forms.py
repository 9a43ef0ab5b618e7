"""Settlement calendars and force majeure by the web: operators act, where it takes two in twos, others read."""

from __future__ import annotations

import pytest
from django.urls import reverse

from settlement.models import ForceMajeure, RequestState, SettlementCalendar
from tests.integration.admin.conftest import Site
from tests.integration.settlement.trading_day import CODE

CALENDAR = {
    "product": CODE,
    "period_minutes": "360",
    "indicative_lag_minutes": "",
    "initial_lag_minutes": "0",
    "final_lag_minutes": "1440",
    "true_up_lag_minutes": "",
    "dispute_minutes": "0",
}
ADD_CALENDAR = "/admin/settlement/settlementcalendar/add/"
ADD_FORCE_MAJEURE = "/admin/settlement/forcemajeure/add/"


def test_an_operator_sets_a_calendar_that_all_can_read(site: Site) -> None:
    for visitor in (site.provider, site.buyer, site.auditor):
        assert visitor.post(ADD_CALENDAR, **CALENDAR).status_code == 403
    refused = site.operator.post(ADD_CALENDAR, **CALENDAR | {"period_minutes": "7"})
    assert refused.status_code == 422
    assert "divide a day" in refused.content.decode()
    assert site.operator.post(ADD_CALENDAR, **CALENDAR | {"initial_lag_minutes": "soon"}).status_code == 422
    assert site.operator.post(ADD_CALENDAR, **CALENDAR).status_code == 302
    calendar = SettlementCalendar.objects.get()
    assert (calendar.version, calendar.indicative_lag_minutes, calendar.initial_lag_minutes) == (1, None, 0)
    page = reverse("admin:settlement_settlementcalendar_change", args=(calendar.pk,))
    for visitor in (site.provider, site.buyer, site.auditor):
        assert CODE in visitor.text(page)


@pytest.mark.parametrize(("act", "state"), [("confirm", RequestState.CONFIRMED), ("refuse", RequestState.REFUSED)])
def test_force_majeure_takes_two_operators(site: Site, act: str, state: RequestState) -> None:
    data = {
        "provider": site.day.parties["provider-1"].pk,
        "product": "",
        "starts_at": "2026-12-01T14:00",
        "ends_at": "2026-12-01T14:30",
        "reason": "The grid failed.",
    }
    for visitor in (site.provider, site.buyer, site.auditor):
        assert visitor.post(ADD_FORCE_MAJEURE, **data).status_code == 403
    assert site.operator.post(ADD_FORCE_MAJEURE, **data | {"ends_at": "2026-12-01T13:00"}).status_code == 422
    assert site.operator.post(ADD_FORCE_MAJEURE, **data).status_code == 302
    asked = ForceMajeure.objects.get()
    page, decide = (f"/admin/settlement/forcemajeure/{asked.pk}/{part}/" for part in ("change", act))
    for visitor in (site.operator, site.provider, site.auditor):
        assert "The grid failed." in visitor.text(page)
        assert visitor.post(decide, reason="Looked into.").status_code == 403
    for stranger in (site.other_provider, site.buyer):
        assert stranger.get(page).status_code in (302, 403, 404)
    assert site.second_operator.post(decide, reason="Looked into.").status_code == 302
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by) == (state, "user:otto")
    assert site.second_operator.get(decide).status_code == 403  # it is decided
