"""`manage.py seal_period 2026-11`: seal the balances of a day or month that has ended."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.clock import get_clock
from ledger.errors import DomainError
from ledger.log.periods import parse_period
from ledger.log.seals import seal_period


class Command(BaseCommand):
    """Seals once; a repeat shows the seal there is."""

    help = "Seal the balances of a period (UTC day or month) that has ended. The nightly task does it by itself."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("period", help="2026-12-01 or 2026-12")
        parser.add_argument("--actor", default="command line", help="who seals, as the record names it")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            period = parse_period(options["period"])
            seal = seal_period(period.name, period.ends_at, actor=options["actor"], now=get_clock().now())
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(
            f"Period {seal.period}, sealed {seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC by transaction "
            f"{seal.transaction_id}: {seal.accounts} accounts through transaction {seal.through_transaction}, root "
            f"{bytes(seal.root).hex()}"
        )
