"""Meters and what they reported. Events are partitioned by month, their identities by hash; both are made in SQL."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class MeterSide(models.TextChoices):
    PROVIDER = "provider"
    BUYER = "buyer"
    GATEWAY = "gateway"


class Meter(models.Model):
    """A source of usage events. `code` is the CloudEvents `source`; only keys of its party may report for it."""

    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="meters")
    code = models.CharField(max_length=80, unique=True)
    side = models.CharField(max_length=10, choices=MeterSide)
    registered_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="meter_side_known", condition=Q(side__in=MeterSide.values))
        ]

    def __str__(self) -> str:
        return self.code


class EventStatus(models.TextChoices):
    ACCEPTED = "accepted"
    QUARANTINED = "quarantined"


class UsageEvent(models.Model):
    """One metered request as reported. Append-only; partitioned by month of its contract's delivery start, so that
    settling a contract reads one partition and a meter's wrong clock can make none.

    `kind` is completed or refused. Buckets are disjoint counts; `millitokens` their weighted sum in
    milli-contract-tokens. A quarantined event keeps its raw object and the reason, and moves no money.
    """

    pk = models.CompositePrimaryKey("window_start", "id")
    window_start = models.DateTimeField()
    id = models.BigIntegerField()
    accepted_at = models.DateTimeField()
    meter_id = models.BigIntegerField()
    event_id = models.CharField(max_length=120)
    kind = models.CharField(max_length=12)
    contract_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    request_id = models.CharField(max_length=120)
    retry_of = models.CharField(max_length=120, default="")
    refusal_reason = models.CharField(max_length=20, default="")
    family = models.CharField(max_length=32)
    raw = models.JSONField()
    content_hash = models.BinaryField(max_length=32)
    buckets = models.JSONField()
    millitokens = models.BigIntegerField()
    status = models.CharField(max_length=12, choices=EventStatus)
    quarantine_reason = models.CharField(max_length=60, default="")
    received_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "settlement_usageevent"

    def __str__(self) -> str:
        return f"{self.meter_id}/{self.event_id}"


class UsageDedup(models.Model):
    """(meter, event id) was seen, with this content. Hash-partitioned; outlives the events."""

    pk = models.CompositePrimaryKey("meter_id", "event_id")
    meter_id = models.BigIntegerField()
    event_id = models.CharField(max_length=120)
    content_hash = models.BinaryField(max_length=32)
    usage_event_id = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "settlement_usagededup"

    def __str__(self) -> str:
        return f"{self.meter_id}/{self.event_id}"


class UsageConflict(models.Model):
    """The same id came again with other content: kept as evidence, counted nowhere."""

    meter_id = models.BigIntegerField()
    event_id = models.CharField(max_length=120)
    first_hash = models.BinaryField(max_length=32)
    content_hash = models.BinaryField(max_length=32)
    raw = models.JSONField()
    received_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="usage_conflict_once", fields=["meter_id", "event_id", "content_hash"])
        ]

    def __str__(self) -> str:
        return f"{self.meter_id}/{self.event_id}"
