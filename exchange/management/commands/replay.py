"""`manage.py replay`: decide everything again, and say where the record differs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from exchange.replay.facts import DOUBT
from exchange.replay.run import Progress as Advance
from exchange.replay.run import ReplayReport, replay
from exchange.replay.second_database import NotReplayable, made_database, settings_of

DIFFERENT, FAILED = 1, 2  # exit statuses


class Command(BaseCommand):
    """Exit status 0: record and replay are identical. 1: they differ. 2: there was no replay."""

    help = (
        "Decide the whole command log again in an empty database, by the code of this release, and compare results, "
        "orders, fills, prevented matches, reversals, books, accounts and the journal to its hashes. "
        "Inputs are: the command log; each batch's shard, epoch, last command and clock reading; the ledger's other "
        "transactions and changes of floors and flags, in the order of the head's versions; commands set aside; "
        "parties, products and contracts as listed; when providers were qualified, contracts delivered and settled. "
        f"Of the last two only clock readings are known: a batch within {DOUBT.seconds} s of one is taken to have seen "
        "what its recorded answers say that it saw (how often is told), so within that time a forged answer about "
        "them is not found. Exit status 0: identical; 1: a difference, of which the first is told; 2: no replay."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--into",
            metavar="URL",
            help="an empty database to replay into, as its owner, which is left as it came out; "
            "without it one is made beside the recorded one (DATABASE_OWNER_URL) and removed",
        )
        parser.add_argument("--keep", action="store_true", help="do not remove the database that was made")
        parser.add_argument("--json", action="store_true", help="one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        url = options["into"]
        try:
            with (
                nullcontext(settings_of(url)) if url else made_database(keep=options["keep"]) as into,
                _progress() as advance,
            ):
                report = replay(into, progress=advance)
        except NotReplayable as error:
            raise CommandError(str(error), returncode=FAILED) from error
        except DatabaseError as error:
            raise CommandError(f"There was no replay: {error}", returncode=FAILED) from error
        self._tell(report, into["NAME"] if url or options["keep"] else "", as_json=options["json"])
        if not report.identical:
            sys.exit(DIFFERENT)

    def _tell(self, report: ReplayReport, kept: str, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(report.as_json() | {"database": kept}, indent=2))
            return
        rate = report.commands * 1_000 // max(1, report.milliseconds)
        self.stdout.write(
            f"Replayed {report.commands:,} commands in {report.batches:,} batches and {report.transactions:,} "
            f"transactions, to ledger version {report.ledger_version:,}, in {report.milliseconds / 1_000:.1f} s "
            f"({rate:,} commands/s)."
        )
        if report.from_answers:
            self.stdout.write(
                f"{report.from_answers:,} times the recorded answers had to say what a batch had seen of a "
                "qualification, a delivery or a settlement of the same minute."
            )
        if kept:
            self.stdout.write(f"The replay is in the database {kept}.")
        if report.difference is None:
            self.stdout.write("Identical.")
        else:
            self.stdout.write(f"DIFFERENT. {report.difference}")


@contextmanager
def _progress() -> Iterator[Advance | None]:
    """A bar on the terminal; nothing where nobody looks."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("copying", total=None)

        def advance(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield advance
