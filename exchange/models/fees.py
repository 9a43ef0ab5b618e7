"""What trading costs, by how much a party trades."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from exchange.fee_schedule import Basis


class FeeSchedule(models.Model):
    """One version of maker and taker rates of a product, or of all products of a currency that have none of their own.

    Append-only. The highest version whose `valid_from` has come counts, for orders placed from then on. `basis` and
    `tiers` are those of `exchange.fee_schedule`.
    """

    currency = models.ForeignKey("ledger.Asset", on_delete=models.PROTECT)
    product = models.ForeignKey("exchange.Product", on_delete=models.PROTECT, null=True, blank=True)
    version = models.IntegerField()
    basis = models.CharField(max_length=8, choices=[(basis.value, basis.value) for basis in Basis])
    tiers = models.JSONField()
    valid_from = models.DateTimeField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=80)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="fee_schedule_version", fields=["currency", "product", "version"], nulls_distinct=False
            ),
            models.CheckConstraint(name="fee_schedule_basis_known", condition=Q(basis__in=list(Basis))),
        ]

    def __str__(self) -> str:
        return f"{self.product or self.currency} v{self.version}"


class PartyVolume(models.Model):
    """What a party bought and sold in a currency in the 30 days before `counted_at`. Derived from fills."""

    pk = models.CompositePrimaryKey("party_id", "currency_id")
    party_id = models.BigIntegerField()
    currency_id = models.BigIntegerField()
    volume_micros = models.BigIntegerField()
    counted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.party_id} in {self.currency_id}: {self.volume_micros}"
