"""Whether the sequencers run, and how far behind they are."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from exchange.selectors.operations import SequencerView, list_sequencers
from ledger.clock import get_clock

MAX_LAG_SECONDS = 10


class Command(BaseCommand):
    help = "How far each shard's sequencer is. The exit status is 1 when one does not run, or lags too far behind."
    requires_system_checks: list[str] = []  # noqa: RUF012  # a monitor asks often

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON document")
        parser.add_argument(
            "--max-lag",
            type=int,
            default=MAX_LAG_SECONDS,
            metavar="SECONDS",
            help=f"how long the oldest command may have waited (default {MAX_LAG_SECONDS})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = get_clock().now()
        sequencers = list_sequencers()
        told = [_told(each, each.lag_ms(now)) for each in sequencers]
        if options["json"]:
            self.stdout.write(json.dumps(told, indent=2))
        else:
            for each in told:
                self.stdout.write("  ".join(f"{name} {value}" for name, value in each.items()))
        if any(not each.running or each.lag_ms(now) > options["max_lag"] * 1_000 for each in sequencers):
            raise SystemExit(1)


def _told(sequencer: SequencerView, lag_ms: int) -> dict[str, Any]:
    ran_at = sequencer.last_ran_at
    return {
        "shard": sequencer.shard,
        "running": sequencer.running,
        "epoch": sequencer.epoch,
        "cursor": sequencer.cursor,
        "waiting": sequencer.waiting,
        "lag_ms": lag_ms,
        "last_batch_at": None if ran_at is None else ran_at.isoformat(),
    }
