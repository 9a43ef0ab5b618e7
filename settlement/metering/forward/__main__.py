"""A meter for users: `python -m settlement.metering.forward FILE… --url … --meter … --key-file … --state DIR`."""

from __future__ import annotations

import random
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event

from rich.console import Console

from settlement.metering.forward.address import MarketTime
from settlement.metering.forward.loop import Forwarder
from settlement.metering.forward.options import BadOptions, Options, read_credentials, read_options
from settlement.metering.forward.outbox import Outbox, StateFault
from settlement.metering.forward.progress import Display
from settlement.metering.forward.reading import Reader
from settlement.metering.forward.sending import Sender, Stopped
from settlement.metering.results import ItemStatus

TAKEN, SET_ASIDE, STOPPED = 0, 1, 2
KEPT_ASIDE = (ItemStatus.QUARANTINED, ItemStatus.CONFLICT)  # the exchange has them: told once, not in every run


def main(stop: Event, arguments: Sequence[str] | None = None) -> int:
    """Works until all is done or `stop`. The exit status: all taken, something set aside (by an earlier run also, until
    it is taken or given up), or stopped."""
    console = Console(stderr=True)
    try:
        options = read_options(arguments)
        read_credentials(options.key_file, options.private_key)
        outbox = Outbox(
            options.state, meter=options.form.meter, address=options.address.base, new_address=options.new_address
        )
    except (BadOptions, StateFault, OSError) as error:
        print(error, file=sys.stderr)
        return STOPPED
    try:
        return _forward(options, outbox, console, stop)
    except (BadOptions, Stopped, OSError, sqlite3.Error) as error:  # such as a full disk
        print(f"Stopped: {error}\nNothing is lost: mend it and run the same command again.", file=sys.stderr)
        with suppress(sqlite3.Error):
            _tell_aside(console, options, outbox.count_open())
        return STOPPED
    finally:
        outbox.close()
        options.address.close()


def _forward(options: Options, outbox: Outbox, console: Console, stop: Event) -> int:
    market_time = MarketTime(options.address.ask_time, lambda: datetime.now(UTC), _ticks)
    sender = Sender(
        outbox,
        options.address,
        lambda: read_credentials(options.key_file, options.private_key),
        market_time,
        jitter=lambda: random.randrange(1_000),  # noqa: S311  # spreads calls, guards nothing
        ticks=_ticks,
        patient=options.follow,
    )
    with Display(console, _ticks) as display:
        if options.rejected == "retry":
            display.say(f"{outbox.retry_rejected()} rejected events are sent again.")
        elif options.rejected == "drop":
            display.say(f"{outbox.drop_rejected()} rejected events and unreadable lines are given up.")
        reader = Reader(options.files, outbox, options.form, follow=options.follow, say=display.say)
        try:
            standing = Forwarder(
                outbox,
                reader,
                sender,
                market_time,
                meter=options.form.meter,
                grace=options.grace,
                follow=options.follow,
                show=display.show,
            ).run(stop)
        finally:
            reader.close()
        display.say(standing.text())
    aside = outbox.count_open() + sum(standing.results.get(status, 0) for status in KEPT_ASIDE)
    _tell_aside(console, options, aside)
    if standing.waiting and not options.follow:
        return STOPPED
    return SET_ASIDE if aside else TAKEN


def _tell_aside(console: Console, options: Options, aside: int) -> None:
    if aside:
        told = f"{aside} still set aside, see {options.state / 'rejects.jsonl'}"
        console.print(told, markup=False, highlight=False, soft_wrap=True)


def _ticks() -> int:
    """Milliseconds that only go forward."""
    return time.monotonic_ns() // 1_000_000


if __name__ == "__main__":
    told_to_stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told_to_stop.set())
    sys.exit(main(told_to_stop))
