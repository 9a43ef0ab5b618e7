"""`manage.py export_payments 7 --out FILE`: the payments of a netting set as a file for the bank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.clock import get_clock
from ledger.errors import DomainError
from settlement.payments.export import FORMS, export_payments


class Command(BaseCommand):
    """The same file again when there is nothing new."""

    help = "Write the payments of a netting set for the bank; they count as exported. Not by who made them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("netting", type=int, help="number of the netting set")
        parser.add_argument("--form", choices=sorted(FORMS), default="pain.001")
        parser.add_argument("--out", type=Path, required=True, help="the file to write")
        parser.add_argument("--actor", required=True, help="who sends them; another person than who made them")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            file = export_payments(options["netting"], options["form"], actor=options["actor"], now=get_clock().now())
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        try:
            options["out"].write_bytes(bytes(file.content))
        except OSError as error:
            raise CommandError(f"{options['out']} cannot be written: {error.strerror}. Call again.") from error
        self.stdout.write(f"{file.message_id} with {file.instructions.count()} payments written to {options['out']}")
