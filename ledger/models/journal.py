"""The journal: transactions, their entries and hold changes, and the batches that seal them. All append-only."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from ledger.texts import MAX_ACTOR, MAX_KIND, MAX_REF, MAX_REFERENCE, MAX_SOURCE


class Batch(models.Model):
    """What one call of the posting door wrote: a Merkle root over its transactions, chained to the batch before."""

    no = models.BigIntegerField(primary_key=True)
    first_transaction = models.BigIntegerField()
    last_transaction = models.BigIntegerField()
    count = models.IntegerField()
    root = models.BinaryField(max_length=32)
    previous = models.BinaryField(max_length=32, unique=True)
    hash = models.BinaryField(max_length=32, unique=True)
    actor = models.CharField(max_length=MAX_ACTOR)
    posted_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "batches"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="batch_count_matches_range",
                condition=Q(count=F("last_transaction") - F("first_transaction") + 1),
            )
        ]

    def __str__(self) -> str:
        return str(self.no)


class Transaction(models.Model):
    """A balanced set of entries. (`source`, `reference`) is its idempotency key; `leaf` its hash in the
    batch's tree."""

    id = models.BigIntegerField(primary_key=True)
    batch_no = models.BigIntegerField()
    kind = models.CharField(max_length=MAX_KIND)
    source = models.CharField(max_length=MAX_SOURCE)
    reference = models.CharField(max_length=MAX_REFERENCE)
    request_hash = models.BinaryField(max_length=32)
    actor = models.CharField(max_length=MAX_ACTOR)
    effective_at = models.DateTimeField()
    posted_at = models.DateTimeField()
    legs = models.IntegerField()
    reverses = models.BigIntegerField(null=True)
    leaf = models.BinaryField(max_length=32)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="transaction_reference_once", fields=["source", "reference"]),
            models.UniqueConstraint(
                name="transaction_reversed_once", fields=["reverses"], condition=Q(reverses__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.kind}"


class Entry(models.Model):
    """One leg as posted. The primary key is the account's statement order; no foreign keys on this hot table."""

    pk = models.CompositePrimaryKey("account_id", "account_seq")
    account_id = models.BigIntegerField()
    account_seq = models.BigIntegerField()
    transaction_id = models.BigIntegerField()
    leg = models.IntegerField()
    asset_id = models.BigIntegerField()
    amount = models.BigIntegerField()
    balance_after = models.BigIntegerField()
    ref = models.CharField(max_length=MAX_REF, default="")

    class Meta:
        verbose_name_plural = "entries"
        constraints: ClassVar = [
            models.CheckConstraint(name="entry_amount_not_zero", condition=~Q(amount=0)),
            models.UniqueConstraint(name="entry_leg_once", fields=["transaction_id", "leg"]),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}:{self.account_seq}"


class HoldEntry(models.Model):
    """One change of what an account holds back: the evidence for `Account.held`, chained as entries are.

    `position` numbers the hold changes of a transaction from 1. Holds that stood before this evidence began are one
    row with transaction 0.
    """

    pk = models.CompositePrimaryKey("account_id", "hold_seq")
    account_id = models.BigIntegerField()
    hold_seq = models.BigIntegerField()
    transaction_id = models.BigIntegerField()
    position = models.IntegerField()
    delta = models.BigIntegerField()
    held_after = models.BigIntegerField()
    ref = models.CharField(max_length=MAX_REF, default="")

    class Meta:
        verbose_name_plural = "hold entries"
        constraints: ClassVar = [
            models.CheckConstraint(name="hold_delta_not_zero", condition=~Q(delta=0)),
            models.CheckConstraint(name="hold_never_negative", condition=Q(held_after__gte=0)),
            models.UniqueConstraint(
                name="hold_position_once", fields=["transaction_id", "position"], condition=Q(transaction_id__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}:{self.hold_seq}"
