"""Contract terms for tests: a tick of 0.01 per million, lots of 100,000 tokens, fees of 20 and 30 basis points."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import structs

from exchange.clearing.terms import ContractTerms
from exchange.matching.types import ContractId, GroupId, Lots, Order, OrderId, PartyId, PriceTicks, Side, TimeInForce

HOUSE = PartyId(1)
TERMS = ContractTerms(
    contract_id=ContractId(7),
    asset_id=70,
    currency_asset_id=9,
    symbol="QWEN3-235B.CN-EAST.STD@20261201T14/1H",
    lot_tokens=100_000,
    tick_micros=10_000,
    band_low_ticks=1,
    band_high_ticks=1_000,
    bond_per_lot_micros=500_000,
    buyer_fee_ppm=2_000,
    provider_fee_ppm=3_000,
)


def terms(**changes: object) -> ContractTerms:
    return replace(TERMS, **changes)  # type: ignore[arg-type]


def order(
    order_id: int,
    party: int,
    side: Side,
    price: int,
    lots: int,
    *,
    tif: TimeInForce = TimeInForce.GTC,
    overage_permille: int = 0,
    contract: ContractId = TERMS.contract_id,
    **changes: Any,
) -> Order:
    """An order that pays the fees of `TERMS` in either role, unless `changes` say otherwise."""
    fee_ppm = TERMS.buyer_fee_ppm if side is Side.BUY else TERMS.provider_fee_ppm
    plain = Order(
        OrderId(order_id),
        contract,
        PartyId(party),
        side,
        PriceTicks(price),
        Lots(lots),
        GroupId(party),
        time_in_force=tif,
        overage_permille=overage_permille,
        maker_fee_ppm=fee_ppm,
        taker_fee_ppm=fee_ppm,
    )
    return structs.replace(plain, **changes)
