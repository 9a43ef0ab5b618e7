"""Events of the book become fills and changes of holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from exchange.clearing import amounts
from exchange.clearing.terms import ContractTerms
from exchange.matching.events import Event, OrderAccepted, OrderClosed, OrderFilled, OrderRejected, OrderRested
from exchange.matching.types import ContractId, LimitOrder, Lots, OrderId, PartyId, PriceTicks, Side
from ledger.chart import AccountKey
from ledger.drafts import HoldChange
from ledger.money import Micros, Tokens


@dataclass(frozen=True, slots=True)
class FillRecord:
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


@dataclass(frozen=True, slots=True)
class Cleared:
    """What a run of events came to: its fills, and the net hold change of each account (never 0, by account)."""

    fills: tuple[FillRecord, ...]
    holds: tuple[HoldChange, ...]


def clear(
    terms: ContractTerms,
    events: Iterable[Event],
    orders: Mapping[OrderId, LimitOrder],
    *,
    fill_ids: Iterator[int],
    trade_nos: Iterator[int],
) -> Cleared:
    """Clear events of one contract: those of one command, or of several in their order.

    `orders` knows every order that the events name (except rejected ones); only what they say of themselves is read,
    never how much of them is left. Holds rise with acceptance; a fill releases what its lots held except what passes
    to the position; closing releases the rest.
    """
    fills: list[FillRecord] = []
    holds: list[HoldChange] = []
    for event in events:
        match event:
            case OrderAccepted():
                holds += _holds_between(terms, orders[event.order_id], 0, event.lots)
            case OrderFilled():
                taker, maker = orders[event.taker_id], orders[event.maker_id]
                fill = _record(terms, event, taker, maker, next(fill_ids), next(trade_nos))
                fills.append(fill)
                holds += _holds_between(terms, taker, event.taker_lots_left + event.lots, event.taker_lots_left)
                holds += _holds_between(terms, maker, event.maker_lots_left + event.lots, event.maker_lots_left)
                holds += position_holds(terms, fill)
            case OrderClosed():
                holds += _holds_between(terms, orders[event.order_id], event.lots_unfilled, 0)
            case OrderRested() | OrderRejected():
                pass  # nothing moves
    return Cleared(tuple(fills), net_holds(holds))


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
    return tuple(HoldChange(account, net[account]) for account in sorted(net) if net[account])


def _holds_between(terms: ContractTerms, order: LimitOrder, before: int, after: int) -> list[HoldChange]:
    """The change of an order's holds when the lots it still wants go from `before` to `after`."""
    released = [HoldChange(hold.account, -hold.delta) for hold in amounts.order_holds(terms, order, before)]
    return released + list(amounts.order_holds(terms, order, after))


def _record(
    terms: ContractTerms, event: OrderFilled, taker: LimitOrder, maker: LimitOrder, fill_id: int, trade_no: int
) -> FillRecord:
    buy, sell = (taker, maker) if event.taker_side is Side.BUY else (maker, taker)
    notional_micros = amounts.notional(terms, event.price_ticks, event.lots)
    return FillRecord(
        fill_id=fill_id,
        contract_id=terms.contract_id,
        trade_no=trade_no,
        buy_order_id=buy.order_id,
        sell_order_id=sell.order_id,
        buyer_id=buy.party_id,
        provider_id=sell.party_id,
        taker_side=event.taker_side,
        price_ticks=event.price_ticks,
        lots=event.lots,
        tokens=amounts.tokens(terms, event.lots),
        notional_micros=notional_micros,
        buyer_fee_micros=amounts.fee(notional_micros, terms.buyer_fee_ppm),
        buyer_fee_ppm=terms.buyer_fee_ppm,
        provider_fee_ppm=terms.provider_fee_ppm,
        bond_micros=amounts.bond(terms, event.lots),
        overage_tokens=amounts.overage_tokens(terms, event.lots, buy.overage_permille),
        overage_hold_micros=amounts.overage_hold(terms, event.lots, buy.overage_permille),
    )
