"""The bias register of (provider, buyer, product): which pairs have no tolerance left, and who joins them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection
from django.db.models import QuerySet

from settlement.metering.bias import Bias, BucketBias, no_bias
from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.models import BiasDecision, BiasStep, PairReconciliation

REGISTER_SPAN = timedelta(days=30)
_LOCK = 0x746B_0003  # decisions are made one after the other


class RegisterKey(NamedTuple):
    """Whose register it is."""

    provider_id: int
    buyer_id: int
    product_id: int


def zeroed_pairs(product_id: int, *, at: datetime, as_of: datetime | None = None) -> frozenset[tuple[int, int]]:
    """(buyer, provider) whose tolerance is zero for windows of a product that start at an instant, as decided `as_of`,
    or now."""
    decided = BiasDecision.objects.filter(product_id=product_id, effective_from__lte=at)
    latest = (
        (decided if as_of is None else decided.filter(decided_at__lte=as_of))
        .order_by("provider_id", "buyer_id", "-effective_from", "-id")
        .distinct("provider_id", "buyer_id")
        .values_list("buyer_id", "provider_id", "step")
    )
    return frozenset((buyer_id, provider_id) for buyer_id, provider_id, step in latest if step == BiasStep.ZEROED)


def lock_decisions() -> None:
    """Until the transaction ends, nobody else changes a tolerance."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def latest_decision(key: RegisterKey) -> BiasDecision | None:
    """The last change of a pair's tolerance."""
    return BiasDecision.objects.filter(**key._asdict()).order_by("-effective_from", "-id").first()


def register_rows(key: RegisterKey, *, until: datetime) -> QuerySet[PairReconciliation]:
    """What the register holds for a window that starts then: the last reconciliation of each contract of the pair that
    started in the 30 days up to it, and not before the tolerance was last restored.
    """
    rows = PairReconciliation.objects.filter(
        **key._asdict(), delivery_start__gt=until - REGISTER_SPAN, delivery_start__lte=until
    )
    decided = latest_decision(key)
    if decided is not None and decided.step == BiasStep.RESTORED:
        rows = rows.filter(delivery_start__gte=decided.effective_from)
    return rows.order_by("contract_id", "-revision").distinct("contract_id")


def register_of(key: RegisterKey, *, until: datetime) -> Bias:
    """The register of a pair, for a window that starts then. Summed in the database: there may be hundreds."""
    ids = list(register_rows(key, until=until).values_list("id", flat=True))
    total = no_bias()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT bucket.name, sum((bucket.figures ->> 'difference')::numeric),
                   sum((bucket.figures ->> 'tolerance')::numeric), sum((bucket.figures ->> 'differing')::numeric)
              FROM settlement_pairreconciliation AS pair
             CROSS JOIN LATERAL jsonb_each(pair.figures -> 'bias') AS bucket(name, figures)
             WHERE pair.id = ANY(%s) GROUP BY bucket.name
            """,
            [ids],
        )
        sums = {name: BucketBias(*map(int, figures)) for name, *figures in cursor.fetchall()}
        total.buckets = tuple(sums.get(bucket.value, BucketBias()) for bucket in SETTLED_BUCKETS)
        cursor.execute(
            """
            SELECT coalesce(sum(compared_requests), 0), coalesce(sum(differing_requests), 0),
                   coalesce(sum(difference_millitokens), 0), coalesce(sum(tolerance_millitokens), 0)
              FROM settlement_pairreconciliation WHERE id = ANY(%s)
            """,
            [ids],
        )
        (
            total.compared,
            total.differing,
            total.difference_millitokens,
            total.tolerance_millitokens,
        ) = map(int, cursor.fetchone())
    return total


def judge_pair(key: RegisterKey, *, until: datetime, actor: str, now: datetime) -> BiasDecision | None:
    """Take the tolerance from a pair whose figures lean one way inside it, for windows that start from now on.

    Call `lock_decisions` before, in the same transaction.
    """
    decided = latest_decision(key)
    if decided is not None and decided.step == BiasStep.ZEROED:
        return None
    register = register_of(key, until=until)
    leaning = register.leaning
    if not leaning:
        return None
    figures = {
        "leaning": [bucket.value for bucket in leaning],
        "buckets": register.as_dict(),
        "compared_requests": str(register.compared),
        "differing_requests": str(register.differing),
    }
    return BiasDecision.objects.create(
        **key._asdict(), step=BiasStep.ZEROED, effective_from=now, decided_at=now, decided_by=actor, figures=figures
    )
