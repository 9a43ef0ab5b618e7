"""What trades cost and what orders hold, in integer micros and contract tokens.

Charges are rounded down, holds up, so that a fill never takes more than its order held: for any split of an order
into fills, the sum of the rounded-down fees and the rounded-up hold of the rest is at most the hold of the whole.
"""

from __future__ import annotations

from exchange.clearing.terms import (
    MAX_DAMAGES_CAP_PERMILLE,
    PERMILLE,
    PPM,
    ContractTerms,
    check_band,
    lot_tick_micros,
)
from exchange.errors import InvalidTerms
from exchange.matching.types import BrokenInvariant, Order, PriceTicks, Side, TickLots
from ledger.drafts import HoldChange
from ledger.money import Micros, Tokens, div_ceil


def notional(terms: ContractTerms, price_ticks: PriceTicks, lots: int) -> Micros:
    """Price times quantity, exact."""
    return Micros(price_ticks * lots * terms.lot_tick_micros)


def fee(amount_micros: int, fee_ppm: int) -> Micros:
    """A fee as it is charged: rounded down."""
    return Micros(amount_micros * fee_ppm // PPM)


def tokens(terms: ContractTerms, lots: int) -> Tokens:
    return Tokens(lots * terms.lot_tokens)


def bond(terms: ContractTerms, lots: int) -> Micros:
    """What a provider pledges for `lots`, whatever the price."""
    return Micros(lots * terms.bond_per_lot_micros)


def bond_per_lot(*, lot_tokens: int, tick_micros: int, band_high_ticks: int, damages_cap_permille: int) -> Micros:
    """The bond of one lot, fixed at listing: its value at the band's upper price times the damages cap, rounded up."""
    if not 0 <= damages_cap_permille <= MAX_DAMAGES_CAP_PERMILLE:
        raise InvalidTerms(
            f"The damages cap is from 0 to {MAX_DAMAGES_CAP_PERMILLE} permille.",
            field="damages_cap_permille",
            value=damages_cap_permille,
        )
    per_tick = lot_tick_micros(lot_tokens, tick_micros)
    check_band(per_tick, 1, band_high_ticks)
    return Micros(div_ceil(band_high_ticks * per_tick * damages_cap_permille, PERMILLE))


def overage_tokens(terms: ContractTerms, lots: int, overage_permille: int) -> Tokens:
    """How far a buyer may go above `lots`. Exact, since a lot is a multiple of 1,000 tokens."""
    return Tokens(lots * terms.lot_tokens * overage_permille // PERMILLE)


def overage_hold(terms: ContractTerms, lots: int, overage_permille: int) -> Micros:
    """What is held for the overage of `lots`: the band's upper price plus fee, rounded up lot by lot.

    By the lot, so that it is additive: a fill takes its share of the order's hold over to the position unchanged.
    """
    per_lot = div_ceil(terms.band_high_ticks * terms.lot_tick_micros * overage_permille, PERMILLE)
    return Micros(lots * (per_lot + div_ceil(per_lot * terms.buyer_fee_ppm, PPM)))


def purchase_hold(terms: ContractTerms, price_ticks: PriceTicks, lots: int) -> Micros:
    """What is held to pay for `lots` at the limit: notional and the contract's fee, rounded up.

    The order's own rates are at most the contract's, whether it makes or takes.
    """
    limit_micros = notional(terms, price_ticks, lots)
    return Micros(limit_micros + div_ceil(limit_micros * terms.buyer_fee_ppm, PPM))


def budget_hold(terms: ContractTerms, budget: TickLots, taker_fee_ppm: int) -> Micros:
    """What is held to spend a budget: it and its fee, rounded up. Such an order only ever takes, at its own rate."""
    budget_micros = budget * terms.lot_tick_micros
    return Micros(budget_micros + div_ceil(budget_micros * taker_fee_ppm, PPM))


def buyer_hold(terms: ContractTerms, order: Order, lots: int) -> Micros:
    """What a buy order holds of its party's cash while it still wants `lots`.

    An order with a budget holds it, unless its lots at their highest price come to less.
    """
    micros = purchase_hold(terms, order.price_ticks, lots)
    if order.budget is not None:
        micros = min(micros, budget_hold(terms, order.budget, order.taker_fee_ppm))
    if order.overage_permille:
        micros = Micros(micros + overage_hold(terms, lots, order.overage_permille))
    return micros


def order_holds(terms: ContractTerms, order: Order, lots: int) -> tuple[HoldChange, ...]:
    """What `order` holds while it still wants `lots` of its lots; empty amounts are left out."""
    cash = terms.cash(order.party_id)
    if order.side is Side.BUY:
        holds = [HoldChange(cash, buyer_hold(terms, order, lots))]
    else:
        holds = [
            HoldChange(cash, bond(terms, lots)),
            HoldChange(terms.obligation(order.party_id), tokens(terms, lots)),
        ]
    return tuple([hold for hold in holds if hold.delta])


def required_holds(terms: ContractTerms, order: Order) -> tuple[HoldChange, ...]:
    """What a new order must be able to hold to be accepted: what its acceptance then posts, at most.

    Less is posted for a post-only buy order that is repriced. Raises `BrokenInvariant` when the order carries a fee
    that is higher than the contract's, since its hold would not bound it.
    """
    highest = terms.buyer_fee_ppm if order.side is Side.BUY else terms.provider_fee_ppm
    if not (0 <= order.maker_fee_ppm <= highest and 0 <= order.taker_fee_ppm <= highest):
        raise BrokenInvariant(f"Order {order.order_id} carries a fee above the {highest} ppm of its contract.")
    return order_holds(terms, order, order.lots)
