"""manage.py export_bundle RUN --out DIR: all that a run can be computed anew from, for an auditor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.errors import DomainError
from settlement.bundles.write import sink_at, write_bundle


class Command(BaseCommand):
    help = "Writes a published settlement run's bundle: frozen inputs, usage events, accounts, statements and keys."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=int, help="number of the run, as settlement_status shows it")
        parser.add_argument(
            "--out", type=Path, required=True, metavar="DIR", help="a folder to make, or a zip file if it ends in .zip"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with sink_at(options["out"]) as sink:
                count = write_bundle(options["run"], sink)
        except DomainError as error:
            raise CommandError(f"{error.code}: {error.message}") from error
        except OSError as error:
            raise CommandError(f"{options['out']}: {error.strerror}") from error
        self.stdout.write(f"{options['out']}: {count} files")
        self.stdout.write(f"python -m settlement.recompute {options['out']} --jwks KEYS computes the run anew")
