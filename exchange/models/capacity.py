"""Who may sell what, and how much of it: qualifications, sites, capacity declarations and offers."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class Qualification(models.Model):
    """A provider may sell a product while this is valid. Carries what a buyer needs at the gate to reach it."""

    provider = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="qualifications")
    product = models.ForeignKey("exchange.Product", on_delete=models.PROTECT, related_name="qualifications")
    endpoint_url = models.URLField()
    model_name = models.CharField(max_length=120)
    access = models.TextField(help_text="How a buyer is granted access, in words a person can follow.")
    entitlement_attested_by = models.CharField(max_length=120)
    probe_evidence = models.TextField(default="", blank=True)
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="qualification_period_in_order", condition=Q(valid_from__lt=F("valid_until"))),
        ]

    def __str__(self) -> str:
        return f"{self.provider} · {self.product}"


class Site(models.Model):
    """A place where a provider turns power into tokens."""

    provider = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="sites")
    name = models.CharField(max_length=80)
    region = models.CharField(max_length=40)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="site_name_once", fields=["provider", "name"])]

    def __str__(self) -> str:
        return self.name


class CapacityDeclaration(models.Model):
    """What a site can sustain, in contract tokens a second. The latest of a site counts; none is ever edited.

    `basis` keeps how it was declared: `{"tokens_per_s": n}` or watts, contract-millitokens per joule, utilisation.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="declarations")
    basis = models.JSONField()
    tokens_per_s = models.BigIntegerField()
    declared_at = models.DateTimeField()
    declared_by = models.CharField(max_length=80)

    class Meta:
        get_latest_by = "id"
        constraints: ClassVar = [
            models.CheckConstraint(name="declaration_tokens_not_negative", condition=Q(tokens_per_s__gte=0))
        ]

    def __str__(self) -> str:
        return f"{self.site}: {self.tokens_per_s} tokens/s"


class CapacityAllocation(models.Model):
    """Parts per million of a site set aside for one product and window length."""

    declaration = models.ForeignKey(CapacityDeclaration, on_delete=models.PROTECT, related_name="allocations")
    product = models.ForeignKey("exchange.Product", on_delete=models.PROTECT)
    window_seconds = models.IntegerField()
    ppm = models.IntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="allocation_once", fields=["declaration", "product", "window_seconds"]),
            models.CheckConstraint(name="allocation_ppm_in_range", condition=Q(ppm__gt=0, ppm__lte=1_000_000)),
        ]

    def __str__(self) -> str:
        return f"{self.product} {self.window_seconds} s: {self.ppm} ppm"


class OfferState(models.TextChoices):
    OPEN = "open"
    WITHDRAWN = "withdrawn"


class Offer(models.Model):
    """A provider's listing over a range of windows; each window's contract gets one sell order of it."""

    provider = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="offers")
    product = models.ForeignKey("exchange.Product", on_delete=models.PROTECT)
    window_seconds = models.IntegerField()
    first_delivery = models.DateTimeField()
    last_delivery = models.DateTimeField(help_text="Start of the last window offered.")
    lots = models.BigIntegerField(help_text="Lots in each window.")
    price_ticks = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=OfferState, default=OfferState.OPEN)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=80)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="offer_range_in_order", condition=Q(first_delivery__lte=F("last_delivery"))),
            models.CheckConstraint(name="offer_amounts_positive", condition=Q(lots__gt=0, price_ticks__gt=0)),
            models.CheckConstraint(name="offer_state_known", condition=Q(state__in=OfferState.values)),
        ]

    def __str__(self) -> str:
        return f"{self.lots} lots of {self.product}"
