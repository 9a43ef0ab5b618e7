"""However a line of commands is cut into batches, it comes to the same; and no account ever goes below its floor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.clearing.drafts import fill_legs
from exchange.clearing.fills import FillRecord
from exchange.matching.book import Book
from exchange.matching.invariants import check_book
from exchange.matching.types import OrderId
from exchange.models import ContractState, IntakeKind
from exchange.sequencer.answers import Answer
from exchange.sequencer.decide import decide
from exchange.sequencer.funds import Funds
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.run import BatchRun
from exchange.sequencer.state import LiveContract, Market
from ledger.chart import AccountKey
from ledger.journal import AccountState
from tests.unit.exchange.terms import HOUSE, TERMS

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
BUYERS, SELLERS = (11, 12), (21, 22)
CASH = 20_000_000
CAPACITY_LOTS = 15

KINDS: tuple[dict[str, Any], ...] = (
    {"time_in_force": "gtc"},
    {"time_in_force": "gtc", "maker_fee_ppm": 500},
    {"time_in_force": "gtc", "self_trade": "cancel_oldest"},
    {"time_in_force": "gtc", "self_trade": "decrement"},
    {"time_in_force": "gtc", "post_only": "reprice"},
    {"time_in_force": "gtc", "post_only": "reject", "self_trade": "cancel_both"},
    {"time_in_force": "ioc"},
    {"time_in_force": "fok", "maker_fee_ppm": 0, "taker_fee_ppm": 1_000},
    {"time_in_force": "fok", "order_type": "market"},
    {"time_in_force": "ioc", "order_type": "market", "budget": 1_300, "taker_fee_ppm": 500},
)

orders = st.tuples(
    st.sampled_from([("buy", 11), ("buy", 12), ("sell", 21), ("sell", 22), ("buy", 21)]),
    st.integers(395, 405),
    st.integers(1, 6),
    st.sampled_from(KINDS),
    st.sampled_from([0, 0, 250]),
)
ago = st.integers(1, 9)
changes = st.tuples(ago, st.integers(395, 405), st.integers(0, 7))
one = st.sampled_from([orders] * 7 + [changes] * 2 + [ago, st.sampled_from(BUYERS)]).flatmap(lambda kind: kind)
lines = st.lists(one, max_size=40)


def command(seq: int, drawn: Any) -> WaitingCommand:
    """An order, the amendment or cancel of an earlier one, or the cancel of all of a buyer's."""
    match drawn:
        case (side, party), price, lots, kind, overage:
            payload = {"side": side, "price_ticks": price, "lots": lots, "overage_permille": overage, **kind}
            if side == "sell":
                payload |= {"overage_permille": 0, "budget": None}
            return WaitingCommand(seq, IntakeKind.PLACE_ORDER, TERMS.contract_id, party, "t", None, payload)
        case back, price, lots:
            payload = {"order_id": seq - back, "price_ticks": price, "lots": lots}
            return WaitingCommand(seq, IntakeKind.AMEND_ORDER, TERMS.contract_id, 11, "t", None, payload)
        case order_id if order_id in BUYERS:
            return WaitingCommand(seq, IntakeKind.CANCEL_ALL, TERMS.contract_id, order_id, "t", None, {})
        case order_id:
            return WaitingCommand(
                seq, IntakeKind.CANCEL_ORDER, TERMS.contract_id, 11, "t", None, {"order_id": order_id}
            )


class World:
    """One contract and its parties' accounts, in memory only."""

    def __init__(self) -> None:
        book = Book(TERMS.contract_id)
        contract = LiveContract(TERMS, 1, "P", ContractState.TRADING, NOW, NOW + timedelta(hours=1), book)
        self.market = Market(HOUSE, {TERMS.contract_id: contract})
        self.accounts: dict[AccountKey, AccountState] = {}
        for party in BUYERS + SELLERS:
            self._open(TERMS.cash(party), CASH, 0)
        for party in SELLERS:
            self._open(TERMS.obligation(party), 0, -CAPACITY_LOTS * TERMS.lot_tokens)
        self.fills: list[FillRecord] = []
        self.answers: dict[int, Answer] = {}

    def _open(self, key: AccountKey, balance: int, floor: int) -> None:
        self.accounts[key] = AccountState(len(self.accounts), key, balance, 0, 0, 0, floor, False, False)

    def decide(self, commands: Sequence[WaitingCommand]) -> None:
        book = self.market.contracts[TERMS.contract_id].book
        standing: dict[int, dict[OrderId, int]] = {party: {} for party in BUYERS + SELLERS}
        for order, _ in book.in_priority():
            standing[order.party_id][order.order_id] = order.contract_id
        run = BatchRun(
            self.market,
            Funds(self.accounts),
            qualified={(seller, 1) for seller in SELLERS},
            gates={},
            first_fill=len(self.fills) + 1,
            now=NOW,
            standing=standing,
        )
        outcome = decide(run, commands)
        for leg in (leg for fill in outcome.fills for leg in fill_legs(TERMS, fill)):
            if leg.account in self.accounts:
                self.accounts[leg.account].balance += leg.amount
        for hold in outcome.holds:
            self.accounts[hold.account].held += hold.delta
        self.fills += outcome.fills
        self.answers |= outcome.answers

    def check(self) -> None:
        contract = self.market.contracts[TERMS.contract_id]
        check_book(contract.book)
        for account in self.accounts.values():
            assert account.held >= 0
            assert account.available is not None
            assert account.available >= 0
        standing = [resting.order.party_id for resting in contract.book.resting.values()]
        assert {party: standing.count(party) for party in set(standing)} == dict(+self.market.open_orders)


@settings(max_examples=300)
@given(lines, st.integers(1, 7))
def test_batches_of_any_size_come_to_the_same(drawn: list[object], size: int) -> None:
    commands = [command(seq, each) for seq, each in enumerate(drawn, start=1)]
    whole, cut = World(), World()
    whole.decide(commands)
    for start in range(0, len(commands), size):
        cut.decide(commands[start : start + size])
        cut.check()
    assert cut.answers == whole.answers
    assert cut.fills == whole.fills
    assert cut.accounts == whole.accounts
