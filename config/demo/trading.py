"""The afternoon before: contracts are listed, providers offer, buyers haggle, and the gate closes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from config.catalogue import BUYERS, MODELS, TICK_MICROS
from config.demo.assignment import Holding
from config.demo.bots import Bots, place_order, side_by_side
from config.demo.clockwork import Clockwork
from config.demo.failure import DemoFailed
from config.demo.forecast import Supply, Want
from config.demo.haggling import Bid, Haggling, plan_haggling
from config.demo.session import Session
from config.market_setup import contract_of
from config.rest_client import RestRefused
from exchange.clearing.prices import format_price
from exchange.commands.list_contract import list_contract
from exchange.commands.post_offer import PostOffer, post_offer
from exchange.commands.withdraw_offer import WithdrawOffer, withdraw_offer
from exchange.models import Contract, ContractState
from exchange.sequencer.results import await_results
from exchange.windows import Window, format_symbol, parse_symbol
from ledger.selectors.parties import get_party

OPERATOR = "user:operator"
PRICE_CUT_PERMILLE = 930
OUTCOME_SECONDS = 60.0
PERMILLE = 1_000


class OfferRefused(DemoFailed):
    """The sequencer refused a part of an offer; the demo's market is not what it should be."""


@dataclass(slots=True)
class _Order:
    """A want with how its buyer goes about it, and how far it got."""

    want: Want
    plan: Haggling
    overage_permille: int
    open_ids: list[str] = field(default_factory=list)

    @property
    def symbol(self) -> str:
        return format_symbol(self.want.product, self.want.window)


def list_contracts(windows: Iterable[Window], session: Session, *, now: datetime) -> None:
    """Every product in every window."""
    for window in windows:
        for model in MODELS.values():
            list_contract(contract_of(model, window, session.gate_open, session.gate_close), actor=OPERATOR, now=now)


def trade(
    session: Session,
    windows: Sequence[Window],
    wants: Sequence[Want],
    supplies: Sequence[Supply],
    *,
    bots: Bots,
    clockwork: Clockwork,
    seed: int,
    advance: Callable[[], object],
) -> None:
    """The whole session; calls `advance` once for each want and round."""
    clockwork.go_to(session.gate_open)
    clockwork.ring_until(_all_in(ContractState.TRADING), "the gates open")
    overage = {buyer.code: buyer.overage_permille for buyer in BUYERS}
    orders = [_Order(want, plan_haggling(want, MODELS[want.product], seed=seed), overage[want.buyer]) for want in wants]
    floor = _Floor(bots, orders, advance)

    offers = {(supply.provider, supply.product): _offer(supply, windows, now=session.gate_open) for supply in supplies}
    clockwork.go_to(session.at(100))
    floor.everybody(floor.bid_patiently)
    clockwork.go_to(session.at(400))
    _cut_prices(supplies, offers, windows, now=session.at(400))
    floor.everybody(floor.bid_fairly)
    clockwork.go_to(session.at(900))
    floor.everybody(floor.take_the_rest)
    clockwork.go_to(session.gate_close)
    clockwork.ring_until(_all_in(ContractState.CLOSED), "the gates close")


def read_holdings(bots: Bots) -> list[Holding]:
    """The positions as their buyers see them after the gate."""
    holdings = []
    for buyer in BUYERS:
        for position in bots.of(buyer.code).list("/api/v1/positions"):
            symbol = position["contract"]
            _, window = parse_symbol(symbol)
            holdings.append(
                Holding(symbol, window, buyer.code, position["counterparty"], tokens=int(position["tokens"]))
            )
    return holdings


