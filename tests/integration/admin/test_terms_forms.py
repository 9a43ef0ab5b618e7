"""The parts of a product's terms that it may do without: service and make-up."""

from __future__ import annotations

import re

from exchange.models import Product
from tests.integration.admin.conftest import Site
from tests.integration.settlement.trading_day import CODE

SLA = {
    "sla_ttft_permille": "50",
    "sla_speed_permille": "0",
    "sla_availability_permille": "100",
    "sla_cap_permille": "120",
    "sla_min_requests": "20",
}
MAKE_UP = {"make_up_permille": "500", "make_up_windows": "24"}


def test_service_and_make_up_come_and_go_with_versions(site: Site) -> None:
    product = Product.objects.get(code=CODE)
    page = f"/admin/exchange/product/{product.pk}/terms/"

    def send(**typed: str) -> tuple[int, str]:
        text = site.operator.text(page)
        data = dict(re.findall(r'name="(\w+)" value="([^"]*)"', text))
        weights = "input_uncached 1000\noutput_visible 5000"
        answer = site.operator.post(page, **data | {"weights": weights, "reason": "Asked for."} | typed)
        return answer.status_code, answer.content.decode()

    assert "make_up" not in product.versions.get().terms
    for half in ({"sla_ttft_permille": "50"}, {"make_up_windows": "24"}):
        status, text = send(**half)
        assert (status, "must have exactly the parts" in text) == (422, True)
    assert send(**SLA | {"sla_cap_permille": "1001"})[0] == 422
    assert send(**SLA | MAKE_UP)[0] == 302
    terms = product.versions.latest("version").terms
    assert terms["sla"] == {name.removeprefix("sla_"): int(typed) for name, typed in SLA.items()}
    assert terms["make_up"] == {"permille": 500, "windows": 24}
    assert send(damages_permille="700")[0] == 302  # typed as they are, they stay
    assert product.versions.latest("version").terms == terms | {"damages_permille": 700}
    assert send(**dict.fromkeys(SLA, ""))[0] == 302
    latest = product.versions.latest("version").terms
    assert (latest["make_up"], "sla" in latest) == (terms["make_up"], False)
