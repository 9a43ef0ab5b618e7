"""The sequencer process."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from exchange.models import SHARDS
from exchange.sequencer.loop import Sequencer
from ledger.clock import get_clock


class Command(BaseCommand):
    help = "Match what waits in the line, and make it durable, until told to stop."
    requires_system_checks: list[str] = []  # noqa: RUF012  # a restart after a crash must not wait for them

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--shard", type=int, choices=range(1, SHARDS + 1), default=1, help="whose contracts it is for"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()

        def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, ask_to_stop)
        Sequencer(get_clock(), options["shard"], owns_process=True).run(stop)
