"""`manage.py ensure_signing_key`: make the first signing key of a new installation."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ledger.clock import get_clock
from ledger.keys.ring import ensure_current_key


class Command(BaseCommand):
    """Changes nothing when there is a current key."""

    help = "Make the first signing key, unless there is a current one, and print its id."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--actor", default="command line", help="who makes it, as the record names it")

    def handle(self, *args: Any, **options: Any) -> None:
        key = ensure_current_key(actor=options["actor"], now=get_clock().now())
        self.stdout.write(key.kid)
