"""What must be true after a crash, whatever crashed. Every test here ends with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from exchange.market_data.replica import Level, Replica, delta_of_rows
from exchange.matching.types import Side
from exchange.models import SHARDS, BookDelta, Intake, IntakeKind, IntakeResult, Order, SequencerBatch, SetAside
from exchange.replay.run import ReplayReport, replay
from exchange.replay.second_database import made_database
from exchange.sequencer.answers import Answer
from exchange.sequencer.intake import waiting_commands
from exchange.sequencer.state import restore_market
from tests.audits import audit, found_by
from tests.crash.sequencers import wait_until
from tests.integration.exchange.checks import check_exchange

Replay = Callable[[], ReplayReport]


def replay_beside() -> ReplayReport:
    """Into a database that is made for it."""
    with made_database(keep=False) as settings:
        return replay(settings)


def check_all(acknowledged: Mapping[int, Answer], run_replay: Replay) -> None:
    """Nothing acknowledged is lost or changed, nothing was done twice, every invariant holds, and a replay agrees.

    `acknowledged` are the results that clients were told, by command. No sequencer works any more.
    """
    assert not waiting_commands().exists()
    told = dict(IntakeResult.objects.filter(seq__in=acknowledged).values_list("seq", "result"))
    assert told == acknowledged
    _check_line()
    _check_bundles()
    _check_time()
    for shard in range(1, SHARDS + 1):
        _check_books(shard)
    check_exchange()
    assert found_by(audit()) == {}
    report = run_replay()
    assert report.identical, str(report.difference)
    assert report.commands == Intake.objects.count()


def wait_for_expiries() -> None:
    """Until nothing is open that was due when the last batch ran."""

    def over() -> bool:
        last = SequencerBatch.objects.order_by("-no").values_list("ran_at", flat=True)[:1]
        return not Order.objects.filter(status="open", expires_at__lte=last).exists()

    wait_until(over, "orders to expire")


def _check_line() -> None:
    """Every command was decided, once (its number is the key of its result), and every order is one that was placed."""
    assert set(IntakeResult.objects.values_list("seq", flat=True)) == set(Intake.objects.values_list("seq", flat=True))
    placed = Intake.objects.filter(kind=IntakeKind.PLACE_ORDER).values_list("seq", flat=True)
    assert set(Order.objects.values_list("id", flat=True)) == set(placed)
    assert not SetAside.objects.exists()


def _check_bundles() -> None:
    """Each bundle was decided in one transaction: by one epoch, at one instant."""
    batches = {batch.no: batch for batch in SequencerBatch.objects.all()}
    numbers = dict(IntakeResult.objects.values_list("seq", "batch_no"))
    for seq in Intake.objects.filter(bundle_left__gt=0).values_list("seq", flat=True):
        one, two = batches[numbers[seq]], batches[numbers[seq + 1]]
        assert (one.epoch, one.ran_at) == (two.epoch, two.ran_at)


def _check_time() -> None:
    """Batches follow each other without gaps, never back in time, and never by one whose turn was over."""
    ran = list(SequencerBatch.objects.order_by("no").values_list("no", "ran_at", "shard", "epoch"))
    assert [no for no, *_ in ran] == list(range(1, len(ran) + 1))
    assert [at for _, at, *_ in ran] == sorted(at for _, at, *_ in ran)
    for shard in range(1, SHARDS + 1):
        epochs = [epoch for *_, of, epoch in ran if of == shard]
        assert epochs == sorted(epochs)


def _check_books(shard: int) -> None:
    """The books as the sequencers published them, change by change, are those that a restart reads from the orders."""
    market = restore_market(shard)
    market.load_all(shard)  # a crossed or otherwise impossible book raises
    for contract_id, live in market.contracts.items():
        replica = Replica()
        for sequence, content in (
            BookDelta.objects.filter(contract_id=contract_id).order_by("seq").values_list("seq", "content")
        ):
            replica.apply(delta_of_rows(sequence, content))  # a gap raises
        assert replica.sequence == live.book_seq
        for side, levels in ((Side.BUY, replica.bids), (Side.SELL, replica.asks)):
            waiting: dict[int, Level] = {}
            for order, lots in live.book.in_priority():
                if order.side is side:
                    found = waiting.get(order.price_ticks, Level(order.price_ticks, 0, 0))
                    waiting[order.price_ticks] = Level(found.price, found.lots + lots, found.orders + 1)
            assert levels == waiting
