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
    PAUSED = "paused"  # its orders have left the book; resuming places them again
    WITHDRAWN = "withdrawn"


class Offer(models.Model):
    """A provider's listing over a range of windows; each window's contract gets one sell order of it.

    A window that is not listed yet gets its order when its gate opens, if it is listed under `terms` or older ones.
    """

    provider = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="offers")
    product = models.ForeignKey("exchange.Product", on_delete=models.PROTECT)
    terms = models.ForeignKey("exchange.ProductTerms", on_delete=models.PROTECT, related_name="+")
    window_seconds = models.IntegerField()
    first_delivery = models.DateTimeField()
    last_delivery = models.DateTimeField(help_text="Start of the last window offered.")
    weekdays = models.SmallIntegerField(default=127, help_text="Of the windows' starts in UTC; bit 0 is Monday.")
    lots = models.BigIntegerField(help_text="Lots in each window.")
    price_ticks = models.BigIntegerField(help_text="The lowest, if prices differ by the hour.")
    hourly_ticks = models.JSONField(null=True, help_text="Prices by UTC hour of the windows' starts, null: no offer.")
    state = models.CharField(max_length=10, choices=OfferState, default=OfferState.OPEN)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=80)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="offer_range_in_order", condition=Q(first_delivery__lte=F("last_delivery"))),
            models.CheckConstraint(name="offer_amounts_positive", condition=Q(lots__gt=0, price_ticks__gt=0)),
            models.CheckConstraint(name="offer_weekdays_known", condition=Q(weekdays__gte=1, weekdays__lte=127)),
            models.CheckConstraint(name="offer_state_known", condition=Q(state__in=OfferState.values)),
        ]
        indexes: ClassVar = [
            models.Index(name="offer_standing", fields=["last_delivery"], condition=Q(state=OfferState.OPEN)),
        ]

    def __str__(self) -> str:
        return f"{self.lots} lots of {self.product}"


class OfferOrder(models.Model):
    """An order that an offer placed in a contract; its id is the number of the command, decided or not.

    `replaceable`: the offer took it back itself, and may place another one in its stead. No foreign keys, as orders.
    """

    order_id = models.BigIntegerField(primary_key=True)
    offer_id = models.BigIntegerField(db_index=True)
    contract_id = models.BigIntegerField()
    replaceable = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"order {self.order_id} of offer {self.offer_id}"
