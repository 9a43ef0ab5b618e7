"""A whole replay: the second database is filled, the history happens in it, and the two are compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from django.db import connection

from exchange.replay.compare import HISTORY, STANDING, Compared, DifferentRow, Reach, first_difference
from exchange.replay.difference import Difference, Diverged
from exchange.replay.history import Event, History
from exchange.replay.rerun import Broken, Rerun
from exchange.replay.second_database import NotReplayable, Settings, prepare_database, standing_in
from ledger.audit.snapshot import Base, View, open_views

EVENTS_AT_ONCE = 128
LATEST = 2**63 - 1

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What was replayed, and where record and replay part, if they do.

    `from_answers`: how often nothing but the recorded answers told what a batch had seen.
    """

    batches: int
    commands: int
    transactions: int
    ledger_version: int
    from_answers: int
    milliseconds: int
    difference: Difference | None

    @property
    def identical(self) -> bool:
        return self.difference is None

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"identical": self.identical}


def replay(into: Settings, *, progress: Progress | None = None) -> ReplayReport:
    """Replay Django's database into an empty one, which is left as it came out. Raises `NotReplayable`.

    The record is read in one snapshot, so that the market may go on.
    """
    with open_views(1, Base(), key=0) as (record,), standing_in(into):
        _require_whole(record)
        prepare_database(record)
        return _replay(record, progress or _nobody_looks)


def _replay(record: View, progress: Progress) -> ReplayReport:
    started = time.monotonic_ns()
    history = History(record)
    rerun = Rerun(record, history)
    broken = _happen(record, history, rerun, progress)
    if broken is None:
        rerun.finish()
    milliseconds = (time.monotonic_ns() - started) // 1_000_000
    return ReplayReport(
        batches=rerun.last_batch,
        commands=rerun.commands,
        transactions=rerun.head.last_transaction,
        ledger_version=rerun.head.version,
        from_answers=rerun.qualifications.doubts + rerun.life.doubts,
        milliseconds=milliseconds,
        difference=_compare(record, history, rerun, broken, progress),
    )


def _happen(record: View, history: History, rerun: Rerun, progress: Progress) -> Difference | None:
    """Let everything happen, and stop soon after the first thing that happens otherwise: why, if nothing else says."""
    ((version,),) = record.rows("SELECT version FROM ledger_ledgerhead")
    try:
        with closing(history.events()) as steps:
            for events in _chunks(steps):
                before = rerun.last_batch
                rerun.happen(events)
                progress("replaying", rerun.head.version, version)
                if not _looks_the_same(record, before, rerun.last_batch):
                    return Difference("history", str(events[-1]), "", "happened", "happened otherwise")
    except Broken as error:
        return Difference(str(error.event), "the replay", "", "done", f"{error.__cause__!r}")
    except Diverged as diverged:
        return diverged.difference
    return None


def _chunks(events: Iterable[Event]) -> Iterator[list[Event]]:
    """What came before the record contradicts itself is still given."""
    chunk: list[Event] = []
    try:
        for event in events:
            chunk.append(event)
            if len(chunk) == EVENTS_AT_ONCE:
                yield chunk
                chunk = []
    except Diverged:
        yield chunk
        raise
    if chunk:
        yield chunk


def _looks_the_same(record: View, after: int, last: int) -> bool:
    """Whether the batches after that one, and the chain of the journal, came out as they are recorded."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_batch, encode(last_batch_hash, 'hex') FROM ledger_ledgerhead")
        journal_batch, chained = cursor.fetchone()
        cursor.execute(_BATCHES, {"after": after, "last": last})
        batches = cursor.fetchall()
    if record.rows(_BATCHES, {"after": after, "last": last}) != batches:
        return False
    recorded = record.rows("SELECT encode(hash, 'hex') FROM ledger_batch WHERE no = %(no)s", {"no": journal_batch})
    return journal_batch == 0 or recorded == [(chained,)]


_BATCHES = (
    "SELECT batch::text FROM exchange_sequencerbatch AS batch WHERE no > %(after)s AND no <= %(last)s ORDER BY no"
)


def _compare(
    record: View, history: History, rerun: Rerun, broken: Difference | None, progress: Progress
) -> Difference | None:
    """The difference that comes first in the history; of one step, what led to it before what it led to."""
    reach = Reach(LATEST, LATEST, LATEST)
    if broken is not None:
        reach = Reach(rerun.last_batch, rerun.head.last_transaction, rerun.head.version)
    tables = len(HISTORY) + len(STANDING)
    found: list[tuple[tuple[int, int, int], DifferentRow]] = []
    with open_views(1, Base(), key=0) as (replayed,):
        for place, table in enumerate(HISTORY):
            progress("comparing", place, tables)
            if (row := first_difference(table, record, replayed, reach)) is not None:
                found.append((_step(table, row, history, record, replayed), row))
        if found:
            step, row = min(found, key=lambda each: each[0])
            return _told(_place(step), row)
        if broken is not None:
            return broken
        for place, table in enumerate(STANDING, start=len(HISTORY)):
            progress("comparing", place, tables)
            if (row := first_difference(table, record, replayed, reach)) is not None:
                return _told("at the end", row)
    return None


def _step(table: Compared, row: DifferentRow, history: History, record: View, replayed: View) -> tuple[int, int, int]:
    """Where a row belongs in the history: the ledger's version before it, whether it made another one, its batch."""
    counted = table.replayed[1] if table.replayed else ""
    if counted == "version":
        return row.step - 1, 1, 0
    if counted == "batch":
        query = "SELECT ledger_version FROM exchange_sequencerbatch WHERE no = %(no)s"
        saw = replayed.rows(query, {"no": row.step}) or record.rows(query, {"no": row.step})
        return (saw[0][0] if saw else LATEST), 0, row.step
    query = "SELECT min(no) FROM ledger_batch WHERE last_transaction >= %(id)s"
    ((no,),) = replayed.rows(query, {"id": row.step})
    known = no is not None and no <= len(history.versions)
    return (history.versions[no - 1] if known else LATEST), 1, 0


def _place(step: tuple[int, int, int]) -> str:
    version, moved, batch = step
    if not moved:
        return f"batch {batch}" if version == LATEST else f"batch {batch}, at ledger version {version}"
    return "after the history" if version == LATEST else f"ledger version {version + 1}"


def _told(place: str, row: DifferentRow) -> Difference:
    return Difference(place, row.subject, row.field, row.recorded, row.replayed)


def _require_whole(record: View) -> None:
    """The whole history has to be there: a ledger taken over from before hold entries were kept cannot be replayed."""
    ((early,),) = record.rows("SELECT EXISTS (SELECT FROM ledger_holdentry WHERE transaction_id = 0)")
    if early:
        raise NotReplayable("The ledger has holds that are older than their evidence; its history is not whole.")


def _nobody_looks(_what: str, _done: int, _total: int) -> None:
    return None
