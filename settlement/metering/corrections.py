"""Corrections: which stored event each replaces, and that each is replaced once.

Looked at when the identities of the call are written, so that what another call wrote meanwhile is seen, and before its
events are, since a correction that fits nothing is kept aside and events cannot be changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg import Cursor

from ledger.packing import pack_int8, pack_texts
from settlement.metering.judge import Judged
from settlement.metering.results import IntakeQuarantine

# What is told before a correction's own reasons: there is no need to look at what it replaces.
_TOLD_BEFORE = frozenset(
    {
        IntakeQuarantine.TOO_OLD,
        IntakeQuarantine.IN_FUTURE,
        IntakeQuarantine.OUTSIDE_WINDOW,
        IntakeQuarantine.AFTER_FINAL_RUN,
    }
)
# A row of each identity asked for that is stored as an event, by way of its place: reading events has no other index.
_FIND = """
SELECT asked.meter_id, asked.event_id, event.contract_id, event.buyer_id, event.provider_id, event.request_id,
       event.supersedes IS NOT NULL AND event.quarantine_reason IS NOT NULL,
       EXISTS (SELECT FROM settlement_usagesupersession AS gone
                WHERE gone.meter_id = asked.meter_id AND gone.event_id = asked.event_id)
  FROM unnest(%s::bigint[], %s::text[]) AS asked(meter_id, event_id)
 CROSS JOIN LATERAL (SELECT batch_id, place FROM settlement_usagededup AS known
                      WHERE known.meter_id = asked.meter_id AND known.event_id = asked.event_id OFFSET 0) AS known
 CROSS JOIN LATERAL (SELECT received_at FROM settlement_usagebatch WHERE id = known.batch_id OFFSET 0) AS batch
 CROSS JOIN LATERAL (SELECT * FROM settlement_usageevent AS event
                      WHERE event.received_at = batch.received_at AND event.batch_id = known.batch_id
                        AND event.place = known.place OFFSET 0) AS event
"""
_SUPERSEDE = """
INSERT INTO settlement_usagesupersession (meter_id, event_id, by_event_id, contract_id, batch_id)
SELECT meter_id, event_id, by_event_id, contract_id, %s
  FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[])
       AS correction(meter_id, event_id, by_event_id, contract_id)
 ORDER BY meter_id, event_id COLLATE "C"
ON CONFLICT DO NOTHING RETURNING meter_id, by_event_id
"""

Identity = tuple[int, str]


class _Target(NamedTuple):
    """What a correction would replace."""

    contract_id: int
    buyer_id: int
    provider_id: int
    request_id: str
    replaced_nothing: bool  # a correction that was itself kept aside
    gone: bool


def apply_corrections(cursor: Cursor[Any], new: Sequence[Judged], *, batch_id: int) -> None:
    """Write down what the corrections among a call's new events replace; those that fit nothing get their reason.

    A correction may name an event of its own call that comes before it.
    """
    corrections = [judged for judged in new if judged.report.supersedes is not None]
    if not corrections:
        return
    targets = _find(cursor, corrections)
    replacing: list[Judged] = []
    for judged in new:
        report = judged.report
        if report.supersedes is not None and judged.reason not in _TOLD_BEFORE:
            named = (judged.meter_id, report.supersedes)
            _compare(judged, targets.get(named))
            if judged.reason is None:
                targets[named] = targets[named]._replace(gone=True)
                replacing.append(judged)
        targets[judged.meter_id, report.event_id] = _Target(
            judged.contract_id,
            judged.buyer_id,
            judged.provider_id,
            report.request_id,
            report.supersedes is not None and judged.reason is not None,
            gone=False,
        )
    _supersede(cursor, replacing, batch_id)


def _find(cursor: Cursor[Any], corrections: Sequence[Judged]) -> dict[Identity, _Target]:
    named = sorted({(judged.meter_id, judged.report.supersedes or "") for judged in corrections})
    cursor.execute(_FIND, [pack_int8([meter_id for meter_id, _ in named]), pack_texts([name for _, name in named])])
    return {(meter_id, event_id): _Target(*target) for meter_id, event_id, *target in cursor.fetchall()}


def _compare(judged: Judged, target: _Target | None) -> None:
    report = judged.report
    if target is None:
        _set_aside(judged, IntakeQuarantine.SUPERSEDES_UNKNOWN, "The meter has sent no such event.")
    elif target.replaced_nothing:
        detail = "It names a correction that was kept aside and replaced nothing: name the event that stands."
        _set_aside(judged, IntakeQuarantine.SUPERSEDES_UNKNOWN, detail)
    elif target.gone:
        detail = "The event was corrected before: correct the latest correction."
        _set_aside(judged, IntakeQuarantine.SUPERSEDES_CORRECTED, detail)
    elif target[:4] != (judged.contract_id, judged.buyer_id, judged.provider_id, report.request_id):
        detail = "Contract, buyer, provider and request_id must be those of the event it supersedes."
        _set_aside(judged, IntakeQuarantine.SUPERSEDES_OTHER_REQUEST, detail)


def _supersede(cursor: Cursor[Any], replacing: Sequence[Judged], batch_id: int) -> None:
    """Of two calls that correct the same event at once one waits here for the other, and finds it corrected."""
    if not replacing:
        return
    cursor.execute(
        _SUPERSEDE,
        [
            batch_id,
            pack_int8([judged.meter_id for judged in replacing]),
            pack_texts([judged.report.supersedes or "" for judged in replacing]),
            pack_texts([judged.report.event_id for judged in replacing]),
            pack_int8([judged.contract_id for judged in replacing]),
        ],
    )
    written = {(meter_id, event_id) for meter_id, event_id in cursor.fetchall()}
    beaten = set()
    for judged in replacing:
        if (judged.meter_id, judged.report.supersedes) in beaten:
            detail = "It names a correction that another call was faster than, and that replaced nothing."
            _set_aside(judged, IntakeQuarantine.SUPERSEDES_UNKNOWN, detail)
        elif (judged.meter_id, judged.report.event_id) in written:
            continue
        else:
            detail = "Another call corrected the event at the same time: correct the latest correction."
            _set_aside(judged, IntakeQuarantine.SUPERSEDES_CORRECTED, detail)
        beaten.add((judged.meter_id, judged.report.event_id))


def _set_aside(judged: Judged, reason: IntakeQuarantine, detail: str) -> None:
    judged.reason, judged.detail, judged.millitokens = reason, detail, 0
