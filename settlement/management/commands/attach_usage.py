"""`manage.py attach_usage 2025-10-01`: bring a day of usage events back that was put aside."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from ledger.clock import get_clock
from ledger.errors import DomainError
from settlement.metering.retention import OWNER, attach_day


class Command(BaseCommand):
    """Needs DATABASE_OWNER_URL."""

    help = "Attach a detached day of usage events again, if it is what it was."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("day", type=date.fromisoformat, help="UTC day, 2025-10-01")
        parser.add_argument("--actor", default="command line", help="who attaches, as the record names it")

    def handle(self, *args: Any, **options: Any) -> None:
        if OWNER not in connections.databases:
            raise CommandError("DATABASE_OWNER_URL is missing: only the owner of the database attaches tables.")
        try:
            record = attach_day(options["day"], actor=options["actor"], now=get_clock().now())
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(f"{record.day}: attached, {record.rows} events, {bytes(record.digest).hex()}")
