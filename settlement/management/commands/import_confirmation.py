"""`manage.py import_confirmation FILE`: what the bank says became of payments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.clock import get_clock
from ledger.errors import DomainError
from settlement.payments.confirmations import MAX_BYTES, import_confirmation, results_of


class Command(BaseCommand):
    """Takes a file once, however often it is called."""

    help = "Take a bank's camt.054, pain.002 or CSV file: payments become confirmed or returned, item by item."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--actor", default="command line", help="who does it, as the record names it")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}") from error
        try:
            imported = import_confirmation(content, actor=options["actor"], now=get_clock().now())
        except DomainError as refused:
            raise CommandError(f"{refused.code}: {refused.message}") from refused
        for result in results_of(imported):
            self.stdout.write(f"{result.end_to_end_id} {result.code} {result.message}".rstrip())
        self.stdout.write(f"import {imported.pk}: {imported.confirmed} confirmed, {imported.returned} returned")
        if asked := imported.returns.count():
            self.stdout.write(f"{asked} returns of paid payments wait for another operator")
