"""`manage.py usage_partitions`: the days of usage events and what they take."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from settlement.metering.partitions import list_partitions


class Command(BaseCommand):
    help = "List the days of usage events: rows (an estimate), size with indexes, whether they are attached."

    def handle(self, *args: Any, **options: Any) -> None:
        for each in list_partitions():
            rows = "?" if each.rows is None else f"{each.rows:,}"
            state = "attached" if each.attached else "detached"
            self.stdout.write(f"{each.day}  {rows:>15}  {each.bytes / 2**20:>10,.1f} MiB  {state}")
