"""`manage.py rebuild_rollups [--check]`: usage by minute, made from the events again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from exchange.models import Contract
from ledger.models import Party
from settlement.metering.partitions import contracts_put_aside
from settlement.metering.rollup_check import DIFFERENCES_TOLD, find_differences, rebuild


class Command(BaseCommand):
    help = "Compare usage by minute with all events it is made of, and make it anew if anything differs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Change nothing; fail when anything differs.")

    def handle(self, *args: Any, **options: Any) -> None:
        aside = len(contracts_put_aside())
        if aside:
            self.stdout.write(f"{aside} contracts have events on detached days and are left as they are.")
        differences = find_differences()
        symbols = dict(
            Contract.objects.filter(pk__in={each.contract_id for each in differences}).values_list("id", "symbol")
        )
        codes = dict(Party.objects.values_list("id", "code")) if differences else {}
        for each in differences:
            figures = ", ".join(f"{name} {is_} for {be}" for name, (is_, be) in each.figures.items())
            pair = f"{codes.get(each.buyer_id, each.buyer_id)} {codes.get(each.provider_id, each.provider_id)}"
            contract = symbols.get(each.contract_id, each.contract_id)
            self.stdout.write(f"{contract} {pair} {each.side} {each.minute:%Y-%m-%d %H:%M}: {figures}")
        count = f"{len(differences)} minutes" if len(differences) < DIFFERENCES_TOLD else "many minutes"
        if differences and options["check"]:
            raise CommandError(f"Usage by minute differs from the events in {count}.")
        if differences:
            rebuild()
        self.stdout.write(f"Usage by minute was made anew, {count} differed." if differences else "No minute differs.")
