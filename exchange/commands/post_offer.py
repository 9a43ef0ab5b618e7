"""Post a provider's offer over a range of windows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from exchange import trading_rules as rules
from exchange.errors import InvalidOffer, UnknownContract
from exchange.matching.types import Side, TimeInForce
from exchange.models import Contract, IntakeKind, Offer, Product
from exchange.qualifications import require_qualified
from exchange.rows import contract_terms, find_product
from exchange.sequencer.intake import Submission, submit_all
from exchange.windows import Window, check_length, format_symbol
from ledger.actions import record_action

MAX_WINDOWS = 1_000


@dataclass(frozen=True, slots=True)
class PostOffer:
    """Sell `lots` at `price_ticks` or better in each window from `first_delivery` to `last_delivery`.

    Both are starts of windows, and both are included.
    """

    provider_id: int
    product_code: str
    window_seconds: int
    first_delivery: datetime
    last_delivery: datetime
    lots: int
    price_ticks: int


@dataclass(frozen=True, slots=True)
class OfferedOrder:
    """The sell order of one window: `seq` is its id and where its result is found."""

    symbol: str
    seq: int


@dataclass(frozen=True, slots=True)
class PostedOffer:
    offer_id: int
    orders: tuple[OfferedOrder, ...]


@transaction.atomic
def post_offer(command: PostOffer, *, actor: str, now: datetime) -> PostedOffer:
    """List the offer and put one sell order a window into the line, all or none.

    Raises `InvalidQuantity`, `UnknownProduct`, `NotQualified`, `InvalidWindow`, `InvalidOffer`, and for the first
    window that cannot take its order `UnknownContract`, `ContractClosed`, `ContractNotOpen`, `ContractHalted` or
    `PriceOutOfBand`. Capacity and bond are judged by the sequencer, window by window.
    """
    rules.check_lots(command.lots)
    product = find_product(command.product_code)
    require_qualified(command.provider_id, product, now)
    contracts = _contracts(command, product)
    for contract in contracts:
        rules.check_trading(contract.symbol, contract.state, contract.gate_open, contract.gate_close, now)
        rules.check_price(contract_terms(contract), command.price_ticks)
    offer = Offer.objects.create(
        provider_id=command.provider_id,
        product=product,
        window_seconds=command.window_seconds,
        first_delivery=command.first_delivery,
        last_delivery=command.last_delivery,
        lots=command.lots,
        price_ticks=command.price_ticks,
        created_at=now,
        created_by=actor,
    )
    numbers = submit_all([_sell_order(command, offer, contract, actor) for contract in contracts], now=now)
    record_action(
        actor=actor,
        action="post_offer",
        subject=f"offer:{offer.id}",
        now=now,
        details={"product": product.code, "windows": len(contracts), "lots": command.lots},
    )
    orders = (OfferedOrder(contract.symbol, seq) for contract, seq in zip(contracts, numbers, strict=True))
    return PostedOffer(offer.id, tuple(orders))


def _contracts(command: PostOffer, product: Product) -> list[Contract]:
    """The contract of every window in the range, in order."""
    windows = _windows(command)
    found = {
        (contract.delivery_start, contract.delivery_end): contract
        for contract in Contract.objects.select_related("product", "terms").filter(
            product=product, delivery_start__gte=windows[0].start, delivery_start__lte=windows[-1].start
        )
    }
    for window in windows:
        if (window.start, window.end) not in found:
            symbol = format_symbol(product.code, window)
            raise UnknownContract(f"There is no contract {symbol}; nothing was posted.", contract=symbol)
    return [found[window.start, window.end] for window in windows]


def _windows(command: PostOffer) -> list[Window]:
    length = timedelta(seconds=check_length(command.window_seconds))
    first, last = (Window(at, at + length) for at in (command.first_delivery, command.last_delivery))
    count = (last.start - first.start) // length + 1
    if not 1 <= count <= MAX_WINDOWS:
        raise InvalidOffer(f"An offer covers 1 to {MAX_WINDOWS} windows.", field="last_delivery", windows=str(count))
    return [Window(first.start + length * i, first.end + length * i) for i in range(count)]


def _sell_order(command: PostOffer, offer: Offer, contract: Contract, actor: str) -> Submission:
    return Submission(
        kind=IntakeKind.PLACE_ORDER,
        contract_id=contract.id,
        party_id=command.provider_id,
        actor=actor,
        payload={
            "side": Side.SELL.value,
            "price_ticks": command.price_ticks,
            "lots": command.lots,
            "time_in_force": TimeInForce.GTC.value,
            "overage_permille": 0,
            "offer_id": offer.id,
        },
    )
