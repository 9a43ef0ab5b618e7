from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import transaction

from ledger.models import ActionLog
from settlement.commands.review_bias import ReviewBias, review_bias
from settlement.errors import ToleranceNotZeroed
from settlement.metering.bias_register import RegisterKey, zeroed_pairs
from settlement.metering.reconcile_queue import LAG
from settlement.metering.records import CaseKind
from settlement.models import BiasDecision, BiasStep, DiscrepancyCase, PairReconciliation
from tests.integration.settlement.trading_day import END, START, TradingDay
from tests.integration.settlement.usage_rows import BUYER, LATER, PROVIDER, UsageRows, only_case, reconcile


def shave(rows: UsageRows, count: int, *, contract_id: int = 0, at: datetime = START, prefix: str = "s") -> None:
    """A provider adds half of what the tolerance allows to every answer."""
    with transaction.atomic():
        for number in range(count):
            for meter, output in ((PROVIDER, 401), (BUYER, 400)):
                rows.keep(
                    meter,
                    f"{prefix}{number}",
                    output_visible=output,
                    input_uncached=5_000,
                    contract_id=contract_id,
                    at=at,
                )


def test_shaving_inside_the_tolerance_takes_it_away_from_the_next_window_on(day: TradingDay, rows: UsageRows) -> None:
    following = day.list_window(END + timedelta(hours=3))
    key = RegisterKey(day.parties["provider-1"].id, day.parties["buyer-1"].id, day.product.id)
    pair = (key.buyer_id, key.provider_id)
    shave(rows, 29)
    reconcile(day)
    assert not BiasDecision.objects.exists()
    assert not DiscrepancyCase.objects.exists()
    shave(rows, 1, prefix="t")
    reconcile(day)
    decision = BiasDecision.objects.get()
    assert (decision.step, decision.effective_from) == (BiasStep.ZEROED, LATER)
    assert decision.figures["leaning"] == ["output_visible"]
    assert decision.figures["buckets"]["output_visible"] == {"difference": "30", "tolerance": "60", "differing": "30"}
    assert ActionLog.objects.filter(action="zero_tolerance").count() == 1
    # The window itself had its tolerance when it began; later ones have none.
    assert zeroed_pairs(day.product.id, at=day.contract.delivery_start) == frozenset()
    assert zeroed_pairs(day.product.id, at=following.delivery_start) == {pair}
    day.clock.at = following.delivery_end + LAG
    shave(rows, 40, contract_id=following.id, at=following.delivery_start)
    reconcile(day, following.id)
    case = only_case()
    assert (case.contract_id, case.kind, case.requests) == (following.id, CaseKind.FIGURES_DIFFER, 40)
    assert case.settled_millitokens == case.buyer_millitokens
    kept = PairReconciliation.objects.get(contract_id=following.id)
    assert (kept.tolerance_zero, kept.compared_requests) == (True, 40)
    assert BiasDecision.objects.count() == 1


def test_after_a_review_the_register_counts_anew(day: TradingDay, rows: UsageRows) -> None:
    following = day.list_window(END + timedelta(hours=3))
    shave(rows, 30)
    reconcile(day)
    provider_id, buyer_id = day.parties["provider-1"].id, day.parties["buyer-1"].id
    command = ReviewBias(provider_id, buyer_id, day.product.id, "A tokenizer was out of date; it was replaced.")
    day.clock.at += timedelta(minutes=1)
    restored = review_bias(command, actor="one", now=day.clock.at)
    assert restored.effective_from == day.clock.at
    assert zeroed_pairs(day.product.id, at=following.delivery_start) == frozenset()
    with pytest.raises(ToleranceNotZeroed):
        review_bias(command, actor="one", now=day.clock.at)
    # What leaned before the review is no reason any more.
    rows.both("late", 400, 400)
    reconcile(day)
    assert BiasDecision.objects.count() == 2
    day.clock.at = following.delivery_end + LAG
    shave(rows, 29, contract_id=following.id, at=following.delivery_start)
    reconcile(day, following.id)
    assert BiasDecision.objects.count() == 2
    shave(rows, 1, contract_id=following.id, at=following.delivery_start, prefix="t")
    reconcile(day, following.id)
    assert BiasDecision.objects.count() == 3
