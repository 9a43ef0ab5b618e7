"""Money and tokens of random trading: nothing appears, nothing is lost, and no fill takes more than was held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exchange.clearing.amounts import budget_hold, order_holds, overage_hold, purchase_hold, required_holds
from exchange.clearing.drafts import draft_batch, fill_legs
from exchange.clearing.fills import FillRecord, clear, position_holds
from exchange.clearing.terms import MAX_FEE_PPM, PPM, ContractTerms
from exchange.matching.book import Book
from exchange.matching.engine import apply, close_book, place
from exchange.matching.events import Event
from exchange.matching.types import (
    CancelOrder,
    Command,
    GroupId,
    Lots,
    Order,
    OrderId,
    OrderType,
    PartyId,
    PriceTicks,
    Side,
    TickLots,
    TimeInForce,
)
from ledger.chart import AccountKey
from ledger.drafts import HoldChange, Leg
from tests.properties.order_flows import CONTRACT, flows

HOUSE = PartyId(1)
NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


@st.composite
def contract_terms(draw: st.DrawFn) -> ContractTerms:
    return ContractTerms(
        contract_id=CONTRACT,
        asset_id=70,
        currency_asset_id=9,
        symbol="A@B",
        lot_tokens=draw(st.sampled_from([10_000, 100_000, 1_000_000])),
        tick_micros=100 * draw(st.integers(1, 300)),
        band_low_ticks=1,
        band_high_ticks=draw(st.integers(6, 1_000)),
        bond_per_lot_micros=draw(st.integers(0, 10_000)),
        buyer_fee_ppm=draw(st.integers(0, MAX_FEE_PPM)),
        provider_fee_ppm=draw(st.integers(0, MAX_FEE_PPM)),
    )


@st.composite
def traded(draw: st.DrawFn) -> tuple[ContractTerms, list[Command]]:
    terms = draw(contract_terms())
    rates = {Side.BUY: terms.buyer_fee_ppm, Side.SELL: terms.provider_fee_ppm}
    return terms, draw(flows(rates, most=30))


@dataclass
class Accounts:
    """Balances and holds as a ledger would keep them."""

    balance: Counter[AccountKey] = field(default_factory=Counter)
    held: Counter[AccountKey] = field(default_factory=Counter)

    def post(self, legs: list[Leg] | tuple[Leg, ...], holds: tuple[HoldChange, ...]) -> None:
        for leg in legs:
            self.balance[leg.account] += leg.amount
        for hold in holds:
            self.held[hold.account] += hold.delta

    def free(self) -> dict[AccountKey, int]:
        return {account: self.balance[account] - self.held[account] for account in {*self.balance, *self.held}}


@dataclass
class Market:
    """A book cleared command by command into accounts."""

    terms: ContractTerms
    book: Book = field(default_factory=lambda: Book(CONTRACT))
    accounts: Accounts = field(default_factory=Accounts)
    fills: list[FillRecord] = field(default_factory=list)
    holds: list[HoldChange] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    fill_ids: count[int] = field(default_factory=lambda: count(1))

    def run(self, command: Command) -> None:
        self.take(apply(self.book, command))

    def needed(self, command: Command) -> Counter[AccountKey]:
        """What must be free for the command: an order's hold, or what an amendment adds to it."""
        if isinstance(command, Order):
            return Counter({hold.account: hold.delta for hold in required_holds(self.terms, command)})
        resting = self.book.resting.get(command.order_id)
        if isinstance(command, CancelOrder) or resting is None:
            return Counter()
        order, left = resting.order, resting.lots
        wanted = max(0, command.lots - (order.lots - left))
        after = replace(order, price_ticks=command.price_ticks, lots=Lots(max(1, command.lots)))
        change = Counter({hold.account: hold.delta for hold in order_holds(self.terms, after, wanted)})
        change.subtract({hold.account: hold.delta for hold in order_holds(self.terms, order, left)})
        return +change

    def take(self, events: tuple[Event, ...]) -> None:
        numbers = count(len(self.fills) + 1)
        cleared = clear(self.terms, events, fill_ids=self.fill_ids, trade_nos=numbers)
        self.accounts.post([leg for fill in cleared.fills for leg in fill_legs(self.terms, fill)], cleared.holds)
        self.fills += cleared.fills
        self.holds += cleared.holds
        self.events += events


@given(traded())
def test_no_command_takes_more_than_its_order_had_to_hold(given_: tuple[ContractTerms, list[Command]]) -> None:
    """What a check before the book lets through cannot fail later, in whatever order fills come."""
    terms, commands = given_
    market = Market(terms)
    for command in commands:
        needed = market.needed(command)
        before = market.accounts.free()
        market.run(command)
        for account, free in market.accounts.free().items():
            assert free >= before.get(account, 0) - needed[account]
        assert all(held >= 0 for held in market.accounts.held.values())


@given(traded())
def test_holds_are_those_of_the_open_orders_and_positions(given_: tuple[ContractTerms, list[Command]]) -> None:
    """After every command: what is held is what each standing order asks for by itself, and each fill's position."""
    terms, commands = given_
    market = Market(terms)
    for command in commands:
        market.run(command)
        expected: Counter[AccountKey] = Counter()
        for order, left in market.book.in_priority():
            for hold in order_holds(terms, order, left):
                expected[hold.account] += hold.delta
        for fill in market.fills:
            for hold in position_holds(terms, fill):
                expected[hold.account] += hold.delta
        assert +market.accounts.held == expected
    market.take(close_book(market.book))
    assert +market.accounts.held == sum(
        (Counter({hold.account: hold.delta}) for fill in market.fills for hold in position_holds(terms, fill)),
        Counter(),
    )
    assert [fill.trade_no for fill in market.fills] == list(range(1, len(market.fills) + 1))


