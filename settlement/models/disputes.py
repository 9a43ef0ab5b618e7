"""Disputes of statement lines, and what parties are told."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class DisputeReason(models.TextChoices):
    QUANTITY = "quantity"
    QUALITY = "quality"  # of service: time to first token, speed, availability
    PRICE = "price"
    REFUSALS = "refusals"
    SHARES = "shares"
    OTHER = "other"


class DisputeState(models.TextChoices):
    OPEN = "open"
    PROPOSED = "proposed"  # one operator has proposed a decision
    UPHELD = "upheld"  # confirmed by another; its disputed-final run is to come
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    SETTLED = "settled"  # the suspended amount is back with whom it belongs to


class Dispute(models.Model):
    """One line of a party's statement that the party says is wrong, by an amount.

    `suspended_micros` of it lies in the house's suspense account of the contract until the dispute is over, taken from
    `payee_id`. `decided_micros`: how much of the disputed amount was right to dispute.
    """

    statement = models.ForeignKey("settlement.Statement", on_delete=models.PROTECT, related_name="disputes")
    line_number = models.BigIntegerField()
    line_kind = models.CharField(max_length=32)
    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="+")
    payee_id = models.BigIntegerField()
    contract_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    reason = models.CharField(max_length=12, choices=DisputeReason)
    text = models.TextField()
    disputed_micros = models.BigIntegerField()
    suspended_micros = models.BigIntegerField(default=0)
    state = models.CharField(max_length=12, choices=DisputeState, default=DisputeState.OPEN)
    opened_at = models.DateTimeField()
    opened_by = models.CharField(max_length=80)
    decide_by = models.DateTimeField()
    decided_micros = models.BigIntegerField(null=True)
    proposed_by = models.CharField(max_length=80, default="", blank=True)
    decided_by = models.CharField(max_length=80, default="", blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="dispute_state_known", condition=Q(state__in=DisputeState.values)),
            models.CheckConstraint(name="dispute_reason_known", condition=Q(reason__in=DisputeReason.values)),
            models.CheckConstraint(
                name="dispute_amounts_fit",
                condition=Q(disputed_micros__gt=0, suspended_micros__gte=0)
                & Q(suspended_micros__lte=F("disputed_micros"))
                & (Q(decided_micros__isnull=True) | Q(decided_micros__range=(0, F("disputed_micros")))),
            ),
            models.CheckConstraint(
                name="dispute_decided_by_another",
                condition=~Q(state__in=["upheld", "rejected"])
                | (
                    ~Q(proposed_by="")
                    & ~Q(decided_by="")
                    & ~Q(decided_by=F("proposed_by"))
                    & Q(decided_at__isnull=False, decided_micros__isnull=False)
                ),
            ),
            models.UniqueConstraint(
                name="dispute_once_a_line",
                fields=["statement", "line_number"],
                condition=~Q(state__in=["withdrawn", "rejected", "settled"]),
            ),
        ]
        indexes: ClassVar = [models.Index(name="dispute_of_contract", fields=["contract_id", "state"])]

    def __str__(self) -> str:
        return f"{self.statement_id}/{self.line_number}: {self.state}"


class DisputeEntryKind(models.TextChoices):
    OPENED = "opened"
    EVIDENCE = "evidence"
    STATEMENT = "statement"  # of a party
    PROPOSAL = "proposal"
    REJECTION = "rejection"  # of a proposal, by another operator
    DECISION = "decision"
    WITHDRAWAL = "withdrawal"
    SETTLEMENT = "settlement"


class DisputeEntry(models.Model):
    """What happened in a dispute, in order. Append-only. `party_id` is whose word it is; none: the exchange's."""

    dispute = models.ForeignKey(Dispute, on_delete=models.PROTECT, related_name="entries")
    sequence = models.IntegerField()
    kind = models.CharField(max_length=12, choices=DisputeEntryKind)
    at = models.DateTimeField()
    actor = models.CharField(max_length=80)
    party_id = models.BigIntegerField(null=True)
    text = models.TextField(default="", blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "dispute entries"
        constraints: ClassVar = [
            models.UniqueConstraint(name="dispute_entry_once", fields=["dispute", "sequence"]),
            models.CheckConstraint(name="dispute_entry_kind_known", condition=Q(kind__in=DisputeEntryKind.values)),
        ]

    def __str__(self) -> str:
        return f"{self.dispute_id}/{self.sequence} {self.kind}"


class DisputeEvidence(models.Model):
    """A file that a party put beside what it said. Append-only."""

    entry = models.ForeignKey(DisputeEntry, on_delete=models.PROTECT, related_name="files")
    name = models.CharField(max_length=120)
    media_type = models.CharField(max_length=80)
    content = models.BinaryField()
    digest = models.BinaryField(max_length=32)

    class Meta:
        verbose_name_plural = "dispute evidence"
        constraints: ClassVar = [models.UniqueConstraint(name="dispute_evidence_once", fields=["entry", "digest"])]

    def __str__(self) -> str:
        return self.name


class PartyNotice(models.Model):
    """Something a party was told: of a dispute that concerns it, a run, a returned payment. Append-only.

    `subject` names what it is about, such as `dispute:7` or `run:12`; each is told once of each `kind` and subject.
    """

    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="notices")
    kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=120)
    text = models.TextField()
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="notice_once", fields=["party", "kind", "subject"])]

    def __str__(self) -> str:
        return f"{self.party}: {self.kind} {self.subject}"
