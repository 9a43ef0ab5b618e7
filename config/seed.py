"""`python -m config.seed`: the first market of a database: products, parties, capacity, money, logins and keys.

Sets up an empty database and prints each login and API key, once; a database with a market is left as it is. The bots
of the live market get keys of their own, kept 0600 in the local folder and made anew when they no longer work.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from config.environment import read_environment


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from config import first_market  # knows models, so the settings come first
    from ledger.clock import get_clock
    from ledger.keys.ring import ensure_current_key
    from settlement.payments.pots import open_pots

    now = get_clock().now()
    ensure_current_key(actor="setup", now=now)  # also puts on record what an earlier release left without
    first_market.seed(partial(print, flush=True), now=now)
    open_pots(actor="setup", now=now)  # a market of an earlier release has none
    first_market.keep_bot_keys(read_environment().local_dir, now=now)
    return 0


if __name__ == "__main__":
    sys.exit(main())
