"""The two positions whose every figure is known by hand, and helpers to build others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from settlement.calculation import MinuteUse, PositionInput, PositionTerms
from settlement.postings import PartyRef, PositionAccounts
from settlement.splits import Recipient, Share, ShareSchedule

WINDOW_START = datetime(2026, 12, 1, 14, tzinfo=UTC)
POWER_PARTY, MODEL_PARTY, COMPUTE_PARTY = 31, 32, 33

SCHEDULE = ShareSchedule(
    version=1,
    shares=(
        Share("compute", 700_000, Recipient.PARTY, COMPUTE_PARTY),
        Share("model", 200_000, Recipient.PARTY, MODEL_PARTY),
        Share("power", 100_000, Recipient.PARTY, POWER_PARTY),
    ),
)
PROVIDER_FEE_PPM = 3_000
TERMS = PositionTerms(
    window_seconds=3600,
    max_request_tokens=100_000,
    burst_permille=1500,
    take_or_pay_permille=600,
    damages_permille=500,
    buyer_fee_ppm=2_000,
    schedule=SCHEDULE,
)
ACCOUNTS = PositionAccounts(
    contract="QWEN3-235B.CN-EAST.STD@20261201T14/1H",
    contract_asset_id=2,
    currency_id=1,
    house_id=10,
    buyer=PartyRef(21, "buyer-a"),
    provider=PartyRef(22, "provider-p"),
    bond_hold_ref="bond/1",
    overage_hold_ref="overage/1",
)


def use(delivered: int, refused: int = 0, minute: int = 0) -> MinuteUse:
    """Use of whole contract tokens in a minute of the window."""
    return MinuteUse(WINDOW_START + timedelta(minutes=minute), delivered * 1000, refused * 1000)


# 100,000 tokens at 4.20 per million.
EXAMPLE_1 = PositionInput(
    tokens=100_000,
    notional_micros=420_000,
    provider_fee_picos=420_000 * PROVIDER_FEE_PPM,
    minutes=(use(80_000), use(0, 5_000, minute=1)),
    reference_price_micros=4_200_000,
    bond_micros=1_000_000,
)
# 20,000 at 4.21 and 30,000 at 4.27; the market went up to 5.00.
EXAMPLE_2 = PositionInput(
    tokens=50_000,
    notional_micros=84_200 + 128_100,
    provider_fee_picos=84_200 * PROVIDER_FEE_PPM + 128_100 * PROVIDER_FEE_PPM,
    minutes=(use(33_333), use(0, 1_111, minute=1)),
    reference_price_micros=5_000_000,
    bond_micros=1_000_000,
)