@given(traded())
def test_the_draft_of_a_batch_balances_and_equals_its_commands(given_: tuple[ContractTerms, list[Command]]) -> None:
    terms, commands = given_
    market = Market(terms)
    for command in commands:
        market.run(command)
    draft = draft_batch({CONTRACT: terms}, market.fills, market.holds, house_id=HOUSE, reference="1", now=NOW)
    if draft is None:
        assert not market.fills
        return
    sums: Counter[int] = Counter()
    batch = Accounts()
    batch.post(draft.legs, draft.holds)
    for leg in draft.legs:
        sums[leg.account.asset_id] += leg.amount
    assert not any(sums.values())
    house = {terms.escrow(HOUSE), terms.fees(HOUSE)}
    assert {key: amount for key, amount in batch.balance.items() if key not in house} == market.accounts.balance
    assert batch.held == Counter({key: held for key, held in market.accounts.held.items() if held})
    assert batch.balance[terms.escrow(HOUSE)] == sum(fill.notional_micros for fill in market.fills)
    assert batch.balance[terms.fees(HOUSE)] == sum(fill.buyer_fee_micros for fill in market.fills)
    assert len({hold.account for hold in draft.holds}) == len(draft.holds)


@given(traded())
def test_clearing_a_whole_run_of_events_at_once_gives_the_same(given_: tuple[ContractTerms, list[Command]]) -> None:
    terms, commands = given_
    market = Market(terms)
    for command in commands:
        market.run(command)
    at_once = clear(terms, market.events, fill_ids=count(1), trade_nos=count(1))
    assert list(at_once.fills) == market.fills
    assert {hold.account: hold.delta for hold in at_once.holds} == {
        account: held for account, held in market.accounts.held.items() if held
    }


@given(traded())
def test_each_side_of_a_fill_pays_the_rate_of_its_role(given_: tuple[ContractTerms, list[Command]]) -> None:
    terms, commands = given_
    market = Market(terms)
    for command in commands:
        market.run(command)
    orders = {each.order_id: each for each in commands if isinstance(each, Order)}
    for fill in market.fills:
        buy, sell = orders[fill.buy_order_id], orders[fill.sell_order_id]
        rates = (fill.buyer_fee_ppm, fill.provider_fee_ppm)
        takes = fill.taker_side is Side.BUY
        assert rates == ((buy.taker_fee_ppm, sell.maker_fee_ppm) if takes else (buy.maker_fee_ppm, sell.taker_fee_ppm))
        assert fill.buyer_fee_micros == fill.notional_micros * fill.buyer_fee_ppm // PPM


makers = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5)), min_size=1)


@given(contract_terms(), st.integers(1, 6), makers, st.data())
def test_a_buyer_never_pays_more_than_was_held(
    terms: ContractTerms, limit: int, offered: list[tuple[int, int]], data: st.DataObject
) -> None:
    """However an order is cut into fills, their cost fits its hold, and its overage hold passes over whole."""
    book, total = _offers(limit, offered), Lots(sum(lots for lots, _ in offered))
    rate = data.draw(st.integers(0, terms.buyer_fee_ppm))
    buy = replace(_buy(limit, total), overage_permille=125, taker_fee_ppm=rate)
    fills = clear(terms, place(book, buy), fill_ids=count(1), trade_nos=count(1)).fills
    assert sum(fill.lots for fill in fills) == total
    assert _cost(fills) <= purchase_hold(terms, buy.price_ticks, total)
    assert sum(fill.overage_hold_micros for fill in fills) == overage_hold(terms, total, 125)


@given(contract_terms(), st.integers(1, 6), makers, st.integers(1, 400), st.data())
def test_a_budget_is_never_exceeded(
    terms: ContractTerms, limit: int, offered: list[tuple[int, int]], budget: int, data: st.DataObject
) -> None:
    """Its fills and their fees cost at most what it held; and what is left buys no further lot, if one is offered."""
    book = _offers(limit, offered)
    rate = data.draw(st.integers(0, terms.buyer_fee_ppm))
    kind = {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC, "budget": TickLots(budget)}
    buy = replace(_buy(limit, Lots(budget)), taker_fee_ppm=rate, **kind)
    (hold,) = order_holds(terms, buy, buy.lots)
    fills = clear(terms, place(book, buy), fill_ids=count(1), trade_nos=count(1)).fills
    assert _cost(fills) <= hold.delta == budget_hold(terms, TickLots(budget), rate)
    ask = book.best_price(Side.SELL)
    assert ask is None or budget - sum(fill.price_ticks * fill.lots for fill in fills) < ask


def _offers(limit: int, offered: list[tuple[int, int]]) -> Book:
    """A book of sell orders, each of some lots and some ticks better than the limit."""
    book = Book(CONTRACT)
    for number, (lots, better) in enumerate(offered, start=2):
        price = PriceTicks(max(1, limit - better))
        place(book, Order(OrderId(number), CONTRACT, PartyId(5), Side.SELL, price, Lots(lots), GroupId(5)))
    return book


def _buy(limit: int, lots: Lots) -> Order:
    return Order(OrderId(1), CONTRACT, PartyId(2), Side.BUY, PriceTicks(limit), lots, GroupId(2))


def _cost(fills: Iterable[FillRecord]) -> int:
    return sum(fill.notional_micros + fill.buyer_fee_micros for fill in fills)
