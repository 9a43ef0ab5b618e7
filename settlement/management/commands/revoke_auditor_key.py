"""`manage.py revoke_auditor_key KID --reason …`: no further opinion is taken from a key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.clock import get_clock
from ledger.errors import DomainError
from settlement.commands.register_auditor_key import revoke_auditor_key


class Command(BaseCommand):
    """Opinions that it signed before stay."""

    help = "Revoke an auditor's key for ever."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kid", help="the key's id, as the key set shows it; after -- if it begins with a dash")
        parser.add_argument("--reason", required=True, help="why; it stays on record")
        parser.add_argument("--actor", default="command line", help="who revokes, as the record names it")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            key = revoke_auditor_key(options["kid"], options["reason"], actor=options["actor"], now=get_clock().now())
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(f"{key.kid} is revoked.")
