"""`manage.py rotate_signing_key`: the prepared key signs from now on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.clock import get_clock
from ledger.errors import DomainError
from ledger.keys.rotation import rotate


class Command(BaseCommand):
    """What the retired key signed stays valid."""

    help = "Retire the current signing key and sign with the one that `prepare_signing_key` made."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--actor", default="command line", help="who rotates, as the record names it")
        parser.add_argument("--reason", default="", help="why, for the record")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = rotate(actor=options["actor"], reason=options["reason"], now=get_clock().now())
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(f"{done.current.kid} signs from now on; {done.retired.kid} is retired.")
