"""The ledger's log: a Merkle tree over all batches, its signed heads, and the seals of closed periods. Append-only."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class LogNode(models.Model):
    """The hash of a complete subtree of the log: 2^level leaves from leaf `position` * 2^level on.

    Leaf n (from 0) is batch n + 1, its hash is the batch's; only levels from 1 on are kept here.
    """

    pk = models.CompositePrimaryKey("level", "position")
    level = models.SmallIntegerField()
    position = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return f"{self.level}/{self.position}"


class Checkpoint(models.Model):
    """A signed head of the log: `note` is the C2SP signed note, as it was published."""

    size = models.BigIntegerField(primary_key=True, help_text="Batches in the log.")
    root = models.BinaryField(max_length=32)
    note = models.TextField()
    signed_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.size)


class PeriodSeal(models.Model):
    """The balances at the end of a period, as the Merkle root over all accounts sorted by id.

    `through_transaction` is the last transaction they include; `transaction_id` the one that put the root into the
    journal, and so under the log.
    """

    period = models.CharField(max_length=40, unique=True, help_text="2026-12, 2026-12-01 or the like.")
    ends_at = models.DateTimeField()
    through_transaction = models.BigIntegerField()
    accounts = models.BigIntegerField()
    root = models.BinaryField(max_length=32)
    transaction_id = models.BigIntegerField()
    sealed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.period


class AuditScope(models.TextChoices):
    FULL = "full"
    INCREMENTAL = "incremental"


class AuditRun(models.Model):
    """One pass of the audit over the journal, with everything it found. It never changes what it looks at.

    It covered transactions from `from_transaction` through `through_transaction`. `report` has one object a check:
    `{"check", "title", "rows", "milliseconds", "findings": [{"subject", "detail"}], "found"}`.
    """

    scope = models.CharField(max_length=12, choices=AuditScope)
    actor = models.CharField(max_length=80)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    from_transaction = models.BigIntegerField()
    through_transaction = models.BigIntegerField()
    through_batch = models.BigIntegerField()
    entries = models.BigIntegerField()
    findings = models.IntegerField()
    report = models.JSONField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="audit_scope_known", condition=Q(scope__in=AuditScope.values))
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.id}"
