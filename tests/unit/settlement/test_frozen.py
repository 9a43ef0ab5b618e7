"""What a run is frozen from: one canonical form, and back without loss."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from settlement.make_up import MakeUp
from settlement.metering.completeness_rules import CompletenessState
from settlement.metering.records import CaseKind, Decided, Ruling, Side
from settlement.metering.rules_of_pair import PairRules
from settlement.runs.frozen import (
    FrozenContract,
    FrozenPosition,
    FrozenSchedule,
    FrozenShare,
    FrozenUnmatched,
    FrozenUsage,
    frozen_bytes,
    frozen_digest,
    local,
    portable,
    read_frozen,
)
from settlement.splits import Recipient
from tests.product_terms import TERMS

START = datetime(2026, 12, 1, 14, tzinfo=UTC)
END = START + timedelta(hours=1)
RULES = PairRules(True, frozenset({Side.BUYER}), {CaseKind.FIGURES_DIFFER: Decided(Ruling.PROVIDER, END)})
COMPLETE = {Side.PROVIDER: CompletenessState.COMPLETE, Side.BUYER: CompletenessState.OPEN}
SCHEDULE = FrozenSchedule(
    3,
    (
        FrozenShare("compute", 900_000, Recipient.PROVIDER),
        FrozenShare("power", 100_000, Recipient.PARTY, "power-works"),
    ),
)
EARLIER = {
    "delivered_micros": "7",
    "pay": {"gross_micros": "7", "shares": [{"beneficiary": "power", "party": "power-works"}]},
}
POSITION = FrozenPosition(
    buyer="buyer-1",
    provider="provider-1",
    tokens=100_000,
    notional_micros=2**62,
    provider_fee_picos=2**90,
    bond_micros=5,
    overage_tokens=0,
    overage_hold_micros=0,
    ended=(START + timedelta(minutes=20), "default"),
    schedule=SCHEDULE,
    rules=RULES,
    completeness=COMPLETE,
    usage=FrozenUsage(20, "ab" * 32),
    make_up=(MakeUp("SYMBOL@1", 5, 6, 7, 400),),
    earlier=EARLIER,
)
CONTRACT = FrozenContract(
    symbol="SYMBOL@2",
    currency="CNY",
    product="SYMBOL",
    house="house",
    delivery_start=START,
    delivery_end=END,
    gate_close=START,
    terms=TERMS,
    terms_hash="00",
    obligations_hash="11",
    reference_price_micros=4_200_000,
    reference_step="trades",
    watermarks=({"meter": "meter/1", "sequence": "1"},),
    force_majeure={"provider-1": ((START, END),)},
    positions=(POSITION, replace(POSITION, buyer="buyer-2", ended=None, make_up=(), earlier=None)),
    unmatched=(FrozenUnmatched("buyer-3", "provider-1", PairRules(), {}, FrozenUsage(1, "cd" * 32)),),
    disputes=({"number": 4},),
    usage_through=2**63 - 1,
    suspends=True,
    rules_version="4",
    code_version="0123456789abcdef",
)


def test_it_comes_back_as_it_was() -> None:
    content = frozen_bytes(CONTRACT)
    assert read_frozen(content) == CONTRACT
    assert frozen_bytes(read_frozen(content)) == content


def test_its_bytes_are_canonical() -> None:
    assert frozen_bytes(CONTRACT) == rfc8785.dumps(CONTRACT.to_json())


@given(st.text(max_size=12))
def test_they_are_with_any_text(text: str) -> None:
    contract = replace(CONTRACT, reference_step=text)
    assert frozen_bytes(contract) == rfc8785.dumps(contract.to_json())


def test_whatever_is_read_changes_the_digest() -> None:
    whole = frozen_digest(frozen_bytes(CONTRACT))
    changes: list[dict[str, Any]] = [
        {"usage_through": 5},
        {"suspends": False},
        {"reference_price_micros": 4_200_001},
        {"force_majeure": {}},
        {"code_version": "x"},
        {"positions": (POSITION,)},
        {"positions": (replace(POSITION, usage=FrozenUsage(20, "ac" * 32)), CONTRACT.positions[1])},
    ]
    for change in changes:
        assert frozen_digest(frozen_bytes(replace(CONTRACT, **change))) != whole


def test_earlier_outcomes_name_parties_by_code_and_find_them_again() -> None:
    record = {
        "pay": {"gross_micros": "7", "shares": [{"micros": "7", "party_id": 9}, {"micros": "0", "party_id": None}]}
    }
    told = portable(record, {9: "power-works"})
    assert [share["party"] for share in told["pay"]["shares"]] == ["power-works", ""]
    assert local(told, {"power-works": 9}) == record
