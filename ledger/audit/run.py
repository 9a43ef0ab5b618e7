"""Running an audit: one snapshot, two connections, every check over its ranges, and the outcome on record."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg

from ledger.audit.errors import AuditFailed, UnknownCheck
from ledger.audit.findings import AuditReport, CheckReport, Finding, Looked, together
from ledger.audit.layout import HIGHEST, LOWEST, Span, lay_out
from ledger.audit.record import keep, last_clean_run
from ledger.audit.registry import Check, all_checks
from ledger.audit.snapshot import Base, View, open_views
from ledger.clock import Clock
from ledger.models import AuditScope

CONNECTIONS = 2
KEY_BITS = 62
_MILLISECOND = 1_000_000  # nanoseconds

Progress = Callable[[str, int, int], None]
"""Told after every range of work: the check's name, and how many ranges of all are done."""

logger = logging.getLogger(__name__)


def run_audit(
    scope: AuditScope,
    *,
    actor: str,
    clock: Clock,
    names: Sequence[str] = (),
    progress: Progress | None = None,
    draw: Callable[[int], int] = secrets.randbits,
) -> AuditReport:
    """Look at everything, or at what is new since the last clean audit, and put the outcome on record.

    With `names` only those checks run, and nothing is recorded: what they did not look at would count as clean. An
    incremental audit without a clean one before it looks at everything. Raises `UnknownCheck`, and `AuditFailed` when
    the database cannot be read.
    """
    checks = _choose(names)
    started_at, began = clock.now(), time.perf_counter_ns()
    base = last_clean_run() if scope == AuditScope.INCREMENTAL else Base()
    try:
        with open_views(CONNECTIONS, base, key=draw(KEY_BITS)) as views:
            layout = lay_out(views[0])
            spans = [check.cut(views[0], layout) for check in checks]
            reports = _Work(checks, spans, progress).done_by(views)
    except psycopg.Error as error:
        raise AuditFailed(f"The audit could not read the database: {error}") from error
    report = AuditReport(
        scope=AuditScope.FULL if layout.full else AuditScope.INCREMENTAL,
        actor=actor,
        started_at=started_at,
        finished_at=clock.now(),
        milliseconds=(time.perf_counter_ns() - began) // _MILLISECOND,
        from_transaction=base.transaction + 1,
        through_transaction=layout.last_transaction,
        through_batch=layout.last_batch,
        entries=layout.entries,
        checks=reports,
    )
    if not names:
        keep(report)
    return report


def _choose(names: Sequence[str]) -> tuple[Check, ...]:
    checks = all_checks()
    unknown = sorted(set(names) - {check.name for check in checks})
    if unknown:
        known = ", ".join(check.name for check in checks)
        raise UnknownCheck(f"There is no check {unknown[0]!r}. There are: {known}.", check=unknown[0])
    return tuple(check for check in checks if not names or check.name in names)


class _Work:
    """All ranges of all checks, handed out to whoever is free."""

    def __init__(self, checks: Sequence[Check], spans: Sequence[Sequence[Span]], progress: Progress | None) -> None:
        self._checks = checks
        self._spans = spans
        self._parts: list[list[Looked]] = [[Looked()] * len(cut) for cut in spans]
        self._nanoseconds = [0] * len(checks)
        self._progress = progress
        self._waiting = ((index, place) for index, cut in enumerate(spans) for place in range(len(cut)))
        self._all = sum(map(len, spans))
        self._done = 0
        self._stopped = False
        self._lock = threading.Lock()

    def done_by(self, views: Sequence[View]) -> list[CheckReport]:
        with ThreadPoolExecutor(len(views), thread_name_prefix="audit") as workers:
            try:
                for each in [workers.submit(self._work, view) for view in views]:
                    each.result()
            finally:
                self._stopped = True  # whoever still works finishes its range
        return [
            CheckReport(check.name, check.title, check.advice, spent // _MILLISECOND, together(parts))
            for check, spent, parts in zip(self._checks, self._nanoseconds, self._parts, strict=True)
        ]

    def _work(self, view: View) -> None:
        while True:
            with self._lock:
                part = None if self._stopped else next(self._waiting, None)
            if part is None:
                return
            index, place = part
            began = time.perf_counter_ns()
            try:
                found = _look(view, self._checks[index], self._spans[index][place])
            except BaseException:
                self._stopped = True
                raise
            with self._lock:
                self._parts[index][place] = found
                self._nanoseconds[index] += time.perf_counter_ns() - began
                self._done += 1
                if self._progress is not None:
                    self._progress(self._checks[index].name, self._done, self._all)


def _look(view: View, check: Check, span: Span) -> Looked:
    """What a check says of a range; that it could not be completed is a finding too, for it proves nothing then."""
    try:
        with view.connection.transaction():
            return check.look(view, span)
    except Exception as error:
        if view.connection.broken:
            raise
        logger.error("check %s could not be completed: %s", check.name, error)
        told = f"the check could not be completed: {type(error).__name__}: {error}".strip()
        return Looked(span.rows, 1, (Finding(_name(span), told),))


def _name(span: Span) -> str:
    if (span.first, span.last) == (LOWEST, HIGHEST):
        return "everything"
    first = "the first" if span.first == LOWEST else str(span.first)
    last = "the last" if span.last == HIGHEST else str(span.last)
    return f"numbers from {first} to {last}"
