"""What a provider sees around an offer: the windows it could offer, and what became of each window it did offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.matching.lifecycle import OrderStatus
from exchange.models import Contract, ContractState, Intake, IntakeKind, IntakeResult, Order, SequencerState
from exchange.qualifications import in_force
from exchange.selectors.exposure import list_exposures
from exchange.selectors.market import ContractView, list_contracts
from exchange.selectors.quotes import NO_QUOTES, Quotes, best_quotes

OFFERABLE = (ContractState.TRADING,)


@dataclass(frozen=True, slots=True)
class OfferableWindow:
    """A contract that trades, with what the provider may still sell in it and the best prices of its book."""

    contract: ContractView
    capacity_tokens: int
    free_tokens: int
    quotes: Quotes

    @property
    def free_lots(self) -> int:
        return self.free_tokens // self.contract.lot_tokens


@dataclass(frozen=True, slots=True)
class OfferedWindow:
    """An offer's order in one window; `refusal` says in words why it was refused."""

    order_id: int
    symbol: str
    delivery_start: datetime
    delivery_end: datetime
    lots: int
    sold_lots: int
    open_lots: int
    status: OrderStatus
    refusal: str


def list_offerable_windows(provider_id: int, *, now: datetime) -> list[OfferableWindow]:
    """Windows of all products the provider is qualified for that take orders at `now`, by product, length and start."""
    products = set(in_force(now).filter(provider_id=provider_id).values_list("product__code", flat=True))
    contracts = [
        contract
        for contract in list_contracts(states=OFFERABLE)
        if contract.product_code in products and contract.gate_close > now
    ]
    quotes = best_quotes([contract.id for contract in contracts])
    exposures = {each.obligation.symbol: each for each in list_exposures(OFFERABLE, provider_ids=[provider_id])}
    windows = []
    for contract in sorted(contracts, key=lambda each: (each.product_code, each.window_seconds, each.delivery_start)):
        exposure = exposures.get(contract.symbol)
        capacity = exposure.obligation.capacity_tokens if exposure else 0
        free = exposure.free_tokens if exposure else 0
        windows.append(OfferableWindow(contract, capacity, free, quotes.get(contract.id, NO_QUOTES)))
    return windows


def list_offered_windows(offer_id: int) -> list[OfferedWindow]:
    """The orders of an offer by window, those that still wait for the sequencer included."""
    cursor = SequencerState.objects.filter(shard=1).values("cursor")[:1]
    # The line is read before the orders: what is decided in between is seen twice, and not missed.
    line = list(Intake.objects.filter(seq__gt=cursor, kind=IntakeKind.PLACE_ORDER, payload__offer_id=offer_id))
    orders = list(Order.objects.filter(offer_id=offer_id))
    decided = {order.id for order in orders}
    waiting = [command for command in line if command.seq not in decided]
    contracts = Contract.objects.in_bulk(
        {order.contract_id for order in orders} | {command.contract_id for command in waiting}
    )
    refusals = _refusals([order.id for order in orders if order.status == OrderStatus.REJECTED])
    windows = [_decided(order, contracts[order.contract_id], refusals.get(order.id, "")) for order in orders]
    windows += [_waiting(command, contracts[command.contract_id]) for command in waiting]
    return sorted(windows, key=lambda window: window.delivery_start)


def _refusals(order_ids: Sequence[int]) -> dict[int, str]:
    results = IntakeResult.objects.filter(seq__in=order_ids).values_list("seq", "result")
    return {seq: str(result.get("message", "")) for seq, result in results}


def _decided(order: Order, contract: Contract, refusal: str) -> OfferedWindow:
    status = OrderStatus(order.status)
    return OfferedWindow(
        order_id=order.id,
        symbol=contract.symbol,
        delivery_start=contract.delivery_start,
        delivery_end=contract.delivery_end,
        lots=order.lots,
        sold_lots=order.lots - order.remaining_lots,
        open_lots=order.remaining_lots if status is OrderStatus.OPEN else 0,
        status=status,
        refusal=refusal,
    )


def _waiting(command: Intake, contract: Contract) -> OfferedWindow:
    return OfferedWindow(
        order_id=command.seq,
        symbol=contract.symbol,
        delivery_start=contract.delivery_start,
        delivery_end=contract.delivery_end,
        lots=command.payload["lots"],
        sold_lots=0,
        open_lots=0,
        status=OrderStatus.PENDING,
        refusal="",
    )
