"""`manage.py net_payments CNY 2026-12-02`: net what was published for a value date, and make the payments."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.clock import get_clock
from ledger.errors import DomainError
from ledger.money import format_micros
from settlement.payments.errors import NothingToNet
from settlement.payments.instructions import create_instructions
from settlement.payments.netting_sets import make_netting_set
from settlement.selectors.netting import list_netting_sets


class Command(BaseCommand):
    """May be called again: what is netted stays, and payments that have become possible are made."""

    help = "Net the published runs of a currency and value date, and make the payments that follow from it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("currency", help="such as CNY")
        parser.add_argument("value_date", type=_date, help="such as 2026-12-02")
        parser.add_argument("--actor", default="command line", help="who does it, as the record names it")

    def handle(self, *args: Any, **options: Any) -> None:
        now, actor = get_clock().now(), options["actor"]
        try:
            try:
                make_netting_set(options["currency"], options["value_date"], actor=actor, now=now)
            except NothingToNet:
                if (
                    not list_netting_sets()
                    .filter(currency__code=options["currency"], value_date=options["value_date"])
                    .exists()
                ):
                    raise
            sets = list_netting_sets().filter(currency__code=options["currency"], value_date=options["value_date"])
            for netting in sets.order_by("id"):
                made = create_instructions(netting.pk, actor=actor, now=now)
                self.stdout.write(
                    f"netting set {netting.pk}: gross {format_micros(netting.gross_micros)}, net "
                    f"{format_micros(netting.net_micros)} {netting.currency.code}, {len(made.instructions)} payments"
                )
                for party, why in made.unpaid.items():
                    self.stdout.write(f"  {party}: no payment ({why.value})")
        except DomainError as refused:
            raise CommandError(refused.message) from refused


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError("A value date is a day such as 2026-12-02.") from None
