"""Offers of the small market's provider."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from exchange.commands.change_offer import ChangeOffer, change_offer
from exchange.commands.pause_offer import PauseOffer, ResumeOffer, pause_offer, resume_offer
from exchange.commands.place_due_offer_orders import place_due_offer_orders
from exchange.commands.post_offer import PostedOffer, PostOffer, post_offer
from exchange.offer_schedule import Prices
from exchange.selectors.offer_windows import OfferedWindow, list_offered_windows
from tests.integration.exchange.market import CODE, HOUR, NOW, START, Market


def offer(market: Market, *, windows: int = 3, now: datetime = NOW, **changes: Any) -> PostedOffer:
    figures: dict[str, Any] = {
        "provider_id": market.provider.id,
        "product_code": CODE,
        "window_seconds": HOUR,
        "first_delivery": START,
        "last_delivery": START + timedelta(hours=windows - 1),
        "lots": 10,
        "price_ticks": 400,
    }
    return post_offer(PostOffer(**(figures | changes)), actor="staff", now=now)


def three_windows(market: Market) -> None:
    for hours in (1, 2):
        market.list_window(START + timedelta(hours=hours))
    market.sweep()


def decided(market: Market, offer_id: int) -> list[OfferedWindow]:
    """The windows of an offer when nothing waits any more."""
    market.results([])
    return list_offered_windows(offer_id, now=market.clock.at)


def open_lots(market: Market, offer_id: int) -> list[tuple[str, int, int]]:
    return [(each.status, each.price_ticks, each.open_lots) for each in decided(market, offer_id)]


def sweep(market: Market) -> list[tuple[str, str]]:
    """What the clock places."""
    sent = place_due_offer_orders(market.clock.at)
    market.results([])
    return [(each.kind.value, each.symbol) for each in sent]


def pause(market: Market, offer_id: int) -> int:
    return len(pause_offer(PauseOffer(offer_id, market.provider.id), actor="staff", now=market.clock.at))


def resume(market: Market, offer_id: int) -> int:
    return len(resume_offer(ResumeOffer(offer_id, market.provider.id), actor="staff", now=market.clock.at))


def change(market: Market, offer_id: int, lots: int, price_ticks: Prices) -> list[str]:
    command = ChangeOffer(offer_id, market.provider.id, lots, price_ticks)
    return [sent.kind.value for sent in change_offer(command, actor="staff", now=market.clock.at)]
