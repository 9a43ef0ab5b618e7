"""`manage.py prepare_signing_key`: make and publish the key that signs after the next rotation."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ledger.clock import get_clock
from ledger.keys.rotation import prepare_next_key


class Command(BaseCommand):
    """Changes nothing when a next key is waiting."""

    help = "Make the next signing key, unless one is waiting, and print its id. It is published, but signs nothing yet."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--actor", default="command line", help="who makes it, as the record names it")

    def handle(self, *args: Any, **options: Any) -> None:
        key = prepare_next_key(actor=options["actor"], now=get_clock().now())
        self.stdout.write(key.kid)
        self.stderr.write("Tell those who pin keys, then run `manage.py rotate_signing_key`.")
