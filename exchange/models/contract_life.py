"""What moves contracts through their lives: rules that list them ahead, and what two operators decided."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from exchange.wording import describe_length

MAX_WINDOWS_AHEAD = 400


class ListingRule(models.Model):
    """How the windows of one length of a product are listed ahead: `windows_ahead` of those whose gate has not closed.

    The band and the collar are permille of the listing price. That is `listing_price_ticks`, or with `follow_reference`
    the last reference price of the product's contracts of this length as soon as there is one.
    """

    product = models.ForeignKey("exchange.Product", on_delete=models.PROTECT, related_name="listing_rules")
    window_seconds = models.IntegerField(help_text="Length of the windows; a calendar month counts as 30 days.")
    windows_ahead = models.IntegerField()
    gate_open_lead_seconds = models.IntegerField(help_text="From the opening of the gate to the start of delivery.")
    gate_close_lead_seconds = models.IntegerField()
    listing_price_ticks = models.BigIntegerField()
    follow_reference = models.BooleanField(default=False)
    band_low_permille = models.IntegerField()
    band_high_permille = models.IntegerField()
    collar_permille = models.IntegerField(default=0)
    shard = models.SmallIntegerField(default=1)
    paused = models.BooleanField(default=False)
    refusal = models.CharField(
        max_length=300, default="", blank=True, help_text="Why the rule could not list a window when it was tried last."
    )
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=80)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="listing_rule_once", fields=["product", "window_seconds"]),
            models.CheckConstraint(
                name="listing_rule_windows_in_range",
                condition=Q(windows_ahead__gte=1, windows_ahead__lte=MAX_WINDOWS_AHEAD),
            ),
            models.CheckConstraint(
                name="listing_rule_gates_in_order",
                condition=Q(gate_close_lead_seconds__gte=0)
                & Q(gate_open_lead_seconds__gt=F("gate_close_lead_seconds")),
            ),
            models.CheckConstraint(
                name="listing_rule_price_in_band",
                condition=Q(
                    listing_price_ticks__gt=0,
                    band_low_permille__gte=1,
                    band_low_permille__lte=1_000,
                    band_high_permille__gte=1_000,
                    collar_permille__gte=0,
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product}, windows of {describe_length(self.window_seconds)}"


class DecisionKind(models.TextChoices):
    """The values are those of the commands that carry a decision out."""

    CANCEL_CONTRACT = "cancel_contract", "Cancel a contract"
    DEFAULT_PROVIDER = "default_provider", "Declare a provider's default"
    BUST_FILL = "bust_fill", "Bust a trade"


class DecisionState(models.TextChoices):
    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"


class OperatorDecision(models.Model):
    """An act that takes two operators: asked for by one with a reason, approved or refused by another.

    Approval puts the commands `seqs` into the line; what the sequencer makes of them is their results. `payload` names
    the subject by number: `{"contract_id": n}`, `{"provider_id": n}` or `{"fill_id": n}`.
    """

    kind = models.CharField(max_length=24, choices=DecisionKind)
    subject = models.CharField(max_length=120, help_text="A contract, a provider or a fill, as people call it.")
    payload = models.JSONField()
    reason = models.CharField(max_length=200, help_text="Why, as the one who asked says.")
    state = models.CharField(max_length=12, choices=DecisionState, default=DecisionState.REQUESTED)
    requested_by = models.CharField(max_length=80)
    requested_at = models.DateTimeField()
    decided_by = models.CharField(max_length=80, default="", blank=True)
    decided_at = models.DateTimeField(null=True)
    refusal = models.TextField(default="", blank=True)
    seqs = models.JSONField(default=list, help_text="The commands that carry it out.")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="decision_kind_known", condition=Q(kind__in=DecisionKind.values)),
            models.CheckConstraint(name="decision_has_reason", condition=~Q(reason="")),
            models.CheckConstraint(
                name="decision_by_another",
                condition=Q(state="requested", decided_by="", decided_at__isnull=True)
                | (~Q(decided_by="") & ~Q(decided_by__iexact=F("requested_by")) & Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="decision_state_complete",
                condition=Q(state__in=["requested", "approved"], refusal="") | (Q(state="refused") & ~Q(refusal="")),
            ),
            models.UniqueConstraint(
                name="decision_waits_once", fields=["kind", "subject"], condition=Q(state="requested")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.subject}"


class ProviderDefault(models.Model):
    """A provider that cannot or will not deliver any more: from `defaulted_at` on all that it owes is short. Final."""

    provider = models.OneToOneField("ledger.Party", on_delete=models.PROTECT, primary_key=True, related_name="default")
    decision = models.OneToOneField(OperatorDecision, on_delete=models.PROTECT)
    defaulted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.provider} at {self.defaulted_at}"
