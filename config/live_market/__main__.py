"""`python -m config.live_market`: runs the bots until it is ended. Needs the seed, and the web process on `PORT`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from config.environment import read_environment

STEP_SECONDS = 5.0


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from config.first_market import keep_bot_keys  # knows models, so the settings come first
    from config.live_market.bots import LiveMarket
    from ledger.clock import get_clock

    ending = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: ending.set())
    environment, clock = read_environment(), get_clock()
    keys = keep_bot_keys(environment.local_dir, now=clock.now())
    with LiveMarket(f"http://127.0.0.1:{environment.port}", keys) as market:
        logging.getLogger(__name__).info("the live market runs")
        while not ending.wait(STEP_SECONDS):
            market.step(clock.now())
    return 0


if __name__ == "__main__":
    sys.exit(main())
