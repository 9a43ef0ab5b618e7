"""Money and tokens of random trading: nothing appears, nothing is lost, and no fill takes more than was held."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from exchange.clearing.amounts import overage_hold, purchase_hold, required_holds
from exchange.clearing.drafts import draft_batch, fill_legs
from exchange.clearing.fills import FillRecord, clear, position_holds
from exchange.clearing.terms import MAX_FEE_PPM, MAX_OVERAGE_PERMILLE, ContractTerms
from exchange.matching.book import Book
from exchange.matching.engine import apply, close_book, place
from exchange.matching.events import Event
from exchange.matching.types import (
    CancelOrder,
    Command,
    ContractId,
    LimitOrder,
    Lots,
    OrderId,
    PartyId,
    PriceTicks,
    Side,
    TimeInForce,
)
from ledger.chart import AccountKey
from ledger.drafts import HoldChange, Leg

CONTRACT = ContractId(7)
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
def flows(draw: st.DrawFn) -> list[Command]:
    """Parties 2 to 4 buy, 5 to 6 sell, 7 does both."""
    commands: list[Command] = []
    for number in range(1, draw(st.integers(1, 30)) + 1):
        if draw(st.integers(0, 4)) == 0:
            commands.append(CancelOrder(OrderId(draw(st.integers(1, number))), CONTRACT))
            continue
        side = draw(st.sampled_from(Side))
        party = draw(st.sampled_from([2, 3, 4, 7] if side is Side.BUY else [5, 6, 7]))
        commands.append(
            LimitOrder(
                order_id=OrderId(number),
                contract_id=CONTRACT,
                party_id=PartyId(party),
                side=side,
                price_ticks=PriceTicks(draw(st.integers(1, 6))),
                lots=Lots(draw(st.integers(1, 9))),
                time_in_force=draw(st.sampled_from(TimeInForce)),
                overage_permille=draw(st.integers(0, MAX_OVERAGE_PERMILLE)) if side is Side.BUY else 0,
            )
        )
    return commands


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
    orders: dict[OrderId, LimitOrder] = field(default_factory=dict)
    fills: list[FillRecord] = field(default_factory=list)
    holds: list[HoldChange] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    fill_ids: count[int] = field(default_factory=lambda: count(1))

    def run(self, command: Command) -> None:
        if isinstance(command, LimitOrder):
            self.orders[command.order_id] = command
        self.take(apply(self.book, command))

    def take(self, events: tuple[Event, ...]) -> None:
        numbers = count(len(self.fills) + 1)
        cleared = clear(self.terms, events, self.orders, fill_ids=self.fill_ids, trade_nos=numbers)
        self.accounts.post([leg for fill in cleared.fills for leg in fill_legs(self.terms, fill)], cleared.holds)
        self.fills += cleared.fills
        self.holds += cleared.holds
        self.events += events


@given(contract_terms(), flows())
def test_no_command_takes_more_than_its_order_had_to_hold(terms: ContractTerms, commands: list[Command]) -> None:
    """What a pre-check of `required_holds` lets through cannot fail later, in whatever order fills come."""
    market = Market(terms)
    for command in commands:
        before = market.accounts.free()
        market.run(command)
        needed: Counter[AccountKey] = Counter()
        if isinstance(command, LimitOrder):
            needed.update({hold.account: hold.delta for hold in required_holds(terms, command)})
        for account, free in market.accounts.free().items():
            assert free >= before.get(account, 0) - needed[account]
        assert all(held >= 0 for held in market.accounts.held.values())


@given(contract_terms(), flows())
def test_the_draft_of_a_batch_balances_and_equals_its_commands(terms: ContractTerms, commands: list[Command]) -> None:
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


@given(contract_terms(), flows())
def test_after_the_gate_exactly_bonds_and_overage_stay_held(terms: ContractTerms, commands: list[Command]) -> None:
    market = Market(terms)
    for command in commands:
        market.run(command)
    market.take(close_book(market.book))
    expected: Counter[AccountKey] = Counter()
    for fill in market.fills:
        for hold in position_holds(terms, fill):
            expected[hold.account] += hold.delta
    assert market.accounts.held == expected
    assert [fill.trade_no for fill in market.fills] == list(range(1, len(market.fills) + 1))


@given(contract_terms(), flows())
def test_clearing_a_whole_run_of_events_at_once_gives_the_same(terms: ContractTerms, commands: list[Command]) -> None:
    market = Market(terms)
    for command in commands:
        market.run(command)
    at_once = clear(terms, market.events, market.orders, fill_ids=count(1), trade_nos=count(1))
    assert list(at_once.fills) == market.fills
    assert {hold.account: hold.delta for hold in at_once.holds} == {
        account: held for account, held in market.accounts.held.items() if held
    }


@given(contract_terms(), st.integers(1, 6), st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5)), min_size=1))
def test_a_buyer_never_pays_more_than_was_held(terms: ContractTerms, limit: int, makers: list[tuple[int, int]]) -> None:
    """However an order is cut into fills, their cost fits its hold, and its overage hold passes over whole."""
    book, orders, total = Book(CONTRACT), {}, Lots(sum(lots for lots, _ in makers))
    for number, (lots, better) in enumerate(makers, start=2):
        price = PriceTicks(max(1, limit - better))
        sell = LimitOrder(OrderId(number), CONTRACT, PartyId(5), Side.SELL, price, Lots(lots))
        orders[sell.order_id] = sell
        place(book, sell)
    buy = LimitOrder(OrderId(1), CONTRACT, PartyId(2), Side.BUY, PriceTicks(limit), total, overage_permille=125)
    orders[buy.order_id] = buy
    fills = clear(terms, place(book, buy), orders, fill_ids=count(1), trade_nos=count(1)).fills
    paid = sum(fill.notional_micros + fill.buyer_fee_micros for fill in fills)
    assert sum(fill.lots for fill in fills) == total
    assert paid <= purchase_hold(terms, buy.price_ticks, total)
    assert sum(fill.overage_hold_micros for fill in fills) == overage_hold(terms, total, 125)
