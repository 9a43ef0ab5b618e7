"""Rings for settlement as beat does, for tests: `python -m tests.crash.settlement_bells`.

For each line on its standard input so many messages are sent, and "rung" or the reason why not is printed.
"""

from __future__ import annotations

import sys

import django

RUNG = "rung"
TASK = "settlement.sweep"


def main() -> None:
    django.setup()
    from config.celery import app

    for line in sys.stdin:
        try:
            for _ in range(int(line)):
                app.send_task(TASK, retry=False)
            print(RUNG, flush=True)
        except Exception as error:  # whatever the broker in use raises while it is down
            print(type(error).__name__, flush=True)


if __name__ == "__main__":
    main()
