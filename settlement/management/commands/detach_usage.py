"""`manage.py detach_usage --before 2026-01-01 [--yes]`: put old days of usage events aside."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from ledger.clock import get_clock
from settlement.errors import UsageDayNeeded
from settlement.metering.retention import OWNER, attached_days, check_not_needed, detach_day


class Command(BaseCommand):
    """Needs DATABASE_OWNER_URL."""

    help = "Detach days of usage events that nobody needs any more; without --yes, say which ones."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--before", type=date.fromisoformat, required=True, help="UTC day, 2026-01-01")
        parser.add_argument("--yes", action="store_true", help="do it")
        parser.add_argument("--actor", default="command line", help="who detaches, as the record names it")

    def handle(self, *args: Any, **options: Any) -> None:
        if OWNER not in connections.databases:
            raise CommandError("DATABASE_OWNER_URL is missing: only the owner of the database detaches tables.")
        now = get_clock().now()
        kept = 0
        for day in attached_days(before=options["before"]):
            try:
                if options["yes"]:
                    record = detach_day(day, actor=options["actor"], now=now)
                    self.stdout.write(f"{day}: detached, {record.rows} events, {bytes(record.digest).hex()}")
                else:
                    check_not_needed(day, now=now)
                    self.stdout.write(f"{day}: would be detached")
            except UsageDayNeeded as needed:
                kept += 1
                self.stdout.write(f"{day}: kept. {needed.message}")
        if kept:
            raise CommandError(f"{kept} days are still needed.")
        if not options["yes"]:
            self.stdout.write("Nothing was changed; --yes does it.")
