"""What the day's requests come to if all meters are honest, and where a dishonest one must lean. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from config.demo.faults import FAULTY_PROVIDER, Told
from exchange.windows import parse_symbol
from settlement.calculation import MinuteUse
from settlement.metering.bias import Bias, compare, no_bias
from settlement.metering.buckets import SETTLED_BUCKETS, TokenBuckets
from settlement.metering.reconcile import RecordKind, RefusalReason, Side, UsageRecord, reconcile
from settlement.metering.tolerance import within
from settlement.metering.weights import TokenWeights, weigh, weigh_refusal
from settlement.rules import TOLERANCE


def use_by_minute(
    requests: Iterable[Told], weights: TokenWeights, *, refused_output_tokens: int, tolerant: bool
) -> tuple[MinuteUse, ...]:
    """The use of a pair as one meter that sees all would report it.

    `tolerant`: but for tokens that the provider's meter adds inside the tolerance, which settle.
    """
    records = []
    for told in requests:
        buckets = told.by_provider if tolerant and told.shaved_tokens and _inside_tolerance(told) else told.honest
        if told.use.refused:
            size = weigh_refusal(buckets, weights, refused_output_tokens=refused_output_tokens)
            kind, reason = RecordKind.REFUSED, RefusalReason.CAPACITY
        else:
            size, kind, reason = weigh(buckets, weights), RecordKind.COMPLETED, None
        at = told.use.request.at
        records.append(UsageRecord(Side.GATEWAY, kind, told.request_id, at, _counts(buckets), size, reason))
    return reconcile(records, weights=weights, tolerance=TOLERANCE).minutes


class Registers:
    """The bias registers of the faulty provider, by buyer and product, as they must come out."""

    def __init__(self) -> None:
        self._registers: dict[tuple[str, str], Bias] = defaultdict(no_bias)

    def enter(self, told: Told) -> None:
        """A request of anybody's."""
        use = told.use
        if use.holding.provider != FAULTY_PROVIDER or use.refused or told.lost_by or not _inside_tolerance(told):
            return
        product, _ = parse_symbol(use.holding.symbol)
        provider, buyer = _counts(told.by_provider), _counts(told.honest)
        compare(
            self._registers[use.holding.buyer, product],
            provider,
            buyer,
            TOLERANCE.allowed(provider),
            _NO_WEIGHTS,
        )

    def leaning(self) -> set[tuple[str, str]]:
        """Buyers and products that must have no tolerance left at the end of the day."""
        return {pair for pair, register in self._registers.items() if register.leaning}


_NO_WEIGHTS = (0,) * len(SETTLED_BUCKETS)  # only raw tokens are judged


def _inside_tolerance(told: Told) -> bool:
    provider, buyer = _counts(told.by_provider), _counts(told.honest)
    return within(provider, buyer, TOLERANCE.allowed(provider))


def _counts(buckets: TokenBuckets) -> tuple[int, ...]:
    return tuple(buckets.count(bucket) for bucket in SETTLED_BUCKETS)