class _Floor:
    """All buyers together: contracts side by side, and within a contract one buyer after the other.

    So the fills follow from the seed alone: books are independent of each other, and money is ample.
    """

    def __init__(self, bots: Bots, orders: Iterable[_Order], advance: Callable[[], object]) -> None:
        self._bots, self._advance = bots, advance
        self._by_contract: dict[str, list[_Order]] = defaultdict(list)
        for order in orders:
            self._by_contract[order.symbol].append(order)

    def everybody(self, act: Callable[[_Order], None]) -> None:
        def in_turn(orders: Sequence[_Order]) -> None:
            for order in orders:
                act(order)
                self._advance()

        side_by_side(in_turn, self._by_contract.values())

    def bid_patiently(self, order: _Order) -> None:
        if order.plan.patient:
            self._place(order, "patient", order.plan.patient)

    def bid_fairly(self, order: _Order) -> None:
        if order.plan.fair:
            self._place(order, "fair", order.plan.fair)

    def take_the_rest(self, order: _Order) -> None:
        """Cancel what rests and buy what is missing at once."""
        client = self._bots.of(order.want.buyer)
        missing = order.want.lots
        for order_id in order.open_ids:
            try:
                client.delete(f"/api/v1/orders/{order_id}")
            except RestRefused as refused:
                if refused.code != "order_not_open":  # filled in the meantime
                    raise
            missing -= int(client.get(f"/api/v1/orders/{order_id}")["filled_lots"])
        if missing:
            self._place(order, "last", Bid(order.plan.last_price_ticks, missing), time_in_force="ioc")

    def _place(self, order: _Order, name: str, bid: Bid, *, time_in_force: str = "gtc") -> None:
        answer = place_order(
            self._bots.of(order.want.buyer),
            contract=order.symbol,
            price=format_price(TICK_MICROS, bid.price_ticks),
            lots=str(bid.lots),
            time_in_force=time_in_force,
            client_order_id=f"{order.want.window.start:%Y%m%dT%H%M}.{name}",
            overage_permille=order.overage_permille,
        )
        order.open_ids.append(answer["order_id"])


def _offer(supply: Supply, windows: Sequence[Window], *, now: datetime) -> int:
    """Post a provider's offer over all windows, as its staff does in the admin; returns its id."""
    provider = get_party(supply.provider)
    posted = post_offer(
        PostOffer(
            provider_id=provider.id,
            product_code=supply.product,
            window_seconds=windows[0].seconds,
            first_delivery=windows[0].start,
            last_delivery=windows[-1].start,
            lots=supply.lots,
            price_ticks=supply.price_ticks,
        ),
        actor=f"user:{supply.provider}",
        now=now,
    )
    seqs = [order.seq for order in posted.orders]
    answers = await_results(seqs, OUTCOME_SECONDS)
    for seq in seqs:
        if answers.get(seq, {}).get("status") != "accepted":
            raise OfferRefused(f"{supply.provider}, {supply.product}: {answers.get(seq, 'no answer in time')}")
    return posted.offer_id


def _cut_prices(
    supplies: Sequence[Supply], offers: Mapping[tuple[str, str], int], windows: Sequence[Window], *, now: datetime
) -> None:
    """The dearest provider of each product has sold nothing yet, withdraws its offer and posts a cheaper one."""
    dearest: dict[str, Supply] = {}
    for supply in supplies:
        if supply.product not in dearest or supply.price_ticks > dearest[supply.product].price_ticks:
            dearest[supply.product] = supply
    for supply in dearest.values():
        provider = get_party(supply.provider)
        offer_id = offers[supply.provider, supply.product]
        withdrawn = withdraw_offer(WithdrawOffer(offer_id, provider.id), actor=f"user:{supply.provider}", now=now)
        await_results(list(withdrawn.seqs), OUTCOME_SECONDS)
        cheaper = supply.price_ticks * PRICE_CUT_PERMILLE // PERMILLE
        _offer(Supply(supply.provider, supply.product, supply.lots, cheaper), windows, now=now)


def _all_in(state: ContractState) -> Callable[[], bool]:
    return lambda: not Contract.objects.exclude(state=state).exists()
