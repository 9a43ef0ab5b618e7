"""manage.py retry_settlement_job: sends a failed job again, once its cause is out of the way."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.clock import get_clock
from ledger.errors import DomainError
from settlement.commands.retry_job import RetryJob, retry_job


class Command(BaseCommand):
    help = "Gives a failed settlement job all its attempts back; `settlement_status` names the failed ones."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", type=int, help="its number")
        parser.add_argument("--reason", required=True, help="what was wrong, and why it is no longer")
        parser.add_argument("--actor", default="operator", help="who sends it again")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            retry_job(RetryJob(options["job"], options["reason"]), actor=options["actor"], now=get_clock().now())
        except DomainError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"job {options['job']} is due again")
