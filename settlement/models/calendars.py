"""When products are settled, what an operator excused, and rights to make up for what was paid and not taken."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class SettlementCalendar(models.Model):
    """One version of a product's own settlement calendar. Append-only; contracts follow the latest at their gates.

    Periods count from midnight UTC and are of whole minutes that divide a day. Lags are after the period's end; a final
    run without a true-up lag is the last one.
    """

    product = models.ForeignKey("exchange.Product", on_delete=models.PROTECT, related_name="settlement_calendars")
    version = models.IntegerField()
    period_minutes = models.IntegerField()
    indicative_lag_minutes = models.IntegerField(null=True)
    initial_lag_minutes = models.IntegerField()
    final_lag_minutes = models.IntegerField()
    true_up_lag_minutes = models.IntegerField(null=True)
    dispute_minutes = models.IntegerField()  # after the run was due
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=80)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="settlement_calendar_version", fields=["product", "version"]),
            models.CheckConstraint(
                name="settlement_calendar_in_order",
                condition=Q(period_minutes__range=(1, 1440), initial_lag_minutes__gte=0, dispute_minutes__gte=0)
                & Q(final_lag_minutes__gt=F("initial_lag_minutes"))
                & (Q(true_up_lag_minutes__isnull=True) | Q(true_up_lag_minutes__gt=F("final_lag_minutes")))
                & (Q(indicative_lag_minutes__isnull=True) | Q(indicative_lag_minutes__lt=F("initial_lag_minutes"))),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product} v{self.version}"


class RequestState(models.TextChoices):
    REQUESTED = "requested"
    CONFIRMED = "confirmed"  # by another person
    REFUSED = "refused"


class ForceMajeure(models.Model):
    """From `starts_at` to `ends_at` a provider owes no damages; of one product, or of all. Takes two operators."""

    provider = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="+")
    product = models.ForeignKey("exchange.Product", on_delete=models.PROTECT, null=True, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.TextField()
    state = models.CharField(max_length=12, choices=RequestState, default=RequestState.REQUESTED)
    requested_by = models.CharField(max_length=80)
    requested_at = models.DateTimeField()
    decided_by = models.CharField(max_length=80, default="", blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "force majeure"
        constraints: ClassVar = [
            models.CheckConstraint(name="force_majeure_in_order", condition=Q(starts_at__lt=F("ends_at"))),
            models.CheckConstraint(
                name="force_majeure_decided_by_another",
                condition=Q(state="requested", decided_by="", decided_at__isnull=True)
                | (
                    Q(state__in=["confirmed", "refused"])
                    & ~Q(decided_by="")
                    & ~Q(decided_by=F("requested_by"))
                    & Q(decided_at__isnull=False)
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.starts_at:%Y-%m-%d %H:%M}"


class MakeUpCredit(models.Model):
    """Unused tokens of a position that its buyer may still take from the same provider, cumulative. Append-only.

    As a run found it; the latest published run of the contract counts. Usable in windows of the product that start
    before `expires_at`, at `charge_permille` of the position's price (`notional_micros` for `bought_tokens`).
    """

    run = models.ForeignKey("settlement.SettlementRun", on_delete=models.PROTECT, related_name="make_up_credits")
    contract_id = models.BigIntegerField()
    product_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    tokens = models.BigIntegerField()
    bought_tokens = models.BigIntegerField()
    notional_micros = models.BigIntegerField()
    charge_permille = models.IntegerField()
    usable_from = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="make_up_credit_once_a_run", fields=["run", "contract_id", "buyer_id", "provider_id"]
            )
        ]
        indexes: ClassVar = [models.Index(name="make_up_of_pair", fields=["product_id", "buyer_id", "provider_id"])]

    def __str__(self) -> str:
        return f"{self.contract_id}/{self.buyer_id}/{self.provider_id}: {self.tokens}"


class MakeUpUse(models.Model):
    """Tokens of a credit that a position of a later window took, cumulative as its run found it. Append-only.

    The credit is that of the position of the same pair in `source_contract_id`.
    """

    run = models.ForeignKey("settlement.SettlementRun", on_delete=models.PROTECT, related_name="make_up_uses")
    contract_id = models.BigIntegerField()
    source_contract_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    tokens = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="make_up_use_once_a_run",
                fields=["run", "contract_id", "source_contract_id", "buyer_id", "provider_id"],
            )
        ]
        indexes: ClassVar = [
            models.Index(name="make_up_use_of_source", fields=["source_contract_id", "buyer_id", "provider_id"])
        ]

    def __str__(self) -> str:
        return f"{self.contract_id} from {self.source_contract_id}: {self.tokens}"
