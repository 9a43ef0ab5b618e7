"""A provider sells only while it is qualified."""

from __future__ import annotations

from datetime import timedelta

import pytest

from exchange.commands.post_offer import PostOffer, post_offer
from exchange.commands.qualify_provider import RevokeQualification, revoke_qualification
from exchange.commands.sweep_contract_life import sweep_contract_life
from exchange.models import Order, Qualification
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import ACTOR, NOW, START, Market


def test_a_qualification_revoked_while_the_order_waits_refuses_it(market: Market) -> None:
    start = market.contract.delivery_start
    offer = PostOffer(market.provider.id, market.product.code, 3_600, start, start, 1, 400)
    posted = post_offer(offer, actor=ACTOR, now=NOW)
    qualification = Qualification.objects.get(provider=market.provider)
    revoke_qualification(RevokeQualification(qualification.id, "probe failed"), actor="operator", now=NOW)
    assert market.results([posted.orders[0].seq])[0]["code"] == "not_qualified"


@pytest.mark.parametrize("revoked", [True, False])
def test_a_provider_that_is_not_qualified_any_more_leaves_the_book(market: Market, revoked: bool) -> None:
    market.offer(3, 400)
    qualification = Qualification.objects.get(provider=market.provider)
    if revoked:
        revoke_qualification(RevokeQualification(qualification.id, "probe failed"), actor="operator", now=NOW)
    else:
        late = market.list_window(START + timedelta(days=40))
        market.sweep()
        market.offer(2, 400, late.delivery_start)
        market.clock.at = qualification.valid_until
    first, again = sweep_contract_life(market.clock.at), sweep_contract_life(market.clock.at)
    assert again == []
    market.results(first)
    assert set(Order.objects.values_list("status", flat=True)) <= {"cancelled", "expired"}
    assert sweep_contract_life(market.clock.at) == []
    check_exchange()
