"""Watermarks as they are taken in: in the order their meter counts them, none contradicting another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Cursor

from ledger.packing import pack_digests, pack_instants, pack_int8, pack_texts
from settlement.metering.decode import BadEvent
from settlement.metering.judge import JudgedWatermark
from settlement.metering.results import RejectCode

# Taken by meter and contract, since which watermarks fit depends on those that another call is writing.
_LOCK = """
SELECT pg_advisory_xact_lock(key)
  FROM (SELECT DISTINCT hashtextextended(format('usage watermarks %%s %%s', meter_id, contract_id), 0) AS key
          FROM unnest(%s::bigint[], %s::bigint[]) AS pair(meter_id, contract_id)
         ORDER BY key OFFSET 0) AS keys
"""
_READ = """
SELECT meter_id, contract_id, sequence, up_to, event_id FROM settlement_usagewatermark
 WHERE (meter_id, contract_id) IN (SELECT * FROM unnest(%s::bigint[], %s::bigint[]))
"""
_WRITE = """
INSERT INTO settlement_usagewatermark (meter_id, contract_id, sequence, up_to, events, root, event_id, batch_id,
                                       received_at)
SELECT meter_id, contract_id, sequence, up_to, events, root, event_id, %s, %s
  FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::bigint[], %s::bytea[], %s::text[])
       AS watermark(meter_id, contract_id, sequence, up_to, events, root, event_id)
"""


class _Known(NamedTuple):
    sequence: int
    up_to: datetime
    event_id: str


class KnownWatermarks:
    """The watermarks of some meters and contracts, with those of a call as they are checked."""

    def __init__(self, cursor: Cursor[Any], judged: Sequence[JudgedWatermark]) -> None:
        """Reads them, in a transaction: until it ends, no other call adds to them."""
        pairs = sorted({(each.meter_id, each.contract_id) for each in judged})
        columns = [pack_int8([meter_id for meter_id, _ in pairs]), pack_int8([contract_id for _, contract_id in pairs])]
        cursor.execute(_LOCK, columns)
        cursor.execute(_READ, columns)
        self._known: defaultdict[tuple[int, int], list[_Known]] = defaultdict(list)
        for meter_id, contract_id, *known in cursor.fetchall():
            self._known[meter_id, contract_id].append(_Known(*known))

    def check(self, judged: JudgedWatermark) -> None:
        """Raises `BadEvent` for a watermark that contradicts one before; those with its id are told apart later."""
        report = judged.report
        all_known = self._known[judged.meter_id, judged.contract_id]
        if any(known.event_id == report.event_id for known in all_known):
            return
        for known in all_known:
            if known.sequence == report.sequence:
                raise _out_of_order(f"Sequence {report.sequence} came before under another id.")
            if (known.sequence < report.sequence) != (known.up_to <= report.up_to) and known.up_to != report.up_to:
                raise _out_of_order(f"up_to goes back between sequences {known.sequence} and {report.sequence}.")
        all_known.append(_Known(report.sequence, report.up_to, report.event_id))


def keep_watermarks(
    cursor: Cursor[Any], new: Sequence[JudgedWatermark], *, batch_id: int, received_at: datetime
) -> None:
    """Write down watermarks that were checked and whose identity is new."""
    if not new:
        return
    reports = [judged.report for judged in new]
    cursor.execute(
        _WRITE,
        [
            batch_id,
            received_at,
            pack_int8([judged.meter_id for judged in new]),
            pack_int8([judged.contract_id for judged in new]),
            pack_int8([report.sequence for report in reports]),
            pack_instants([report.up_to for report in reports]),
            pack_int8([report.events for report in reports]),
            pack_digests([report.root for report in reports]),
            pack_texts([report.event_id for report in reports]),
        ],
    )


def _out_of_order(message: str) -> BadEvent:
    return BadEvent(RejectCode.WATERMARK_OUT_OF_ORDER, message)
