"""What the sequencer remembers between batches: open books and counters, all of it in the tables as well."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count

from exchange.clearing.terms import ContractTerms
from exchange.matching.book import Book
from exchange.matching.engine import restore
from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import ContractId, LimitOrder, Lots, OrderId, PartyId, PriceTicks, Side, TimeInForce
from exchange.models import Contract, ContractMarket, ContractState, Order
from exchange.rows import contract_terms
from ledger.selectors.parties import get_house_id


@dataclass(slots=True)
class LiveContract:
    """A contract as trading sees it. `orders` holds every order in the book, with what it says of itself."""

    terms: ContractTerms
    product_id: int
    product_code: str
    state: ContractState
    gate_open: datetime
    gate_close: datetime
    book: Book
    orders: dict[OrderId, LimitOrder]
    book_seq: int = 0
    last_trade_no: int = 0
    last_price_ticks: int | None = None
    traded_lots: int = 0

    @property
    def id(self) -> ContractId:
        return self.terms.contract_id

    @property
    def symbol(self) -> str:
        return self.terms.symbol


@dataclass(slots=True)
class Market:
    """Contracts are read when the first command names them; open orders are counted by party."""

    house_id: int
    contracts: dict[int, LiveContract] = field(default_factory=dict)
    open_orders: Counter[int] = field(default_factory=Counter)

    def load(self, contract_ids: Iterable[int]) -> None:
        """Read the contracts that are not here yet, with their books."""
        missing = sorted(set(contract_ids) - self.contracts.keys())
        if not missing:
            return
        standing = _standing_orders(missing)
        figures = {row.contract_id: row for row in ContractMarket.objects.filter(contract_id__in=missing)}
        for row in Contract.objects.select_related("product", "terms").filter(id__in=missing):
            self.contracts[row.id] = _live(row, standing[row.id], figures.get(row.id))

    def forget_closed(self) -> None:
        """Drop contracts whose trading is over."""
        trading = (ContractState.LISTED, ContractState.TRADING, ContractState.HALTED)
        self.contracts = {id: live for id, live in self.contracts.items() if live.state in trading}


def restore_market() -> Market:
    """A memory that knows no contract yet, only how many open orders each party has."""
    counts = Order.objects.filter(status=OrderStatus.OPEN).values_list("party_id").annotate(Count("id"))
    return Market(get_house_id(), open_orders=Counter(dict(counts)))


def _standing_orders(contract_ids: list[int]) -> dict[int, list[LimitOrder]]:
    orders: dict[int, list[LimitOrder]] = defaultdict(list)
    rows = Order.objects.filter(contract_id__in=contract_ids, status=OrderStatus.OPEN).order_by("id")
    for row in rows:
        orders[row.contract_id].append(
            LimitOrder(
                OrderId(row.id),
                ContractId(row.contract_id),
                PartyId(row.party_id),
                Side(row.side),
                PriceTicks(row.price_ticks),
                Lots(row.remaining_lots),
                TimeInForce(row.time_in_force),
                row.overage_permille,
            )
        )
    return orders


def _live(row: Contract, standing: list[LimitOrder], figures: ContractMarket | None) -> LiveContract:
    live = LiveContract(
        terms=contract_terms(row),
        product_id=row.product_id,
        product_code=row.product.code,
        state=ContractState(row.state),
        gate_open=row.gate_open,
        gate_close=row.gate_close,
        book=restore(ContractId(row.id), standing),
        orders={order.order_id: order for order in standing},
    )
    if figures is not None:
        live.book_seq = figures.book_seq
        live.last_trade_no = figures.last_trade_no
        live.last_price_ticks = figures.last_price_ticks
        live.traded_lots = figures.traded_lots
    return live
