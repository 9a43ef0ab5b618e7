"""Sums of usage by minute, what is not in them yet, and the days of events that were put aside."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from settlement.models.fields import WideSumField


class UsageMinute(models.Model):
    """What one side's meters said of a pair in a UTC minute, as reported: not reconciled, superseded events left out.

    Derived: made anew from the events at any time. A minute of which everything was taken back stays, with zeros.
    Bucket columns and `millitokens` are over completed requests and aggregates; `refused_millitokens` is the size of
    the refused demand.
    """

    pk = models.CompositePrimaryKey("contract_id", "buyer_id", "provider_id", "side", "minute")
    contract_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    side = models.CharField(max_length=10)
    minute = models.DateTimeField()
    started = models.BigIntegerField()
    completed = models.BigIntegerField()
    refused = models.BigIntegerField()
    input_uncached = WideSumField()
    input_cache_read = WideSumField()
    input_cache_write_short = WideSumField()
    input_cache_write_long = WideSumField()
    input_tool = WideSumField()
    output_visible = WideSumField()
    output_reasoning = WideSumField()
    millitokens = WideSumField()
    refused_millitokens = WideSumField()

    def __str__(self) -> str:
        return f"{self.contract_id}/{self.buyer_id}/{self.provider_id}/{self.side}/{self.minute}"


class PendingRollup(models.Model):
    """A call whose events are not in the roll-ups yet. Written with them, deleted with their sums.

    `failures`: how often it could not be summed; such calls are taken after all others.
    """

    batch_id = models.BigIntegerField(primary_key=True)
    received_at = models.DateTimeField()
    failures = models.IntegerField(default=0, db_default=0)

    class Meta:
        ordering: ClassVar = ["failures", "batch_id"]

    def __str__(self) -> str:
        return str(self.pk)


class DetachedDay(models.Model):
    """A UTC day (of receipt) whose events were put aside, as it was then: a table of its own, no longer read.

    Written by the owner of the database before it detaches the day, and kept when the day is attached again.
    `contracts` are those the day has events of. `digest` is the SHA-256 of the day's table in PostgreSQL's binary COPY
    format, all columns, in the order of its primary key. Append-only.
    """

    day = models.DateField(primary_key=True)
    rows = models.BigIntegerField()
    digest = models.BinaryField(max_length=32)
    contracts = ArrayField(models.BigIntegerField())
    detached_at = models.DateTimeField()
    actor = models.CharField(max_length=80)

    def __str__(self) -> str:
        return self.day.isoformat()
