"""`manage.py audit_ledger`: look at the whole ledger, and say what is not as it should be."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ledger.audit.findings import AuditReport, CheckReport
from ledger.audit.registry import all_checks
from ledger.audit.run import Progress as Advance
from ledger.audit.run import run_audit
from ledger.clock import get_clock
from ledger.errors import DomainError
from ledger.models import AuditScope

FINDINGS, FAILED = 1, 2  # exit statuses
STDOUT = "-"
WIDTH_OF_FILES = 160


class Command(BaseCommand):
    """Exit status 0: nothing was found. 1: there are findings. 2: the audit could not be made."""

    help = (
        "Audit the ledger: every check reads one and the same instant of the database and changes nothing. "
        "Exit status 0: nothing was found; 1: there are findings; 2: the audit could not be made."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--incremental",
            action="store_true",
            help="only what came after the last audit without findings; accounts and holds are looked at in full",
        )
        parser.add_argument(
            "--json", metavar="FILE", help="write the report there as well; - for standard output alone"
        )
        parser.add_argument(
            "--check",
            nargs="+",
            default=[],
            metavar="NAME",
            help="only these checks, without putting the audit on record: " + ", ".join(c.name for c in all_checks()),
        )
        parser.add_argument("--actor", default="command line", help="who audits, as the record names it")

    def handle(self, *args: Any, **options: Any) -> None:
        scope = AuditScope.INCREMENTAL if options["incremental"] else AuditScope.FULL
        try:
            with _progress() as advance:
                report = run_audit(
                    scope, actor=options["actor"], clock=get_clock(), names=options["check"], progress=advance
                )
        except DomainError as error:
            raise CommandError(error.message, returncode=FAILED) from error
        except DatabaseError as error:
            raise CommandError(f"The database cannot be reached: {error}", returncode=FAILED) from error
        if options["json"] != STDOUT:
            self._tell(report)
        if options["json"]:
            self._write_json(report, options["json"])
        if report.found:
            sys.exit(FINDINGS)

    def _tell(self, report: AuditReport) -> None:
        wide = None if self.stdout.isatty() else WIDTH_OF_FILES
        Console(file=cast("TextIO", self.stdout), highlight=False, width=wide).print(_table(report.checks))
        for check in report.checks:
            if check.outcome.found:
                self.stdout.write(_told(check))
        seconds, rest = divmod(report.milliseconds, 1_000)
        self.stdout.write(
            f"{report.scope.capitalize()} audit of {report.entries:,} entries in transactions "
            f"{report.from_transaction:,} to {report.through_transaction:,}, batches to {report.through_batch:,}, "
            f"in {seconds}.{rest // 100} s."
        )
        if report.found:
            self.stdout.write(f"NOT CLEAN: {report.found:,} finding{'s' if report.found > 1 else ''}.")
        else:
            self.stdout.write("Clean: nothing was found.")

    def _write_json(self, report: AuditReport, target: str) -> None:
        text = json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"
        if target == STDOUT:
            self.stdout.write(text, ending="")
            return
        try:
            Path(target).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{target} cannot be written: {error.strerror}", returncode=FAILED) from error


@contextmanager
def _progress() -> Iterator[Advance | None]:
    """A bar on the terminal; nothing where nobody looks."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description:26}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def advance(name: str, done: int, total: int) -> None:
            bar.update(task, description=name, completed=done, total=total)

        yield advance


def _table(checks: Sequence[CheckReport]) -> Table:
    table = Table("Check", "What must hold", box=None, pad_edge=False)
    for column in ("Rows", "ms", "Findings"):
        table.add_column(column, justify="right", no_wrap=True)
    for check in checks:
        found = f"{check.outcome.found:,}" if check.outcome.found else "none"
        table.add_row(check.name, check.title, f"{check.outcome.rows:,}", f"{check.milliseconds:,}", found)
    return table


def _told(check: CheckReport) -> str:
    """A check's findings, and what to do about them."""
    lines = [f"{check.name}: {check.title}. This does not hold:"]
    lines += [f"  {finding.subject}: {finding.detail}" for finding in check.outcome.findings]
    more = check.outcome.found - len(check.outcome.findings)
    if more:
        lines.append(f"  and {more:,} more")
    return "\n".join([*lines, f"  What to do: {check.advice}", ""])
