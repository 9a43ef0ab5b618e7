"""A process that puts commands into the line at a steady rate, as web processes do for many clients at once.

    python -m tests.bench.exchange.loader RATE

Works on DATABASE_URL until it is stopped. Every few milliseconds it inserts what is due by then in one transaction.
"""

from __future__ import annotations

import random
import sys
import time
from datetime import UTC, datetime
from itertools import islice

EVERY_SECONDS = 0.005


def load(rate: int) -> None:
    """Insert `rate` commands a second."""
    from exchange.sequencer.intake import Submission, submit_all
    from tests.bench.exchange.flow import Flow
    from tests.bench.exchange.world import ACTOR, find_world

    flow = Flow(find_world(), random.Random(rate))
    commands = flow.commands()
    numbers: dict[int, int] = {}  # an order without a number yet counts as order 0, whose cancel is refused
    started, sent = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - started) * rate) - sent
        drawn = list(islice(commands, due))
        submissions = [
            Submission(each.kind, each.contract_id, ACTOR, each.payload(numbers.pop(each.target, 0)), each.party_id)
            for each in drawn
        ]
        seqs = submit_all(submissions, now=datetime.now(UTC))
        numbers.update((each.number, seq) for each, seq in zip(drawn, seqs, strict=True) if each.order is not None)
        sent += due
        time.sleep(EVERY_SECONDS)


if __name__ == "__main__":
    import django

    django.setup()
    load(int(sys.argv[1]))
