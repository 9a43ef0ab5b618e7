"""A copy of the book, kept from any snapshot by the changes after it, is the book."""

from __future__ import annotations

import random
from typing import Any

import pytest

from exchange.commands.cancel_order import CancelOrder, cancel_order
from exchange.errors import BookSnapshotNeeded, OrderNotFound
from exchange.market_data.replica import Level, Replica, Trade, delta_of_rows
from exchange.models import BookDelta, ContractMarket, DecisionKind, Fill, Order
from exchange.selectors.book_deltas import list_deltas
from exchange.selectors.market import BookView, get_book
from exchange.selectors.quotes import Quote, best_quotes
from tests.integration.exchange.market import ACTOR, NOW, SYMBOL, Market
from tests.two_operators import decide

STEPS = 120
WHOLE = 10_000


def replica(book: BookView) -> Replica:
    assert book.complete
    bids, asks = (
        {int(level.price_ticks): Level(level.price_ticks, level.lots, level.orders) for level in side}
        for side in (book.bids, book.asks)
    )
    return Replica(book.book_seq, bids, asks)


def trade_at_random(market: Market, dice: random.Random) -> list[Replica]:
    """Orders, cancels and trades in batches of random size; snapshots of the book from between them."""
    buyers = [market.party(f"buyer-{each}", micros=12_000_000) for each in range(3)]
    snapshots = [Replica()]
    for _ in range(STEPS):
        match dice.randrange(7):
            case 0:
                market.offer(dice.randint(1, 30), dice.randint(395, 410))
            case 1 | 2 | 3:
                market.submit_buy(dice.choice(buyers), dice.randint(1, 8), dice.randint(390, 410))
            case 4:
                order = dice.choice([None, *Order.objects.filter(side="buy")])
                if order is not None:
                    try:
                        cancel_order(CancelOrder(order.party_id, order.id), actor=ACTOR, now=NOW)
                    except OrderNotFound:
                        continue
            case 5:
                snapshots.append(replica(get_book(SYMBOL, WHOLE)))
            case _:
                market.results([])
    market.results([])
    return snapshots


def test_any_snapshot_and_the_changes_after_it_come_to_the_book(market: Market) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    snapshots = trade_at_random(market, dice)
    market.clock.at = market.contract.gate_close
    snapshots.append(replica(get_book(SYMBOL, WHOLE)))
    market.sweep()  # the gate empties the book, and that is a change as well
    end = replica(get_book(SYMBOL, WHOLE))
    assert (end.bids, end.asks) == ({}, {})
    deltas = [delta_of_rows(row.seq, row.content) for row in BookDelta.objects.order_by("seq")]
    assert [delta.sequence for delta in deltas] == list(range(1, end.sequence + 1))
    for snapshot in snapshots:
        for delta in deltas:
            snapshot.apply(delta)
        assert snapshot == end


def test_changes_tell_of_every_trade_and_come_in_pages(market: Market) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    trade_at_random(market, random.Random(seed))
    book = get_book(SYMBOL, WHOLE)
    copy = Replica()
    trades: list[tuple[int, int, int, str]] = []
    while copy.sequence < book.book_seq:
        page = list_deltas(SYMBOL, after=copy.sequence, limit=7)
        assert page.book_seq == book.book_seq
        assert 0 < len(page.deltas) <= 7
        for delta in page.deltas:
            rows: dict[str, list[Any]] = {
                side: [[x.price_ticks, x.lots, x.orders] for x in getattr(delta, side)] for side in ("bids", "asks")
            }
            rows["trades"] = [(each.trade_no, each.price_ticks, each.lots, each.taker_side) for each in delta.trades]
            assert copy.apply(delta_of_rows(delta.sequence, rows))
            assert delta.busted == ()
            trades += rows["trades"]
    assert copy == replica(book)
    fills = Fill.objects.order_by("trade_no").values_list("trade_no", "price_ticks", "lots", "taker_side")
    assert trades == list(fills)
    assert list_deltas(SYMBOL, after=book.book_seq, limit=7).deltas == ()
    quotes = best_quotes([market.contract.id], lots=2)[market.contract.id]
    for side, quote in ((book.bids, quotes.bid), (book.asks, quotes.ask)):
        assert quote == (Quote(side[0].price_ticks, side[0].lots) if side else None)
    assert quotes.book_seq == book.book_seq
    assert quotes.asked_lots == sum(level.lots for level in book.asks)


