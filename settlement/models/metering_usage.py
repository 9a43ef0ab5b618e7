"""What meters reported. Events are partitioned by the day they were received, their identities by hash; both are made
in SQL, and all of it is append-only.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class EventKind(models.TextChoices):
    """What an event says of its request. A correction has the kind of what it puts in the place of the old."""

    STARTED = "started"
    COMPLETED = "completed"
    REFUSED = "refused"
    VOID = "void"  # of a correction: there was no such request
    AGGREGATE = "aggregate"  # all completed requests of a UTC minute, signed


class UsageEvent(models.Model):
    """One event as reported, by its place in a call.

    The eight bucket columns are disjoint raw token counts; `millitokens` is their weighted sum in
    milli-contract-tokens, for a refusal the size of the refused demand. `raw` is the provider's usage object, byte for
    byte as it came. A quarantined event has a reason and moves no money. `supersedes` is the event id of the same meter
    that a correction replaces, `why` its reason. `requests` is 1 except for an aggregate, whose `records_root` commits
    to the single records behind it. `ttft_ms` is the time to the first token, `output_ms` from there to the last, both
    of one completed request and none if its meter did not say.
    """

    pk = models.CompositePrimaryKey("received_at", "batch_id", "place")
    received_at = models.DateTimeField()
    batch_id = models.BigIntegerField()
    accepted_at = models.DateTimeField()
    event_time = models.DateTimeField()
    meter_id = models.BigIntegerField()
    contract_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    input_uncached = models.BigIntegerField(default=0)
    input_cache_read = models.BigIntegerField(default=0)
    input_cache_write_short = models.BigIntegerField(default=0)
    input_cache_write_long = models.BigIntegerField(default=0)
    input_tool = models.BigIntegerField(default=0)
    output_visible = models.BigIntegerField(default=0)
    output_reasoning = models.BigIntegerField(default=0)
    unexplained = models.BigIntegerField(default=0)
    millitokens = models.BigIntegerField(default=0)
    place = models.IntegerField()
    requests = models.IntegerField(default=1)
    adapter_version = models.SmallIntegerField(default=0)
    kind = models.CharField(max_length=12, choices=EventKind)
    event_id = models.CharField(max_length=120)
    content_hash = models.BinaryField(max_length=32)
    request_id = models.CharField(max_length=120)
    family = models.CharField(max_length=32, default="")
    raw = models.BinaryField(null=True)
    retry_of = models.CharField(max_length=120, null=True)
    refusal_reason = models.CharField(max_length=20, null=True)
    quarantine_reason = models.CharField(max_length=60, null=True)
    supersedes = models.CharField(max_length=120, null=True)
    why = models.CharField(max_length=200, null=True)
    records_root = models.BinaryField(max_length=32, null=True)
    ttft_ms = models.IntegerField(null=True)
    output_ms = models.IntegerField(null=True)

    class Meta:
        managed = False
        db_table = "settlement_usageevent"

    def __str__(self) -> str:
        return f"{self.meter_id}/{self.event_id}"


class UsageDedup(models.Model):
    """(meter, event id) was seen, with this content, at this place. Hash-partitioned; outlives the events."""

    pk = models.CompositePrimaryKey("meter_id", "event_id")
    meter_id = models.BigIntegerField()
    batch_id = models.BigIntegerField()
    place = models.IntegerField()
    event_id = models.CharField(max_length=120)
    content_hash = models.BinaryField(max_length=32)

    class Meta:
        managed = False
        db_table = "settlement_usagededup"

    def __str__(self) -> str:
        return f"{self.meter_id}/{self.event_id}"


class UsageConflict(models.Model):
    """The same id came again with other content: kept as evidence, counted nowhere. `raw` is the event as it came."""

    meter_id = models.BigIntegerField()
    event_id = models.CharField(max_length=120)
    first_hash = models.BinaryField(max_length=32)
    content_hash = models.BinaryField(max_length=32)
    raw = models.BinaryField()
    received_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="usage_conflict_once", fields=["meter_id", "event_id", "content_hash"])
        ]

    def __str__(self) -> str:
        return f"{self.meter_id}/{self.event_id}"


class UsageSupersession(models.Model):
    """An event that a correction of the same meter replaced; once for each event. Both stay visible."""

    pk = models.CompositePrimaryKey("meter_id", "event_id")
    meter_id = models.BigIntegerField()
    event_id = models.CharField(max_length=120)
    by_event_id = models.CharField(max_length=120)
    contract_id = models.BigIntegerField()
    batch_id = models.BigIntegerField()  # of the correction

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["contract_id"], name="usage_supersession_of_contract"),
            models.Index(fields=["batch_id"], name="usage_supersession_of_batch"),
        ]

    def __str__(self) -> str:
        return f"{self.meter_id}/{self.event_id}"


class UsageWatermark(models.Model):
    """A meter's word that it sent all its events of a contract accepted before `up_to`: how many, and which.

    `events` counts its events of the contract with `accepted_at < up_to`, watermarks not among them; `root` is the
    RFC 9162 Merkle root over their ids (UTF-8, sorted bytewise). `sequence` counts 1, 2, 3 … for each meter and
    contract, so that a lost watermark shows.
    """

    pk = models.CompositePrimaryKey("meter_id", "contract_id", "sequence")
    meter_id = models.BigIntegerField()
    contract_id = models.BigIntegerField()
    sequence = models.BigIntegerField()
    up_to = models.DateTimeField()
    events = models.BigIntegerField()
    root = models.BinaryField(max_length=32)
    event_id = models.CharField(max_length=120)
    batch_id = models.BigIntegerField()
    received_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["contract_id"], name="usage_watermark_of_contract"),
            models.Index(fields=["batch_id"], name="usage_watermark_of_batch"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(name="usage_watermark_counts", condition=models.Q(sequence__gte=1, events__gte=0))
        ]

    def __str__(self) -> str:
        return f"{self.meter_id}/{self.contract_id}/{self.sequence}"
