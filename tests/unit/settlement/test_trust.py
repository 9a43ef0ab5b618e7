from __future__ import annotations

import pytest

from settlement.metering.buckets import Bucket, TrustClass
from settlement.metering.records import Side
from settlement.metering.trust import trust_of

GATEWAY, PROVIDER, BUYER = Side.GATEWAY, Side.PROVIDER, Side.BUYER
BOTH = frozenset({PROVIDER, BUYER})
TEXT = (Bucket.INPUT_UNCACHED, Bucket.OUTPUT_VISIBLE)
INSIDE = (
    Bucket.INPUT_CACHE_READ,
    Bucket.INPUT_CACHE_WRITE_SHORT,
    Bucket.INPUT_CACHE_WRITE_LONG,
    Bucket.OUTPUT_REASONING,
)


def _named(sides: set[Side]) -> str:
    """The same in every process, as sets are not."""
    return "+".join(sorted(sides))


@pytest.mark.parametrize("sides", [BOTH, {PROVIDER}, {BUYER}, {GATEWAY}, {GATEWAY, *BOTH}], ids=_named)
def test_text_under_a_public_tokenizer_is_recomputable_whoever_counted_it(sides: set[Side]) -> None:
    for bucket in TEXT:
        assert trust_of(bucket, frozenset(sides), public_tokenizer=True) is TrustClass.RECOMPUTABLE


@pytest.mark.parametrize("public_tokenizer", [True, False])
def test_what_happens_inside_the_provider_needs_a_gateway(public_tokenizer: bool) -> None:
    for bucket in INSIDE:
        assert trust_of(bucket, BOTH, public_tokenizer=public_tokenizer) is TrustClass.ASSERTED
        assert trust_of(bucket, BOTH | {GATEWAY}, public_tokenizer=public_tokenizer) is TrustClass.WITNESSED
        assert trust_of(bucket, frozenset({GATEWAY}), public_tokenizer=public_tokenizer) is TrustClass.WITNESSED


def test_a_witness_is_a_second_meter() -> None:
    for bucket in (*TEXT, Bucket.INPUT_TOOL):
        assert trust_of(bucket, BOTH, public_tokenizer=False) is TrustClass.WITNESSED
        for alone in (PROVIDER, BUYER):
            assert trust_of(bucket, frozenset({alone}), public_tokenizer=False) is TrustClass.ASSERTED
    assert trust_of(Bucket.INPUT_TOOL, frozenset({PROVIDER}), public_tokenizer=True) is TrustClass.ASSERTED


def test_nobody_witnesses_what_the_provider_does_not_explain() -> None:
    everybody = frozenset(Side)
    assert trust_of(Bucket.UNEXPLAINED, everybody, public_tokenizer=True) is TrustClass.ASSERTED
