"""What later runs could not hold back again of a position's bond or overage."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class Unheld(models.Model):
    """By how much less a run holds back of a position's bond or overage (`ref`) than its figures say. Append-only.

    More than 0 where what was to be held again is only claimed, as its payer could not pay; less than 0 where a later
    run would have taken that out of the hold. The sum over all runs is what is missing.
    """

    run = models.ForeignKey("settlement.SettlementRun", on_delete=models.PROTECT, related_name="+")
    contract_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    ref = models.CharField(max_length=12)
    micros = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "unheld"
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="unheld_once_a_run", fields=["run", "contract_id", "buyer_id", "provider_id", "ref"]
            ),
            models.CheckConstraint(name="unheld_not_zero", condition=~Q(micros=0)),
        ]
        indexes: ClassVar = [models.Index(name="unheld_of_contract", fields=["contract_id"])]

    def __str__(self) -> str:
        return f"{self.contract_id}/{self.buyer_id}/{self.provider_id} {self.ref}: {self.micros}"
