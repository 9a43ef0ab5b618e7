"""What is traded: products with versioned terms, and contracts (a product in a delivery window)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

SHARDS = 8  # each has a row of `SequencerState`; how many are used, contracts say


class Product(models.Model):
    """What is delivered, by name; its content is in `ProductTerms`. `code` is like `QWEN3-235B.CN-EAST.STD`."""

    code = models.CharField(max_length=60, unique=True)
    description = models.CharField(max_length=200, default="", blank=True)
    currency = models.ForeignKey("ledger.Asset", on_delete=models.PROTECT)
    listed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.code


class ProductTerms(models.Model):
    """One version of a product's terms. Append-only; `terms_hash` is the SHA-256 of their RFC 8785 form."""

    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="versions")
    version = models.IntegerField()
    terms = models.JSONField()
    terms_hash = models.BinaryField(max_length=32)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=80)

    class Meta:
        verbose_name_plural = "product terms"
        constraints: ClassVar = [models.UniqueConstraint(name="product_terms_version", fields=["product", "version"])]

    def __str__(self) -> str:
        return f"{self.product_id} v{self.version}"


class ContractState(models.TextChoices):
    LISTED = "listed"
    TRADING = "trading"
    HALTED = "halted"
    CLOSED = "closed"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    SETTLED = "settled"
    CANCELLED = "cancelled"


OPEN_STATES = (ContractState.LISTED, ContractState.TRADING, ContractState.HALTED)  # it may have a book
UNDELIVERED_STATES = (*OPEN_STATES, ContractState.CLOSED, ContractState.DELIVERING)  # it may be cancelled


class Contract(models.Model):
    """A product in a delivery window `[delivery_start, delivery_end)`; pins its terms at listing.

    Prices are in ticks. `reference_price_micros` (per million contract tokens) is fixed at gate closure, with the
    fallback step that gave it. A contract cancelled before delivery is over; one cancelled during it is settled, and
    what was not delivered by `cancelled_at` is short.
    """

    symbol = models.CharField(max_length=80, unique=True)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="contracts")
    terms = models.ForeignKey(ProductTerms, on_delete=models.PROTECT)
    asset = models.OneToOneField("ledger.Asset", on_delete=models.PROTECT)
    delivery_start = models.DateTimeField(db_index=True)
    delivery_end = models.DateTimeField(db_index=True)
    gate_open = models.DateTimeField()
    gate_close = models.DateTimeField(db_index=True)
    state = models.CharField(max_length=12, choices=ContractState, default=ContractState.LISTED, db_index=True)
    state_reason = models.CharField(
        max_length=200, default="", blank=True, help_text="Why it is halted or was cancelled."
    )
    cancelled_at = models.DateTimeField(null=True)
    listing_price_ticks = models.BigIntegerField()
    band_low_ticks = models.BigIntegerField()
    band_high_ticks = models.BigIntegerField()
    collar_permille = models.IntegerField(
        default=0, help_text="Trading halts instead of trading further than this from the last price; 0: no collar."
    )
    bond_per_lot = models.BigIntegerField()
    shard = models.SmallIntegerField(default=1)
    reference_price_micros = models.BigIntegerField(null=True)
    reference_step = models.CharField(max_length=24, default="", blank=True)
    obligations_hash = models.BinaryField(max_length=32, null=True)
    listed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="contract_window_once", fields=["product", "delivery_start", "delivery_end"]),
            models.CheckConstraint(
                name="contract_gates_in_order",
                condition=Q(gate_open__lt=F("gate_close"))
                & Q(gate_close__lte=F("delivery_start"))
                & Q(delivery_start__lt=F("delivery_end")),
            ),
            models.CheckConstraint(
                name="contract_listed_before_gate_close", condition=Q(listed_at__lt=F("gate_close"))
            ),
            models.CheckConstraint(
                name="contract_price_in_band",
                condition=Q(band_low_ticks__gt=0)
                & Q(listing_price_ticks__gte=F("band_low_ticks"))
                & Q(listing_price_ticks__lte=F("band_high_ticks")),
            ),
            models.CheckConstraint(name="contract_shard_known", condition=Q(shard__range=(1, SHARDS))),
            models.CheckConstraint(name="contract_state_known", condition=Q(state__in=ContractState.values)),
        ]

    def __str__(self) -> str:
        return self.symbol
