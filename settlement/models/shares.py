"""Who shares in a provider's revenue."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class ShareSchedule(models.Model):
    """One version of a provider's benefit sharing for a product. Append-only; the latest at gate closure counts.

    `weights` maps a role (compute, model, dataset, power, platform) to `{"ppm": n, "party": code or ""}`; the parts
    sum to 1,000,000, and a part without a party goes to the held-share account.
    """

    provider = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="share_schedules")
    product = models.ForeignKey("exchange.Product", on_delete=models.PROTECT)
    version = models.IntegerField()
    weights = models.JSONField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=80)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="share_schedule_version", fields=["provider", "product", "version"])
        ]

    def __str__(self) -> str:
        return f"{self.provider} · {self.product} v{self.version}"
