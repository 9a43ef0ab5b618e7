"""Events of the book become fills and changes of holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from msgspec import Struct

from exchange.clearing import amounts
from exchange.clearing.terms import ContractTerms
from exchange.matching.events import (
    Event,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderFilled,
)
from exchange.matching.types import ContractId, Lots, Order, OrderId, PartyId, PriceTicks, Side
from ledger.chart import AccountKey
from ledger.drafts import HoldChange
from ledger.money import Micros, Tokens


class FillRecord(Struct, frozen=True, gc=False):
    """One trade with all its figures, as it is stored for ever.

    `trade_no` numbers the trades of a contract without gaps. The provider's fee is charged at pay-out, at the rate
    stored here. `bond_micros` (on the provider's cash) and `overage_hold_micros` (on the buyer's) stay held for the
    position; `overage_tokens` adds to its overage cap.
    """

    fill_id: int
    contract_id: ContractId
    trade_no: int
    buy_order_id: OrderId
    sell_order_id: OrderId
    buyer_id: PartyId
    provider_id: PartyId
    taker_side: Side
    price_ticks: PriceTicks
    lots: Lots
    tokens: Tokens
    notional_micros: Micros
    buyer_fee_micros: Micros
    buyer_fee_ppm: int
    provider_fee_ppm: int
    bond_micros: Micros
    overage_tokens: Tokens
    overage_hold_micros: Micros


class Cleared(Struct, frozen=True, gc=False):
    """What a run of events came to: its fills, and the net hold change of each account (never 0, no account twice)."""

    fills: tuple[FillRecord, ...]
    holds: tuple[HoldChange, ...]


def clear(
    terms: ContractTerms, events: Iterable[Event], *, fill_ids: Iterator[int], trade_nos: Iterator[int]
) -> Cleared:
    """Clear events of one contract: those of one command, or of several in their order.

    Holds rise with acceptance and follow amendments; a fill releases what its lots held except what passes to the
    position; closing releases the rest; nothing moves by any other event. An order with a budget keeps its whole hold
    until it is closed, which is in the same command.
    """
    fills: list[FillRecord] = []
    net: dict[AccountKey, int] = defaultdict(int)
    for event in events:
        # By its exact type: `isinstance`, and so `match`, takes six times as long to see that a struct is another.
        if type(event) is OrderAccepted:
            _move(net, terms, event.order, 0, event.lots)
        elif type(event) is OrderClosed:
            held = event.lots_unfilled if event.order.budget is None else event.order.lots
            _move(net, terms, event.order, held, 0)
        elif type(event) is OrderFilled:
            fill = _record(terms, event, next(fill_ids), next(trade_nos))
            fills.append(fill)
            if event.taker.budget is None:
                _move(net, terms, event.taker, event.taker_lots_left + event.lots, event.taker_lots_left)
            _move(net, terms, event.maker, event.maker_lots_left + event.lots, event.maker_lots_left)
            for hold in position_holds(terms, fill):
                net[hold.account] += hold.delta
        elif type(event) is OrderAmended:
            _move(net, terms, event.before, event.lots_before, 0)
            _move(net, terms, event.after, 0, event.lots_after)
    return Cleared(tuple(fills), tuple([HoldChange(account, delta) for account, delta in net.items() if delta]))


def position_holds(terms: ContractTerms, fill: FillRecord) -> tuple[HoldChange, ...]:
    """What a fill leaves held for its position until final settlement: the provider's bond, the buyer's overage."""
    holds = (
        HoldChange(terms.cash(fill.provider_id), fill.bond_micros),
        HoldChange(terms.cash(fill.buyer_id), fill.overage_hold_micros),
    )
    return tuple(hold for hold in holds if hold.delta)


def net_holds(holds: Iterable[HoldChange]) -> tuple[HoldChange, ...]:
    """One change an account, ordered by account; accounts that come out even are left out."""
    net: dict[AccountKey, int] = defaultdict(int)
    for hold in holds:
        net[hold.account] += hold.delta
    return tuple([HoldChange(account, net[account]) for account in sorted(net) if net[account]])


def _move(net: dict[AccountKey, int], terms: ContractTerms, order: Order, before: int, after: int) -> None:
    """Add the change of an order's holds when the lots it still wants go from `before` to `after`."""
    if before == after:
        return
    cash = terms.cash(order.party_id)
    if order.side is Side.BUY:
        held = amounts.buyer_hold(terms, order, before) if before else 0
        net[cash] += (amounts.buyer_hold(terms, order, after) if after else 0) - held
    else:
        net[cash] += amounts.bond(terms, after - before)
        net[terms.obligation(order.party_id)] += amounts.tokens(terms, after - before)


def _record(terms: ContractTerms, event: OrderFilled, fill_id: int, trade_no: int) -> FillRecord:
    """The rates charged are each order's own, by its role in the trade."""
    taker, maker, lots = event.taker, event.maker, event.lots
    if taker.side is Side.BUY:
        buy, sell, buyer_fee_ppm, provider_fee_ppm = taker, maker, taker.taker_fee_ppm, maker.maker_fee_ppm
    else:
        buy, sell, buyer_fee_ppm, provider_fee_ppm = maker, taker, maker.maker_fee_ppm, taker.taker_fee_ppm
    notional_micros = amounts.notional(terms, event.price_ticks, lots)
    return FillRecord(
        fill_id=fill_id,
        contract_id=terms.contract_id,
        trade_no=trade_no,
        buy_order_id=buy.order_id,
        sell_order_id=sell.order_id,
        buyer_id=buy.party_id,
        provider_id=sell.party_id,
        taker_side=taker.side,
        price_ticks=event.price_ticks,
        lots=lots,
        tokens=amounts.tokens(terms, lots),
        notional_micros=notional_micros,
        buyer_fee_micros=amounts.fee(notional_micros, buyer_fee_ppm),
        buyer_fee_ppm=buyer_fee_ppm,
        provider_fee_ppm=provider_fee_ppm,
        bond_micros=amounts.bond(terms, lots),
        overage_tokens=amounts.overage_tokens(terms, lots, buy.overage_permille),
        overage_hold_micros=amounts.overage_hold(terms, lots, buy.overage_permille),
    )
