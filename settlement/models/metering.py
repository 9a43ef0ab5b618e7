"""Meters, their keys, and the calls they made. What they reported is in `metering_usage`."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class MeterSide(models.TextChoices):
    PROVIDER = "provider"
    BUYER = "buyer"
    GATEWAY = "gateway"


class Meter(models.Model):
    """A source of usage events. `code` is the CloudEvents `source`; only keys of its party may report for it.

    With `signature_required` what it sends unsigned is rejected.
    """

    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="meters")
    code = models.CharField(max_length=80, unique=True)
    side = models.CharField(max_length=10, choices=MeterSide)
    signature_required = models.BooleanField(default=False)
    registered_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="meter_side_known", condition=Q(side__in=MeterSide.values))
        ]

    def __str__(self) -> str:
        return self.code


class MeterKey(models.Model):
    """An Ed25519 public key of a meter: the raw 32 bytes, named by its RFC 7638 thumbprint.

    A signature counts if the key was not revoked when the call was received. Revoking is final (a trigger).
    """

    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="keys")
    thumbprint = models.CharField(max_length=43, unique=True)
    public_key = models.BinaryField(max_length=32)
    registered_at = models.DateTimeField()
    registered_by = models.CharField(max_length=80)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=80, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="meter_key_revoked_by_someone",
                condition=Q(revoked_at=None, revoked_by="") | (Q(revoked_at__isnull=False) & ~Q(revoked_by="")),
            )
        ]

    def __str__(self) -> str:
        return self.thumbprint


class UsageBatch(models.Model):
    """One call of a party's meters: when it came, who sent it, and what became of its events. Append-only.

    `body_digest` is the SHA-256 of the body as it arrived, before any decompression.
    """

    id = models.BigIntegerField(primary_key=True)  # from settlement_usagebatch_id_seq, before its events are written
    party_id = models.BigIntegerField()
    actor = models.CharField(max_length=80)
    received_at = models.DateTimeField()
    body_digest = models.BinaryField(max_length=32)
    accepted = models.IntegerField()
    duplicates = models.IntegerField()
    conflicts = models.IntegerField()
    quarantined = models.IntegerField()
    rejected = models.IntegerField()

    class Meta:
        verbose_name_plural = "usage batches"
        indexes: ClassVar = [models.Index(fields=["party_id", "id"], name="usage_batch_of_party")]

    def __str__(self) -> str:
        return str(self.pk)


class SignedBatch(models.Model):
    """What proves a signed call: its bytes and its RFC 9421 signature. Append-only; one a signed `UsageBatch`."""

    batch_id = models.BigIntegerField(primary_key=True)
    meter_key = models.ForeignKey(MeterKey, on_delete=models.PROTECT, related_name="+")
    signature_input = models.CharField(max_length=400)  # the parameters as sent, the end of the signature base
    signature = models.BinaryField(max_length=64)
    path = models.CharField(max_length=200)
    content_type = models.CharField(max_length=100)
    content_encoding = models.CharField(max_length=20, blank=True, default="")
    body = models.BinaryField()

    class Meta:
        verbose_name_plural = "signed batches"

    def __str__(self) -> str:
        return str(self.pk)
