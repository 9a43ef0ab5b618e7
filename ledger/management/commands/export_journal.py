"""`manage.py export_journal`: the journal, or what was posted in a period, for another tool."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.export.formats import WRITERS, write_file
from ledger.selectors.journal import extract_journal

EPOCH_YEAR = 1970


class Command(BaseCommand):
    """Writes the journal to a file or to standard output."""

    help = "Export the journal, in posting order, with the balances it begins and ends with."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=sorted(WRITERS), default="csv")
        parser.add_argument("--from", dest="start", metavar="INSTANT", help="only what was posted from then on")
        parser.add_argument("--until", dest="end", metavar="INSTANT", help="only what was posted before then")
        parser.add_argument("--output", type=Path, help="the file to write; standard output if not given")

    def handle(self, *args: Any, **options: Any) -> None:
        start, end = (_instant(f"--{name}", options[key]) for name, key in (("from", "start"), ("until", "end")))
        if start is not None and end is not None and start >= end:
            raise CommandError("--from must be before --until.")
        journal = extract_journal(start, end)
        if options["output"] is None:
            WRITERS[options["format"]](journal, cast("TextIO", self.stdout))
            return
        try:
            entries = write_file(journal, options["format"], options["output"])
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}") from error
        self.stderr.write(f"{entries} entries written to {options['output']}")


def _instant(option: str, text: str | None) -> datetime | None:
    """A day, which is its midnight in UTC, or a time with its offset."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.year < EPOCH_YEAR or (moment.tzinfo is None and len(text) > len("2026-12-01")):
            raise ValueError(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise CommandError(
            f"{option} must be a day from 1970 on (midnight UTC) or a time with its offset, such as "
            "2026-12-01T14:00:00Z."
        ) from None
