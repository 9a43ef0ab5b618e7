"""Money in and out of the market, and corrections: each asked for by one person and decided by another."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from ledger.texts import MAX_REF


class TransferKind(models.TextChoices):
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    REVERSAL = "reversal"


class TransferState(models.TextChoices):
    REQUESTED = "requested"
    POSTED = "posted"
    REFUSED = "refused"


class Transfer(models.Model):
    """A deposit, a withdrawal (whose amount is held from the request on) or the reversal of one of them.

    Approval and posting are one database transaction, so there is no state in between. `payment_reference` is the
    bank's, or for a reversal that of what it reverses.
    """

    kind = models.CharField(max_length=12, choices=TransferKind)
    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT)
    currency = models.ForeignKey("ledger.Asset", on_delete=models.PROTECT)
    micros = models.BigIntegerField()
    payment_reference = models.CharField(max_length=MAX_REF)
    reverses = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="reversals")
    note = models.TextField(default="", blank=True, help_text="Why, as the one who asked says.")
    state = models.CharField(max_length=12, choices=TransferState, default=TransferState.REQUESTED)
    requested_by = models.CharField(max_length=80)
    requested_at = models.DateTimeField()
    decided_by = models.CharField(max_length=80, default="", blank=True)
    decided_at = models.DateTimeField(null=True)
    refusal = models.TextField(default="", blank=True)
    transaction_id = models.BigIntegerField(null=True, help_text="What posted it.")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="transfer_kind_known", condition=Q(kind__in=TransferKind.values)),
            models.CheckConstraint(name="transfer_amount_positive", condition=Q(micros__gt=0)),
            models.CheckConstraint(
                name="transfer_reverses_when_reversal", condition=Q(reverses__isnull=False) ^ ~Q(kind="reversal")
            ),
            models.CheckConstraint(
                name="transfer_decided_by_another",
                condition=Q(state="requested", decided_by="", decided_at__isnull=True)
                | (~Q(decided_by="") & ~Q(decided_by=F("requested_by")) & Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="transfer_state_complete",
                condition=Q(state="requested", transaction_id__isnull=True)
                | Q(state="posted", transaction_id__isnull=False)
                | (Q(state="refused", transaction_id__isnull=True) & ~Q(refusal="")),
            ),
            models.UniqueConstraint(
                name="transfer_payment_once",
                fields=["kind", "party", "payment_reference"],
                condition=~Q(state="refused") & ~Q(kind="reversal"),
            ),
            models.UniqueConstraint(name="transfer_reversed_once", fields=["reverses"], condition=~Q(state="refused")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.payment_reference}"
