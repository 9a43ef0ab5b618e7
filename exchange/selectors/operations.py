"""The exchange at work, for operators and auditors: how far each shard's sequencer is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Min

from exchange.models import OPEN_STATES, Contract, ExchangeHead, SequencerState
from exchange.sequencer.intake import waiting_commands
from exchange.sequencer.lease import held_shards

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class SequencerView:
    """Where a shard stands; `waiting` commands are taken in and not decided, `running` says if anybody decides them.

    `last_batch` and `last_fill` are of the whole exchange.
    """

    shard: int
    epoch: int
    running: bool
    cursor: int
    last_batch: int
    last_fill: int
    last_ran_at: datetime | None
    waiting: int
    oldest_waiting_at: datetime | None

    def lag_ms(self, now: datetime) -> int:
        """How long the oldest command has been waiting."""
        return 0 if self.oldest_waiting_at is None else max(0, (now - self.oldest_waiting_at) // MILLISECOND)


def list_sequencers() -> list[SequencerView]:
    """Every shard that has contracts in trade, commands that wait, or a sequencer; and the first in any case."""
    head = ExchangeHead.objects.get()
    held = held_shards()
    lines = waiting_commands().order_by().values_list("shard").annotate(Count("seq"), Min("received_at"))
    waiting = {shard: (count, oldest) for shard, count, oldest in lines}
    trading = set(Contract.objects.filter(state__in=OPEN_STATES).order_by().values_list("shard", flat=True).distinct())
    return [
        SequencerView(
            shard=state.shard,
            epoch=state.epoch,
            running=state.shard in held,
            cursor=state.cursor,
            last_batch=head.last_batch,
            last_fill=head.last_fill,
            last_ran_at=state.last_ran_at,
            waiting=waiting.get(state.shard, (0, None))[0],
            oldest_waiting_at=waiting.get(state.shard, (0, None))[1],
        )
        for state in SequencerState.objects.order_by("shard")
        if state.shard == 1 or state.shard in held | waiting.keys() | trading
    ]


def get_sequencer(shard: int = 1) -> SequencerView:
    """One of them."""
    return next(each for each in list_sequencers() if each.shard == shard)


def metrics_text(sequencers: list[SequencerView], now: datetime) -> str:
    """The same figures in Prometheus' text format."""
    gauges: dict[str, list[tuple[int, int]]] = {
        "running": [(each.shard, int(each.running)) for each in sequencers],
        "epoch": [(each.shard, each.epoch) for each in sequencers],
        "cursor": [(each.shard, each.cursor) for each in sequencers],
        "waiting_commands": [(each.shard, each.waiting) for each in sequencers],
        "lag_milliseconds": [(each.shard, each.lag_ms(now)) for each in sequencers],
        "last_batch_timestamp_milliseconds": [
            (each.shard, (each.last_ran_at - EPOCH) // MILLISECOND)
            for each in sequencers
            if each.last_ran_at is not None
        ],
    }
    lines = []
    for name, values in gauges.items():
        lines.append(f"# TYPE tokenbourse_sequencer_{name} gauge")
        lines += [f'tokenbourse_sequencer_{name}{{shard="{shard}"}} {value}' for shard, value in values]
    return "\n".join(lines) + "\n"
