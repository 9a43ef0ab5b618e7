"""`manage.py export_invoices RUN [RUN …] --out FILE`: invoice rows of published runs, as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.clock import get_clock
from ledger.errors import DomainError
from settlement.payments.invoicing import invoice_rows, write_invoice_csv


class Command(BaseCommand):
    """Rows are written once for each run; a repeat gives the same file."""

    help = "Write what suppliers invoice recipients for the periods of published runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=int, nargs="+", help="numbers of settlement runs, in order")
        parser.add_argument("--out", type=Path, required=True, help="the file to write")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rows = [row for run in options["run"] for row in invoice_rows(run, now=get_clock().now())]
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        try:
            options["out"].write_bytes(write_invoice_csv(rows))
        except OSError as error:
            raise CommandError(f"{options['out']} cannot be written: {error.strerror}") from error
        self.stdout.write(f"{len(rows)} rows written to {options['out']}")
