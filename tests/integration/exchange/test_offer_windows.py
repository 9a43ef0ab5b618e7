"""Windows of standing offers that come into trade later, and what becomes of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from django.db import transaction

from exchange.commands.cancel_order import CancelOrder, cancel_order
from exchange.commands.halt_contract import HaltContract, ResumeContract, halt_contract, resume_contract
from exchange.commands.qualify_provider import RevokeQualification, revoke_qualification
from exchange.models import IntakeKind, Offer, OfferOrder, Order, ProductTerms, Qualification
from exchange.offer_orders import schedule_of
from exchange.selectors.offer_preview import preview_offer
from exchange.selectors.offer_windows import count_unlisted_windows
from ledger.chart import AccountKey, Role
from ledger.journal import lock_head, set_flags
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import ACTOR, NOW, START, SYMBOL, TERMS, Market
from tests.integration.exchange.offering import change, decided, offer, open_lots, pause, sweep, three_windows

LATER = START + timedelta(hours=1)


def test_windows_that_are_listed_later_get_their_orders_when_their_gates_open(market: Market) -> None:
    posted = offer(market, windows=4)
    assert [order.symbol for order in posted.orders] == [SYMBOL]
    assert count_unlisted_windows(posted.offer_id, now=NOW) == 3
    assert sweep(market) == []
    opens = NOW + timedelta(hours=1)
    later = market.list_window(LATER, gate_open=opens)
    dear = market.list_window(LATER + timedelta(hours=1), band_low_ticks=401)
    market.sweep()
    assert sweep(market) == []
    assert [each.note for each in decided(market, posted.offer_id)] == [
        "",
        "Placed when the gate opens, 2026-12-01 11:00 UTC.",
        "The price is outside the band from 4.010000 to 10.000000.",
    ]
    market.clock.at = opens
    market.sweep()
    assert sweep(market) == [("place_order", later.symbol)]
    assert sweep(market) == []
    assert change(market, posted.offer_id, 10, 402) == ["amend_order", "amend_order", "place_order"]
    assert open_lots(market, posted.offer_id) == [("open", 402, 10)] * 3
    assert Order.objects.get(contract_id=dear.id).lots == 10
    check_exchange()


def test_the_clock_does_not_repeat_what_was_refused_cancelled_or_sold(market: Market) -> None:
    three_windows(market)
    offer(market, windows=1, lots=360)
    posted = offer(market)
    market.results([])
    codes = [each.status for each in decided(market, posted.offer_id)]
    assert codes == ["rejected", "open", "open"]
    by_hand = decided(market, posted.offer_id)[1].order_id
    assert by_hand is not None
    cancel_order(CancelOrder(market.provider.id, by_hand), actor="staff", now=NOW)
    market.results([])
    assert sweep(market) == []
    assert (
        change(market, posted.offer_id, 10, 400) == ["place_order"] * 2
    )  # asked again, the refused one is tried again
    market.results([])
    assert [each.status for each in decided(market, posted.offer_id)] == ["rejected", "open", "open"]
    assert sweep(market) == []


def test_a_halted_contract_loses_the_old_price_at_once_and_gets_the_new_one_when_it_trades(market: Market) -> None:
    three_windows(market)
    posted = offer(market)
    halt_contract(HaltContract(SYMBOL, "a probe failed"), actor=ACTOR, now=NOW)
    market.results([])
    assert change(market, posted.offer_id, 10, 410) == ["cancel_order", "amend_order", "amend_order"]
    assert sweep(market) == []
    resume_contract(ResumeContract(SYMBOL, "it passed"), actor=ACTOR, now=NOW)
    market.results([])
    assert sweep(market) == [("place_order", SYMBOL)]
    assert open_lots(market, posted.offer_id) == [("open", 410, 10)] * 3


def test_new_terms_need_a_new_word_of_the_provider(market: Market) -> None:
    """Windows listed under terms that the provider had not seen are not sold in its name."""
    posted = offer(market, windows=2)
    changed = replace(TERMS, damages_permille=900)
    ProductTerms.objects.create(
        product=market.product,
        version=2,
        terms=changed.to_json(),
        terms_hash=changed.terms_hash,
        created_at=NOW,
        created_by=ACTOR,
    )
    later = market.list_window(LATER)
    market.sweep()
    assert sweep(market) == []
    assert change(market, posted.offer_id, 10, 400) == ["place_order"]
    assert OfferOrder.objects.get(contract_id=later.id).offer_id == posted.offer_id


def test_the_clock_places_nothing_for_those_who_may_not_sell(market: Market) -> None:
    posted = offer(market, windows=2)
    market.results([])
    market.list_window(LATER)
    market.sweep()
    cash = AccountKey(market.provider.id, market.currency.id, Role.CASH)
    freeze(cash, True)
    assert sweep(market) == []
    freeze(cash, False)
    qualification = Qualification.objects.get(provider=market.provider)
    revoke_qualification(RevokeQualification(qualification.id, "a probe failed"), actor=ACTOR, now=NOW)
    assert sweep(market) == []
    market.qualify(market.provider)
    pause(market, posted.offer_id)
    assert sweep(market) == []
    Offer.objects.filter(id=posted.offer_id).update(state="open")
    assert [kind for kind, _ in sweep(market)] == [IntakeKind.PLACE_ORDER] * 1


def freeze(key: AccountKey, frozen: bool) -> None:
    with transaction.atomic():
        lock_head()
        set_flags(key, frozen=frozen, closed=False, actor=ACTOR, reason="a test", now=NOW)


def test_a_preview_tells_what_becomes_of_each_window(market: Market) -> None:
    three_windows(market)
    posted = offer(market, windows=4, lots=300)
    market.results([])
    market.buy(market.party("buyer-1", micros=1_000_000_000), 100, 400)
    standing = Offer.objects.select_related("product", "terms").get(id=posted.offer_id)
    provider, product, schedule = market.provider.id, market.product, schedule_of(standing)
    new = preview_offer(provider, product, schedule, 61, now=NOW)
    assert [(each.lots, each.free_lots, each.is_too_much) for each in new.windows] == [(61, 60, True)] * 3
    assert (new.unlisted, new.lots, new.further_bond_micros) == (1, 183, 183_000_000)
    assert new.lacks_cash
    assert new.free_cash_micros == market.cash(market.provider).available == 100_000_000
    changed = preview_offer(provider, product, schedule, 330, now=NOW, offer=standing)
    assert [(each.lots, each.free_lots) for each in changed.windows] == [(230, 260), (330, 360), (330, 360)]
    assert changed.further_bond_micros == 90_000_000
    assert not changed.lacks_cash
    assert changed.value_micros == 890 * 400 * 1_000
