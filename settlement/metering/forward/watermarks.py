"""Telling the exchange that all of a contract was sent, once its window has ended and a while has passed.

Watermarks of a contract are counted 1, 2, 3 …; a further one follows when something came late. Their ids are made of
contract and number, so a meter that lost its outbox finds the numbers that it used before. What was rejected is counted
as well: it is missing at the exchange, and the window is incomplete as long as that is so.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from settlement.metering.completeness_rules import sorted_root
from settlement.metering.events import WATERMARK_TYPE
from settlement.metering.forward.envelopes import Prepared, micros
from settlement.metering.forward.outbox import Outbox

TAKEN_BACK = timedelta(days=35)  # how far back the exchange takes events
KEPT = timedelta(days=40)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def queue_watermarks(outbox: Outbox, *, meter: str, now: datetime, grace: timedelta, apart: timedelta) -> int:
    """Put the watermarks that are due into the outbox, those of a contract so far `apart`; how many."""
    due = outbox.ended(since=micros(now - TAKEN_BACK), until=micros(now - grace), told_until=micros(now - apart))
    for contract, end in due:
        ids = _Counted(outbox, contract, end)
        root = sorted_root(ids)
        sequence = outbox.last_sequence(contract) + 1
        up_to = (_EPOCH + timedelta(microseconds=end)).isoformat().replace("+00:00", "Z")
        event = {
            "specversion": "1.0",
            "type": WATERMARK_TYPE,
            "source": meter,
            "id": f"watermark/{contract}/{sequence}",
            "time": up_to,
            "data": {
                "contract": contract,
                "up_to": up_to,
                "sequence": sequence,
                "events": ids.count,
                "root": root.hex(),
            },
        }
        prepared = Prepared(str(event["id"]), contract, None, msgspec.json.encode(event))
        outbox.add_watermark(sequence, prepared, made_at=micros(now))
    return len(due)


class _Counted:
    """The ids of a contract's events, counted as they go by: there may be more than fit in memory."""

    def __init__(self, outbox: Outbox, contract: str, up_to: int) -> None:
        self._ids = outbox.told_ids(contract, up_to)
        self.count = 0

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> bytes:
        id = next(self._ids)
        self.count += 1
        return id
