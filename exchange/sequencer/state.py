"""What the sequencer remembers between batches: open books and counters, all of it in the tables as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db.models import Count, QuerySet

from exchange.clearing.terms import PERMILLE, ContractTerms
from exchange.matching.book import Book
from exchange.matching.engine import restore
from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import (
    Collar,
    ContractId,
    GroupId,
    Lots,
    Order,
    OrderId,
    OrderType,
    PartyId,
    PostOnly,
    PriceRange,
    PriceTicks,
    SelfTrade,
    Side,
    TickLots,
    TimeInForce,
)
from exchange.models import OPEN_STATES, Contract, ContractMarket, ContractState
from exchange.models import Order as OrderRow
from exchange.rows import contract_terms
from exchange.sequencer.timers import read_next_due
from ledger.chart import AccountKey
from ledger.money import div_ceil
from ledger.selectors.parties import get_house_id

ROWS_AT_ONCE = 10_000
_STANDING = (
    "contract_id", "id", "party_id", "side", "price_ticks", "lots", "remaining_lots", "group_id", "order_type",
    "time_in_force", "post_only", "self_trade", "budget", "overage_permille", "maker_fee_ppm", "taker_fee_ppm",
)  # fmt: skip


@dataclass(slots=True)
class LiveContract:
    """A contract as trading sees it."""

    terms: ContractTerms
    product_id: int
    product_code: str
    state: ContractState
    gate_open: datetime
    gate_close: datetime
    book: Book
    book_seq: int = 0
    last_trade_no: int = 0
    last_price_ticks: int | None = None
    traded_lots: int = 0
    listing_price_ticks: int = 0
    collar_permille: int = 0

    @property
    def id(self) -> ContractId:
        return self.terms.contract_id

    @property
    def symbol(self) -> str:
        return self.terms.symbol

    def fee_ppm(self, side: Side) -> int:
        """The contract's own rate, for whoever has no other."""
        return self.terms.buyer_fee_ppm if side is Side.BUY else self.terms.provider_fee_ppm

    def collar(self) -> Collar | None:
        """The prices that may be traded now: around the last trade, or before any around the listing price."""
        if not self.collar_permille:
            return None
        reference = self.listing_price_ticks if self.last_price_ticks is None else self.last_price_ticks
        return Collar(
            div_ceil(reference * max(0, PERMILLE - self.collar_permille), PERMILLE),
            reference * (PERMILLE + self.collar_permille) // PERMILLE,
        )


@dataclass(slots=True)
class Market:
    """One shard's contracts, read when the first command names them, and its open orders counted by party.

    No timer is due before `next_due`. It may be early, when whatever was due then is gone; the tables know. `closed`
    are the accounts of `read_closed_accounts`; None: read them again, somebody may have closed one.
    """

    house_id: int
    contracts: dict[int, LiveContract] = field(default_factory=dict)
    open_orders: Counter[int] = field(default_factory=Counter)
    next_due: datetime | None = None
    closed: frozenset[AccountKey] | None = None

    def load(self, contract_ids: Iterable[int | None]) -> None:
        """Read the contracts that are not here yet, with their books."""
        missing = sorted(id for id in set(contract_ids) if id is not None and id not in self.contracts)
        if not missing:
            return
        figures = {row.contract_id: row for row in ContractMarket.objects.filter(contract_id__in=missing)}
        for row in Contract.objects.select_related("product", "terms").filter(id__in=missing):
            self.contracts[row.id] = _live(row, figures.get(row.id))
        for contract_id, rows in groupby(_standing_orders(missing), key=itemgetter(0)):
            live = self.contracts[contract_id]
            live.book = restore(live.id, map(_standing_order, rows), live.book.band)

    def load_all(self, shard: int) -> None:
        """Read every contract of the shard that may have a book."""
        self.load(Contract.objects.filter(shard=shard, state__in=OPEN_STATES).values_list("id", flat=True))

    def note_due(self, at: datetime | None) -> None:
        """Something is due at an instant, if at any."""
        if at is not None and (self.next_due is None or at < self.next_due):
            self.next_due = at

    def forget_closed(self) -> None:
        """Drop contracts whose trading is over."""
        if any(live.state not in OPEN_STATES for live in self.contracts.values()):
            self.contracts = {id: live for id, live in self.contracts.items() if live.state in OPEN_STATES}


def restore_market(shard: int = 1) -> Market:
    """A memory that knows no contract yet, only how many open orders each party has, and when something is due."""
    standing = OrderRow.objects.filter(status=OrderStatus.OPEN, contract_id__in=contracts_of(shard))
    counts = standing.values_list("party_id").annotate(Count("id"))
    return Market(get_house_id(), open_orders=Counter(dict(counts)), next_due=read_next_due(shard))


def contracts_of(shard: int) -> QuerySet[Contract, Any]:
    """The ids of the shard's contracts that may have a book, for a subquery."""
    return Contract.objects.filter(shard=shard, state__in=OPEN_STATES).values("id")


def _standing_orders(contract_ids: list[int]) -> Iterator[tuple[Any, ...]]:
    """Contract by contract, each in order of priority."""
    rows = OrderRow.objects.filter(contract_id__in=contract_ids, status=OrderStatus.OPEN)
    return rows.order_by("contract_id", "priority").values_list(*_STANDING).iterator(ROWS_AT_ONCE)


def _standing_order(row: tuple[Any, ...]) -> tuple[Order, Lots]:
    (
        contract_id, order_id, party_id, side, price_ticks, lots, remaining_lots, group_id, order_type,
        time_in_force, post_only, self_trade, budget, overage_permille, maker_fee_ppm, taker_fee_ppm,
    ) = row  # fmt: skip
    order = Order(
        order_id=OrderId(order_id),
        contract_id=ContractId(contract_id),
        party_id=PartyId(party_id),
        side=Side(side),
        price_ticks=PriceTicks(price_ticks),
        lots=Lots(lots),
        group_id=GroupId(group_id),
        order_type=OrderType(order_type),
        time_in_force=TimeInForce(time_in_force),
        post_only=PostOnly(post_only),
        self_trade=SelfTrade(self_trade),
        budget=None if budget is None else TickLots(budget),
        overage_permille=overage_permille,
        maker_fee_ppm=maker_fee_ppm,
        taker_fee_ppm=taker_fee_ppm,
    )
    return order, Lots(remaining_lots)


def _live(row: Contract, figures: ContractMarket | None) -> LiveContract:
    live = LiveContract(
        terms=contract_terms(row),
        product_id=row.product_id,
        product_code=row.product.code,
        state=ContractState(row.state),
        gate_open=row.gate_open,
        gate_close=row.gate_close,
        book=Book(ContractId(row.id), PriceRange(row.band_low_ticks, row.band_high_ticks)),
        listing_price_ticks=row.listing_price_ticks,
        collar_permille=row.collar_permille,
    )
    if figures is not None:
        live.book_seq = figures.book_seq
        live.last_trade_no = figures.last_trade_no
        live.last_price_ticks = figures.last_price_ticks
        live.traded_lots = figures.traded_lots
    return live
