"""Fees and trade groups in the admin."""

from __future__ import annotations

from typing import Any

from exchange.models import FeeSchedule, TradeGroup
from ledger.models import ActionLog
from tests.integration.admin.conftest import Site
from tests.integration.settlement.trading_day import CODE

ADD = "/admin/exchange/feeschedule/add/"


def schedule_data(**changes: Any) -> dict[str, Any]:
    return {
        "currency": "CNY",
        "product": CODE,
        "valid_from": "2026-12-02T00:00",
        "basis": "contract",
        "tiers": "0 1000000 1000000 1000000 1000000\n\n  2500000.5 500000 750000 0 900000 \n",
        "reason": "Makers are few.",
    } | changes


def test_an_operator_sets_a_schedule_that_everybody_reads_as_a_table(site: Site) -> None:
    assert "2026-12-02T00:00" in site.operator.text(ADD)  # the next day, unless told otherwise
    assert site.operator.post(ADD, **schedule_data()).status_code == 302
    row = FeeSchedule.objects.get()
    assert (row.version, row.product.code if row.product else "", row.created_by) == (1, CODE, "user:olga")
    assert row.tiers[1] == {
        "volume_micros": "2500000500000",
        "buyer_maker_ppm": 500_000,
        "buyer_taker_ppm": 750_000,
        "provider_maker_ppm": 0,
        "provider_taker_ppm": 900_000,
    }
    for visitor in (site.operator, site.auditor, site.buyer, site.provider):
        text = visitor.text(f"/admin/exchange/feeschedule/{row.pk}/change/")
        for shown in ("<th>Buyer, maker</th>", "<td>50 %</td>", "<td>75 %</td>", "<td>0 %</td>", "<td>90 %</td>"):
            assert shown in text
    assert ActionLog.objects.get(action="set_fee_schedule").reason == "Makers are few."
    assert site.operator.post(ADD, **schedule_data(product="", basis="notional", tiers="0 1 2 3 4")).status_code == 302
    assert site.operator.post(ADD, **schedule_data()).status_code == 302
    versions = FeeSchedule.objects.order_by("id").values_list("product__code", "version")
    assert list(versions) == [(CODE, 1), (None, 1), (CODE, 2)]


def test_a_wrong_schedule_is_refused_in_words(site: Site) -> None:
    for change, words in (
        ({"tiers": "0 1 2 3"}, "A tier is a volume and 4 rates"),
        ({"tiers": "1 1 2 3 4"}, "The first tier starts at a volume of 0."),
        ({"tiers": "0 1 2 3 1000001"}, "rovider_taker_ppm must be a whole number from 0 to 1000000."),
        ({"tiers": "0 1 2 3 4", "valid_from": "2026-12-01T09:59"}, "it begins now or later"),
    ):
        response = site.operator.post(ADD, **schedule_data(**change))
        assert response.status_code == 422, change
        assert words in response.content.decode(), change
    assert not FeeSchedule.objects.exists()


def test_an_operator_sets_a_trade_group_which_its_members_see(site: Site) -> None:
    add = "/admin/exchange/tradegroup/add/"
    wanted = {"party": "buyer-1", "group": "buyer-2", "reason": "One owner."}
    assert site.operator.post(add, **wanted).status_code == 302
    assert TradeGroup.objects.get().group_id == site.day.parties["buyer-2"].pk
    own = f"/admin/exchange/tradegroup/{site.day.parties['buyer-1'].pk}/change/"
    assert "buyer-2" in site.buyer.text(own)
    assert site.provider.get(own).status_code in (302, 404)
    again = site.operator.post(add, **(wanted | {"party": "buyer-2", "group": "buyer-1"}))
    assert again.status_code == 422
    assert site.operator.post(add, **(wanted | {"group": "", "reason": " "})).status_code == 422
    assert site.operator.post(add, **(wanted | {"group": ""})).status_code == 302
    assert TradeGroup.objects.get().group_id == site.day.parties["buyer-1"].pk
