"""The door for usage: a call's body in, one result an event out.

Meters retry until they get an answer, several workers may get the same call, and one broken event must not hold up the
others. So an event's identity (meter, id) and its data are written in one transaction, in key order, and whoever comes
second finds a duplicate. Nothing is dropped in silence: what cannot be settled is quarantined with its reason, what
cannot even be kept is rejected with one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import OperationalError, transaction
from psycopg import Cursor
from psycopg.errors import DeadlockDetected, SerializationFailure

from ledger.packing import packed_cursor
from settlement.metering.bodies import split_body
from settlement.metering.context import load_context
from settlement.metering.corrections import apply_corrections
from settlement.metering.decode import BadEvent, Report, WatermarkReport, decode_event, event_id_of
from settlement.metering.judge import Judged, JudgedWatermark, judge, judge_watermark
from settlement.metering.results import ItemResult, ItemStatus
from settlement.metering.signed_calls import Signer
from settlement.metering.store import (
    Conflict,
    ensure_partition,
    next_batch_id,
    standing_hashes,
    write_batch,
    write_conflicts,
    write_events,
    write_identities,
)
from settlement.metering.watermarks import KnownWatermarks, keep_watermarks
from settlement.models import UsageBatch

ATTEMPTS = 4  # at a transaction that the database broke off for another's sake

_AGAIN = (DeadlockDetected, SerializationFailure)
_OTHER_CONTENT = "This id came before with other content, which stands. Use a new id for another event."

Keep = Callable[[int], None]


def ingest(
    body: bytes,
    *,
    party_id: int,
    actor: str,
    signer: Signer | None,
    body_digest: bytes,
    now: datetime,
    keep_signed: Keep | None = None,
) -> list[ItemResult]:
    """Take in a body of CloudEvents from meters of a party; results in the order of the events.

    `body` is decompressed; `body_digest` is the SHA-256 of what arrived. Of a call signed by `signer`, `keep_signed`
    writes down the evidence under the call's number, in the same transaction. Commits by itself and may be repeated
    with the same body at any time. Raises what `split_body` does.
    """
    raws = split_body(body)
    results: dict[int, ItemResult] = {}
    reports: dict[int, Report | WatermarkReport] = {}
    for place, raw in enumerate(raws):
        try:
            reports[place] = decode_event(raw)
        except BadEvent as bad:
            results[place] = ItemResult(event_id_of(raw), ItemStatus.REJECTED, bad.code, bad.message)
    ensure_partition(now)
    call = _Call(reports, party_id, None if signer is None else signer.meter_code, now)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(durable=True):
                results |= call.write(actor, body_digest, keep_signed, rejected=len(raws) - len(reports))
            break
        except OperationalError as error:
            if attempt == ATTEMPTS or not isinstance(error.__cause__, _AGAIN):
                raise
    return [results[place] for place in range(len(raws))]


class _Call:
    """The readable events of a call by place, and what they come from."""

    def __init__(
        self, reports: Mapping[int, Report | WatermarkReport], party_id: int, signer: str | None, now: datetime
    ) -> None:
        self._reports = reports
        self._party_id = party_id
        self._signer = signer
        self._now = now

    def write(
        self, actor: str, body_digest: bytes, keep_signed: Keep | None, *, rejected: int
    ) -> dict[int, ItemResult]:
        """Judge and write all, inside a transaction. `rejected`: how many more could not be read."""
        batch_id = next_batch_id()
        with packed_cursor() as cursor:
            items, results = self._judge(cursor)
            self._keep(cursor, items, results, batch_id)
            count = Counter([result.status for result in results.values()])
            batch = UsageBatch(
                id=batch_id,
                party_id=self._party_id,
                actor=actor,
                received_at=self._now,
                body_digest=body_digest,
                accepted=count[ItemStatus.ACCEPTED],
                duplicates=count[ItemStatus.DUPLICATE],
                conflicts=count[ItemStatus.CONFLICT],
                quarantined=count[ItemStatus.QUARANTINED],
                rejected=count[ItemStatus.REJECTED] + rejected,
            )
            write_batch(cursor, batch, rolls_up=batch.accepted > 0)
        if keep_signed is not None:
            keep_signed(batch_id)
        return results

    def _judge(self, cursor: Cursor[Any]) -> tuple[list[Judged | JudgedWatermark], dict[int, ItemResult]]:
        """What may be kept, and why the rest is not."""
        context = load_context(cursor, self._reports.values(), party_id=self._party_id)
        now, signer = self._now, self._signer
        items: list[Judged | JudgedWatermark] = []
        watermarks: list[JudgedWatermark] = []
        rejected: dict[int, ItemResult] = {}
        for place, report in self._reports.items():
            try:
                if type(report) is Report:
                    items.append(judge(place, report, context, now=now, signer=signer))
                elif type(report) is WatermarkReport:
                    watermarks.append(judge_watermark(place, report, context, now=now, signer=signer))
            except BadEvent as bad:
                rejected[place] = _rejected(report, bad)
        if watermarks:
            known = KnownWatermarks(cursor, watermarks)
            for watermark in watermarks:
                try:
                    known.check(watermark)
                    items.append(watermark)
                except BadEvent as bad:
                    rejected[watermark.place] = _rejected(watermark.report, bad)
        return items, rejected

    def _keep(
        self,
        cursor: Cursor[Any],
        items: Sequence[Judged | JudgedWatermark],
        results: dict[int, ItemResult],
        batch_id: int,
    ) -> None:
        """Write what is new, and answer for all."""
        new = write_identities(cursor, items, batch_id=batch_id)
        if len(new) < len(items):
            _answer_known(cursor, [item for item in items if item.place not in new], results, self._now)
            items = [item for item in items if item.place in new]
        events = [item for item in items if type(item) is Judged]
        apply_corrections(cursor, events, batch_id=batch_id)
        write_events(cursor, events, batch_id=batch_id, received_at=self._now)
        watermarks = [item for item in items if type(item) is JudgedWatermark]
        keep_watermarks(cursor, watermarks, batch_id=batch_id, received_at=self._now)
        for item in watermarks:
            results[item.place] = ItemResult(item.report.event_id, ItemStatus.ACCEPTED, ItemStatus.ACCEPTED)
        for event in events:
            if event.reason is None:
                result = ItemResult(event.report.event_id, ItemStatus.ACCEPTED, ItemStatus.ACCEPTED)
            else:
                result = ItemResult(event.report.event_id, ItemStatus.QUARANTINED, event.reason, event.detail)
            results[event.place] = result


def _answer_known(
    cursor: Cursor[Any], items: Sequence[Judged | JudgedWatermark], results: dict[int, ItemResult], now: datetime
) -> None:
    """What came before: the same again is fine, other content is kept as evidence."""
    standing = standing_hashes(cursor, items)
    conflicts = []
    for item in items:
        event_id, first_hash = item.report.event_id, standing[item.place]
        if first_hash == item.report.content_hash:
            results[item.place] = ItemResult(event_id, ItemStatus.DUPLICATE, ItemStatus.DUPLICATE)
        else:
            conflicts.append(Conflict(item, first_hash))
            results[item.place] = ItemResult(event_id, ItemStatus.CONFLICT, ItemStatus.CONFLICT, _OTHER_CONTENT)
    write_conflicts(cursor, conflicts, now)


def _rejected(report: Report | WatermarkReport, bad: BadEvent) -> ItemResult:
    return ItemResult(report.event_id, ItemStatus.REJECTED, bad.code, bad.message)
