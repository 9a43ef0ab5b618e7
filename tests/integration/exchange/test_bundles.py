"""Commands that were sent together: in the line behind each other, decided in one transaction, answered one by one."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from exchange.errors import ClientOrderIdConflict
from exchange.models import Intake, IntakeKind, IntakeResult, SequencerBatch, SetAside
from exchange.sequencer.intake import MAX_BUNDLE, Submission, Submitted, submit_bundle
from exchange.sequencer.loop import Sequencer
from exchange.sequencer.results import find_result
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.commands import about, order, put, status_of
from tests.integration.exchange.market import NOW, START, Market


def bundled(market: Market, *submissions: Submission) -> list[int]:
    """The numbers of a bundle in which nothing is repeated."""
    sent = submit_bundle(submissions, now=market.clock.at)
    return [each.seq for each in sent if isinstance(each, Submitted)]


def batch_of(seq: int) -> int:
    return IntakeResult.objects.get(seq=seq).batch_no


def test_a_bundle_is_one_batch_with_a_result_for_each(market: Market) -> None:
    buyer = market.party("buyer-1")
    market.offer(3, 400)
    resting = put(market, order(market, buyer, "buy", 1, 390))
    market.results([resting])
    seqs = bundled(
        market,
        order(market, buyer, "buy", 2, 400),
        order(market, buyer, "buy", 1, 395),
        about(market, IntakeKind.AMEND_ORDER, buyer, order_id=resting, price_ticks=391, lots=1),
        about(market, IntakeKind.CANCEL_ORDER, buyer, order_id=999_999),
    )
    assert seqs == list(range(seqs[0], seqs[0] + 4))
    assert list(Intake.objects.filter(seq__in=seqs).order_by("seq").values_list("bundle_left", flat=True)) == [
        *(3, 2, 1, 0),
    ]
    answers = market.results(seqs)
    assert [answer.get("order_status", answer.get("code")) for answer in answers] == [
        *("filled", "open", "open", "order_not_open"),
    ]
    assert len({batch_of(seq) for seq in seqs}) == 1
    check_exchange()


@pytest.mark.parametrize("max_batch", [1, 2, 3, 4, 1_024])
def test_no_batch_parts_a_bundle(market: Market, max_batch: int) -> None:
    buyer = market.party("buyer-1")
    alone = put(market, order(market, buyer, "buy", 1, 380))
    first = bundled(market, *(order(market, buyer, "buy", 1, 381 + i) for i in range(3)))
    second = bundled(market, *(order(market, buyer, "buy", 1, 391 + i) for i in range(3)))
    sequencer = Sequencer(market.clock, max_batch=max_batch)
    sequencer.take_over(threading.Event())
    while sequencer.step():
        pass
    for bundle in (first, second):
        assert len({batch_of(seq) for seq in bundle}) == 1
    assert (batch_of(alone) == batch_of(first[0])) is (max_batch >= 4)
    check_exchange()


def test_the_largest_bundle_fits_a_batch(market: Market) -> None:
    buyer = market.party("buyer-1", micros=2_000_000_000)
    before = SequencerBatch.objects.count()
    seqs = bundled(market, *(order(market, buyer, "buy", 1, 1 + i) for i in range(MAX_BUNDLE)))
    answers = market.results(seqs)
    assert {answer["order_status"] for answer in answers} == {"open"}
    assert SequencerBatch.objects.count() == before + 1
    with pytest.raises(ValueError, match="at most 1000"):
        submit_bundle([order(market, buyer, "buy", 1, 1)] * (MAX_BUNDLE + 1), now=NOW)


def test_repeats_and_conflicts_are_told_item_by_item(market: Market) -> None:
    buyer = market.party("buyer-1")
    before = put(market, order(market, buyer, "buy", 1, 390, client_order_id="a"))
    sent = submit_bundle(
        [
            order(market, buyer, "buy", 1, 390, client_order_id="a"),
            order(market, buyer, "buy", 2, 390, client_order_id="a"),
            order(market, buyer, "buy", 1, 391, client_order_id="b"),
            order(market, buyer, "buy", 1, 391, client_order_id="b"),
            order(market, buyer, "buy", 1, 392, client_order_id="b"),
        ],
        now=NOW,
    )
    assert sent[0] == Submitted(before, repeated=True)
    assert isinstance(sent[1], ClientOrderIdConflict)
    assert sent[1].fields["field"] == "lots"
    assert isinstance(sent[2], Submitted)
    assert sent[3] == Submitted(sent[2].seq, repeated=True)
    assert isinstance(sent[4], ClientOrderIdConflict)
    assert Intake.objects.filter(party_id=buyer.id).count() == 2
    assert market.results([sent[2].seq])[0]["order_status"] == "open"


def test_a_poisoned_item_does_not_take_its_bundle_along(market: Market) -> None:
    buyer = market.party("buyer-1")
    broken = Submission(IntakeKind.PLACE_ORDER, market.contract.id, "t", {"side": "buy"}, buyer.id)
    seqs = bundled(market, order(market, buyer, "buy", 1, 390), broken, order(market, buyer, "buy", 1, 391))
    answers = market.results(seqs)
    assert [answer["status"] for answer in answers] == ["accepted", "failed", "accepted"]
    assert len({batch_of(seq) for seq in seqs}) == 1
    told = SetAside.objects.get()
    assert (told.seq, told.batch_no) == (seqs[1], batch_of(seqs[1]))
    assert "KeyError" in told.reason
    answer = find_result(seqs[1])
    assert answer is not None
    assert "KeyError" not in str(answer)
    check_exchange()


def test_a_gate_closure_behind_a_bundle_ends_its_batch(market: Market) -> None:
    buyer = market.party("buyer-1")
    seqs = bundled(market, *(order(market, buyer, "buy", 1, 380 + i) for i in range(2)))
    closing = put(market, about(market, IntakeKind.CLOSE_GATE, buyer, market.contract))
    market.clock.at = START - timedelta(minutes=30)
    market.results([*seqs, closing])
    assert batch_of(closing) == batch_of(seqs[0]) + 1
    assert {status_of(seq)[:2] for seq in seqs} == {("rejected", "contract_closed")}
    check_exchange()
