"""`manage.py revoke_signing_key KID --reason …`: nothing that a key signed is to be trusted any more."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.clock import get_clock
from ledger.errors import DomainError
from ledger.keys.rotation import revoke


class Command(BaseCommand):
    """For a key that may have been stolen. A key that was merely replaced is retired, not revoked."""

    help = "Revoke a signing key for ever. The current key must be rotated out first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kid", help="the key's id, as the key set shows it")
        parser.add_argument("--reason", required=True, help="why; it stays on record")
        parser.add_argument("--actor", default="command line", help="who revokes, as the record names it")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            key = revoke(options["kid"], options["reason"], actor=options["actor"], now=get_clock().now())
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(f"{key.kid} is revoked.")
