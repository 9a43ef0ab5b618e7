"""Settlement runs, their jobs, and what each run found for each position."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class RunKind(models.TextChoices):
    INITIAL = "initial"
    FINAL = "final"


class RunState(models.TextChoices):
    OPEN = "open"  # jobs are being settled
    STATING = "stating"  # all contracts posted; statements are being signed
    PUBLISHED = "published"


class SettlementRun(models.Model):
    """One immutable pass over (currency, period, kind). `input_digest` freezes what it read."""

    currency = models.ForeignKey("ledger.Asset", on_delete=models.PROTECT)
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    kind = models.CharField(max_length=16, choices=RunKind)
    state = models.CharField(max_length=12, choices=RunState, default=RunState.OPEN)
    input_digest = models.BinaryField(max_length=32, null=True)
    rules_version = models.CharField(max_length=24)
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="run_once",
                fields=["currency", "period_start", "period_end", "kind"],
            ),
            models.CheckConstraint(
                name="run_period_in_order",
                condition=Q(period_start__lt=F("period_end")),
            ),
            models.CheckConstraint(
                name="run_published_at_set_when_published",
                condition=Q(state=RunState.PUBLISHED, published_at__isnull=False)
                | (~Q(state=RunState.PUBLISHED) & Q(published_at__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.period_start:%Y-%m-%d %H:%M}"

    @property
    def key(self) -> str:
        """The run's name on statements and in journal references; follows from what it covers alone. Periods are of
        whole minutes, and a currency is named by whatever the key stands beside."""
        start = self.period_start.astimezone(UTC)
        minutes = (self.period_end - self.period_start) // timedelta(minutes=1)
        return f"{start:%Y%m%dT%H%MZ}/{minutes}/{self.kind}"


class JobStep(models.TextChoices):
    SETTLE = "settle"  # a contract
    STATE = "state"  # a party


class JobState(models.TextChoices):
    DUE = "due"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # its last attempt did; tried again until the attempts are used up


class SettlementJob(models.Model):
    """A piece of a run, claimed with SKIP LOCKED under a lease; a stale worker's `fencing` number no longer fits."""

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="jobs")
    step = models.CharField(max_length=16, choices=JobStep)
    subject_id = models.BigIntegerField()  # contract id or party id
    state = models.CharField(max_length=8, choices=JobState, default=JobState.DUE)
    attempt = models.IntegerField(default=0)
    lease_owner = models.CharField(max_length=80, default="", blank=True)
    lease_until = models.DateTimeField(null=True)
    fencing = models.BigIntegerField(default=0)
    input_digest = models.BinaryField(max_length=32, null=True)
    result_digest = models.BinaryField(max_length=32, null=True)
    error = models.TextField(default="", blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="job_once", fields=["run", "step", "subject_id"]),
            models.CheckConstraint(name="job_state_known", condition=Q(state__in=JobState.values)),
        ]
        indexes: ClassVar = [
            models.Index(
                name="job_open",
                fields=["state", "id"],
                condition=~Q(state=JobState.DONE),
            )
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.subject_id}: {self.state}"


class PositionSettlement(models.Model):
    """What a run found for one position, cumulative. Append-only; later runs post the difference to the one before.

    `outcome` holds the figures of `settlement.calculation` as integer strings; `evidence` the meters' figures.
    """

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="positions")
    contract_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    outcome = models.JSONField()
    evidence = models.JSONField()

    class Meta:
        verbose_name = "settled position"
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="position_settled_once_a_run",
                fields=["run", "contract_id", "buyer_id", "provider_id"],
            )
        ]

    def __str__(self) -> str:
        return f"{self.contract_id}/{self.buyer_id}/{self.provider_id}"


class UnmatchedUsage(models.Model):
    """Usage a run found for a party pair without a position in the contract. Moves no money. Append-only."""

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="unmatched")
    contract_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    tokens = models.BigIntegerField()
    evidence = models.JSONField()

    class Meta:
        verbose_name_plural = "unmatched usage"
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="unmatched_once_a_run", fields=["run", "contract_id", "buyer_id", "provider_id"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.contract_id}/{self.buyer_id}/{self.provider_id}: {self.tokens}"


class ClosingBalance(models.Model):
    """How an account stood when a run closed: all parties' at one instant, under the ledger head. Append-only.

    What a statement closes with, whenever it is made: `held` could not be found again later.
    """

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="closings")
    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="+")
    account_id = models.BigIntegerField()
    balance = models.BigIntegerField()
    held = models.BigIntegerField()
    seq = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="closing_once_a_run", fields=["run", "party"])]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.party_id}: {self.balance}"
