"""However a line of commands is cut into batches, it comes to the same; and no account ever goes below its floor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from exchange.clearing.fills import FillRecord
from exchange.matching.book import Book
from exchange.matching.invariants import check_book
from exchange.models import ContractState, IntakeKind
from exchange.sequencer.answers import Answer
from exchange.sequencer.batch import BatchRun
from exchange.sequencer.funds import Funds
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.state import LiveContract, Market
from ledger.chart import AccountKey
from ledger.journal import AccountState
from tests.unit.exchange.terms import HOUSE, TERMS

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
BUYERS, SELLERS = (11, 12), (21, 22)
CASH = 20_000_000
CAPACITY_LOTS = 15

orders = st.tuples(
    st.sampled_from([("buy", 11), ("buy", 12), ("sell", 21), ("sell", 22), ("buy", 21)]),
    st.integers(395, 405),
    st.integers(1, 6),
    st.sampled_from(["gtc", "ioc"]),
    st.sampled_from([0, 0, 250]),
)
lines = st.lists(st.one_of(orders, st.integers(1, 40)), max_size=40)


def command(seq: int, drawn: object) -> WaitingCommand:
    """An order, or the cancel of an earlier one."""
    if isinstance(drawn, tuple):
        (side, party), price, lots, tif, overage = drawn
        payload = {
            "side": side,
            "price_ticks": price,
            "lots": lots,
            "time_in_force": tif,
            "overage_permille": overage if side == "buy" else 0,
        }
        return WaitingCommand(seq, IntakeKind.PLACE_ORDER, TERMS.contract_id, party, "t", None, payload)
    return WaitingCommand(seq, IntakeKind.CANCEL_ORDER, TERMS.contract_id, 11, "t", None, {"order_id": drawn})


class World:
    """One contract and its parties' accounts, in memory only."""

    def __init__(self) -> None:
        book = Book(TERMS.contract_id)
        contract = LiveContract(TERMS, 1, "P", ContractState.TRADING, NOW, NOW + timedelta(hours=1), book, orders={})
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
        run = BatchRun(
            self.market,
            Funds(self.accounts),
            qualified={(seller, 1) for seller in SELLERS},
            gates={},
            first_fill=len(self.fills) + 1,
            now=NOW,
        )
        outcome = run.decide(commands)
        self.fills += outcome.fills
        self.answers |= outcome.answers

    def check(self) -> None:
        contract = self.market.contracts[TERMS.contract_id]
        check_book(contract.book)
        assert set(contract.orders) == set(contract.book.resting)
        for account in self.accounts.values():
            assert account.held >= 0
            assert account.available is not None
            assert account.available >= 0
        standing = [resting.order.party_id for resting in contract.book.resting.values()]
        assert {party: standing.count(party) for party in set(standing)} == dict(+self.market.open_orders)


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
