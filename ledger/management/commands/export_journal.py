"""`manage.py export_journal`: the whole journal for another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.export.csv_journal import write_csv
from ledger.selectors.journal import iter_journal

WRITERS = {"csv": write_csv}


class Command(BaseCommand):
    """Writes the journal to a file or to standard output."""

    help = "Export every entry of the journal, in posting order."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=sorted(WRITERS), default="csv")
        parser.add_argument("--output", type=Path, help="the file to write; standard output if not given")

    def handle(self, *args: Any, **options: Any) -> None:
        write = WRITERS[options["format"]]
        if options["output"] is None:
            write(iter_journal(), cast("TextIO", self.stdout))
            return
        try:
            with options["output"].open("w", encoding="utf-8", newline="") as file:
                entries = write(iter_journal(), file)
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}") from error
        self.stderr.write(f"{entries} entries written to {options['output']}")
