"""What reconciling found, and what became of it: figures of each pair, bias decisions, discrepancy cases; and the queue
of contracts whose usage changed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from settlement.metering.records import CaseKind, Ruling
from settlement.models.fields import WideSumField


def _choices(words: type[StrEnum]) -> list[tuple[str, str]]:
    """Choices of a field from the words of a pure module, labelled as Django would label its own."""
    return [(word.value, word.name.replace("_", " ").title()) for word in words]


class PairReconciliation(models.Model):
    """What the meters of both sides came to for a (contract, buyer, provider), once a set of inputs. Append-only.

    The highest `revision` stands. The four figures are the material of the bias register: over requests that both
    parties' meters reported as delivered and that agree within tolerance, the signed sum of provider's minus buyer's
    milli-contract-tokens, the sum of what tolerance allowed, how many they are, and how many differ at all.
    """

    contract_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    revision = models.IntegerField()
    product_id = models.BigIntegerField()
    delivery_start = models.DateTimeField()
    reconciled_at = models.DateTimeField()
    input_digest = models.BinaryField(max_length=32)
    tolerance_zero = models.BooleanField()
    difference_millitokens = WideSumField()
    tolerance_millitokens = WideSumField()
    compared_requests = models.BigIntegerField()
    differing_requests = models.BigIntegerField()
    figures = models.JSONField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="pair_reconciliation_once", fields=["contract_id", "buyer_id", "provider_id", "revision"]
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["provider_id", "buyer_id", "product_id", "delivery_start"], name="pair_bias_window")
        ]

    def __str__(self) -> str:
        return f"{self.contract_id}/{self.buyer_id}/{self.provider_id} #{self.revision}"


class BiasStep(models.TextChoices):
    ZEROED = "zeroed"  # tolerance is 0 for windows that start from then on
    RESTORED = "restored"  # after an operator's review


class BiasDecision(models.Model):
    """A change of the tolerance of (provider, buyer, product); the last one that took effect stands. Append-only."""

    provider_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    product_id = models.BigIntegerField()
    step = models.CharField(max_length=10, choices=BiasStep)
    effective_from = models.DateTimeField()
    decided_at = models.DateTimeField()
    decided_by = models.CharField(max_length=80)
    figures = models.JSONField(default=dict)
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(name="bias_step_known", condition=Q(step__in=BiasStep.values))]
        indexes: ClassVar = [models.Index(fields=["provider_id", "buyer_id", "product_id"], name="bias_of_pair")]

    def __str__(self) -> str:
        return f"{self.provider_id}/{self.buyer_id}/{self.product_id} {self.step}"


class CaseState(models.TextChoices):
    OPEN = "open"
    ANSWERED = "answered"  # a party has said something
    PROPOSED = "proposed"  # an operator proposed a ruling
    DECIDED = "decided"  # another operator confirmed it; the next run follows it
    RESOLVED = "resolved"  # later events took the discrepancy away


class DiscrepancyCase(models.Model):
    """One kind of discrepancy in a (contract, buyer, provider), over all its requests. Visible to both sides.

    Figures are those of the last reconciliation: what each side's meters say of the requests in question and what
    settles, in milli-contract-tokens. States move as `settlement_guard_case` allows.
    """

    contract_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    kind = models.CharField(max_length=20, choices=_choices(CaseKind))
    state = models.CharField(max_length=10, choices=CaseState, default=CaseState.OPEN)
    opened_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    requests = models.BigIntegerField()
    provider_millitokens = WideSumField()
    buyer_millitokens = WideSumField()
    settled_millitokens = WideSumField()
    ruling = models.CharField(max_length=10, choices=_choices(Ruling), blank=True, default="")
    proposed_by = models.CharField(max_length=80, blank=True, default="")
    decided_by = models.CharField(max_length=80, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="case_once", fields=["contract_id", "buyer_id", "provider_id", "kind"]),
            models.CheckConstraint(name="case_kind_known", condition=Q(kind__in=[kind.value for kind in CaseKind])),
            models.CheckConstraint(name="case_state_known", condition=Q(state__in=CaseState.values)),
            models.CheckConstraint(
                name="case_decided_by_another", condition=Q(decided_by="") | ~Q(decided_by=F("proposed_by"))
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["buyer_id", "id"], name="case_of_buyer"),
            models.Index(fields=["provider_id", "id"], name="case_of_provider"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"


class CaseEntryKind(models.TextChoices):
    FOUND = "found"  # opened, opened again, or found with other figures
    STATEMENT = "statement"  # of a party
    PROPOSAL = "proposal"
    REJECTION = "rejection"  # of a proposal, by another operator
    DECISION = "decision"
    RESOLUTION = "resolution"


class CaseEntry(models.Model):
    """What happened in a case, in order. Append-only. `party_id` is whose word it is; none: the exchange's."""

    case = models.ForeignKey(DiscrepancyCase, on_delete=models.PROTECT, related_name="entries")
    sequence = models.IntegerField()
    kind = models.CharField(max_length=12, choices=CaseEntryKind)
    at = models.DateTimeField()
    actor = models.CharField(max_length=80)
    party_id = models.BigIntegerField(null=True)
    text = models.CharField(max_length=2_000, blank=True, default="")
    details = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "case entries"
        constraints: ClassVar = [
            models.UniqueConstraint(name="case_entry_once", fields=["case", "sequence"]),
            models.CheckConstraint(name="case_entry_kind_known", condition=Q(kind__in=CaseEntryKind.values)),
        ]

    def __str__(self) -> str:
        return f"{self.case_id}/{self.sequence} {self.kind}"


class ReconcileQueue(models.Model):
    """A contract whose usage, watermarks or rulings changed `since` it was reconciled last.

    `turn` counts how often it was put in line: what changes while it is reconciled keeps it there.
    """

    contract_id = models.BigIntegerField(primary_key=True)
    since = models.DateTimeField()
    turn = models.BigIntegerField(default=1)

    class Meta:
        verbose_name_plural = "reconcile queue"
        indexes: ClassVar = [models.Index(fields=["since", "contract_id"], name="reconcile_queue_order")]

    def __str__(self) -> str:
        return str(self.contract_id)
