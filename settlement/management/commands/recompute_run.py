"""manage.py recompute_run RUN: computes a run anew from what it froze, and compares every statement byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.errors import DomainError
from ledger.keys.ring import public_jwks
from settlement.bundles.write import sink_at, write_bundle
from settlement.recompute.bundle import open_files
from settlement.recompute.report import recompute
from settlement.runs.errors import RecomputeDiffers


class Command(BaseCommand):
    help = "Computes a published settlement run anew from its frozen inputs and compares what every statement says."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=int, help="number of the run, as settlement_status shows it")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with TemporaryDirectory(prefix="tokenbourse-") as folder:
                bundle = Path(folder) / "bundle"
                with sink_at(bundle) as sink:
                    write_bundle(options["run"], sink)
                report = recompute(open_files(bundle), json.dumps(public_jwks()).encode())
            self.stdout.write(report.text())
            if not report.ok:
                first = report.faults[0]
                raise RecomputeDiffers(f"{first.code}: {first.what}: {first.detail}", run=str(options["run"]))
        except DomainError as error:
            raise CommandError(f"{error.code}: {error.message}") from error
