"""`manage.py publish_checkpoint`: sign the head of the ledger's log."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ledger.clock import get_clock
from ledger.errors import DomainError
from ledger.log.checkpoints import publish_checkpoint


class Command(BaseCommand):
    """Prints the newest checkpoint on standard output, so that it can be kept in a file elsewhere."""

    help = "Sign the head of the log as of the newest batch, unless that is done, and print the checkpoint."

    def handle(self, *args: Any, **options: Any) -> None:
        columns = (TextColumn("Batches"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        shown = Console(stderr=True)
        with Progress(*columns, console=shown, transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("", total=None)
            try:
                checkpoint = publish_checkpoint(
                    now=get_clock().now(),
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                )
            except DomainError as refused:
                raise CommandError(refused.message) from refused
        if checkpoint is None:
            self.stderr.write("The ledger is empty: there is nothing to sign.")
            return
        self.stdout.write(checkpoint.note, ending="")
