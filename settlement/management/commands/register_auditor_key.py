"""`manage.py register_auditor_key NAME FILE`: whose opinions statements may carry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.clock import get_clock
from ledger.errors import DomainError
from settlement.commands.register_auditor_key import RegisterAuditorKey, register_auditor_key
from settlement.metering.public_keys import parse_public_key


class Command(BaseCommand):
    """The key is published in the key set, with the auditor's name."""

    help = "Make known the public Ed25519 key (PEM, JWK or base64url) that an auditor signs opinions with."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("auditor", help="the name that its opinions are given under")
        parser.add_argument("file", type=Path, help="the public key")
        parser.add_argument("--actor", default="command line", help="who registers it, as the record names it")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            public_key = parse_public_key(options["file"].read_text(encoding="utf-8"))
            command = RegisterAuditorKey(options["auditor"], public_key)
            key = register_auditor_key(command, actor=options["actor"], now=get_clock().now())
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"Cannot read {options['file']}: {error}") from error
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(f"{key.auditor} signs opinions with key {key.kid}.")
