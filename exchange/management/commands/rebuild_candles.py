"""Candles, made from the fills again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from exchange.market_data.rebuild import compare_candles
from exchange.models import Contract


class Command(BaseCommand):
    help = "Compare all candles with the fills they are made of, contract by contract, and mend those that differ."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Change nothing; fail when anything differs.")

    def handle(self, *args: Any, **options: Any) -> None:
        contracts = list(Contract.objects.order_by("id").values_list("id", "symbol"))
        different = 0
        for contract_id, symbol in contracts:
            found = compare_candles(contract_id, mend=not options["check"])
            if found:
                self.stdout.write(f"{symbol}: {found} candles differ")
            different += found
        if different and options["check"]:
            raise CommandError(f"{different} candles differ from the fills.")
        said = "No candle differs" if not different else f"{different} candles were made anew"
        self.stdout.write(f"{said}, in {len(contracts)} contracts.")