def test_a_change_names_the_trades_it_takes_back(market: Market) -> None:
    buyer = market.party("buyer-1")
    market.offer(3, 400)
    market.offer(10, 410)
    market.buy(buyer, 5, 410)
    followed = replica(get_book(SYMBOL, WHOLE))
    assert followed.trades == {}
    market.buy(buyer, 1, 410)
    kept, busted = Fill.objects.get(price_ticks=400), Fill.objects.get(price_ticks=410, lots=2)
    copy = Replica()
    _follow(copy)
    assert copy.trades == {1: Trade(1, 400, 3), 2: Trade(2, 410, 2), 3: Trade(3, 410, 1)}
    before = get_book(SYMBOL, WHOLE)
    market.results(decide(DecisionKind.BUST_FILL, str(busted.id), now=NOW))
    (delta,) = list_deltas(SYMBOL, after=before.book_seq, limit=10).deltas
    assert (delta.bids, delta.asks, delta.trades, delta.busted) == ((), (), (), (busted.trade_no,))
    for follower, left in ((copy, {kept.trade_no, 3}), (followed, {3})):
        _follow(follower)
        assert set(follower.trades) == left
        assert follower == replica(get_book(SYMBOL, WHOLE))


def test_a_cancelled_contract_names_them_all(market: Market) -> None:
    market.offer(3, 400)
    for lots in (1, 2):
        market.buy(market.party(f"buyer-{lots}"), lots, 400)
    copy = Replica()
    _follow(copy)
    assert set(copy.trades) == {1, 2}
    market.results(decide(DecisionKind.CANCEL_CONTRACT, SYMBOL, now=NOW))
    _follow(copy)
    assert copy.trades == {}


def _follow(copy: Replica) -> None:
    """Apply what came since."""
    for row in BookDelta.objects.filter(seq__gt=copy.sequence).order_by("seq"):
        copy.apply(delta_of_rows(row.seq, row.content))


def test_a_change_that_is_not_kept_needs_a_snapshot(market: Market) -> None:
    with pytest.raises(BookSnapshotNeeded):
        list_deltas(SYMBOL, after=1, limit=10)  # ahead of the book
    assert list_deltas(SYMBOL, after=0, limit=10).deltas == ()
    market.offer(1, 400)
    # As if the book had moved before changes were kept.
    ContractMarket.objects.update(book_seq=5)
    with pytest.raises(BookSnapshotNeeded) as refusal:
        list_deltas(SYMBOL, after=3, limit=10)
    assert refusal.value.fields == {"after": "3", "sequence": "5"}
    market.offer(1, 400)
    assert [each.sequence for each in list_deltas(SYMBOL, after=5, limit=10).deltas] == [6]
    for after in (1, 4):
        with pytest.raises(BookSnapshotNeeded):
            list_deltas(SYMBOL, after=after, limit=10)


def test_what_a_quantity_would_cost_is_counted_from_the_best_price_on(market: Market) -> None:
    for lots, price in ((2, 410), (3, 400), (4, 405)):
        market.offer(lots, price)
    market.buy(market.party("buyer-1"), 5, 390)
    found = {lots: best_quotes([market.contract.id], lots=lots)[market.contract.id] for lots in (1, 3, 4, 9, 10)}
    assert {lots: quotes.buy and (quotes.buy.tick_lots, quotes.buy.limit_ticks) for lots, quotes in found.items()} == {
        1: (400, 400),
        3: (1_200, 400),
        4: (1_605, 405),
        9: (3 * 400 + 4 * 405 + 2 * 410, 410),
        10: None,
    }
    assert {(quotes.bid, quotes.ask, quotes.asked_lots) for quotes in found.values()} == {
        (Quote(390, 5), Quote(400, 3), 9)
    }
