"""Orders and fills."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import OrderType, PostOnly, SelfTrade, Side, TimeInForce


class Order(models.Model):
    """An order as it stands. `id` is the sequence of the command that placed it.

    `priority` is the sequence of the command that gave it its place in the queue: its own, or that of its last
    amendment that lost it. `budget` (ticks times lots) bounds a market buy, whose `lots` are then the most it could
    buy. `group_id` is whose orders it never trades with. No foreign keys: hot table, its contract and party were
    checked at intake.
    """

    id = models.BigIntegerField(primary_key=True)
    contract_id = models.BigIntegerField()
    party_id = models.BigIntegerField()
    side = models.CharField(max_length=4, choices=[(side.value, side.value) for side in Side])
    price_ticks = models.BigIntegerField()
    lots = models.BigIntegerField()
    remaining_lots = models.BigIntegerField()
    order_type = models.CharField(
        max_length=6, choices=[(each.value, each.value) for each in OrderType], default=OrderType.LIMIT
    )
    time_in_force = models.CharField(max_length=4, choices=[(tif.value, tif.value) for tif in TimeInForce])
    post_only = models.CharField(
        max_length=7, choices=[(each.value, each.value) for each in PostOnly], default=PostOnly.NO
    )
    self_trade = models.CharField(
        max_length=14, choices=[(each.value, each.value) for each in SelfTrade], default=SelfTrade.CANCEL_NEWEST
    )
    group_id = models.BigIntegerField()
    priority = models.BigIntegerField()
    budget = models.BigIntegerField(null=True)
    expires_at = models.DateTimeField(null=True)
    maker_fee_ppm = models.IntegerField()
    taker_fee_ppm = models.IntegerField()
    overage_permille = models.IntegerField(default=0)
    status = models.CharField(max_length=12, choices=[(status.value, status.value) for status in OrderStatus])
    close_reason = models.CharField(max_length=32, default="", blank=True, help_text="Or the code of the refusal.")
    client_order_id = models.CharField(max_length=64, null=True)
    offer_id = models.BigIntegerField(null=True)
    placed_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="order_remaining_lots_within_quantity",
                condition=Q(remaining_lots__gte=0) & Q(remaining_lots__lte=F("lots")) & Q(lots__gt=0),
            ),
            models.CheckConstraint(name="order_price_positive", condition=Q(price_ticks__gt=0)),
            models.CheckConstraint(
                name="order_closed_at_set_when_terminal",
                condition=Q(status=OrderStatus.OPEN, closed_at__isnull=True)
                | (~Q(status=OrderStatus.OPEN) & Q(closed_at__isnull=False)),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="order_open", fields=["contract_id", "priority"], condition=Q(status=OrderStatus.OPEN)),
            models.Index(name="order_open_of_party", fields=["party_id"], condition=Q(status=OrderStatus.OPEN)),
            models.Index(
                name="order_expiring",
                fields=["expires_at"],
                condition=Q(status=OrderStatus.OPEN, expires_at__isnull=False),
            ),
            models.Index(name="order_of_offer", fields=["offer_id"], condition=Q(offer_id__isnull=False)),
            models.Index(name="order_of_party", fields=["party_id", "-id"]),
        ]

    def __str__(self) -> str:
        return f"order {self.id}"


class Fill(models.Model):
    """One buyer, one provider, one price, a quantity. Append-only; amounts in micros, tokens in contract tokens.

    A position is all fills of one (contract, buyer, provider); nothing else stores it.
    """

    id = models.BigIntegerField(primary_key=True)
    contract_id = models.BigIntegerField()
    trade_no = models.BigIntegerField()
    buy_order_id = models.BigIntegerField()
    sell_order_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    taker_side = models.CharField(max_length=4, choices=[(side.value, side.value) for side in Side])
    price_ticks = models.BigIntegerField()
    lots = models.BigIntegerField()
    tokens = models.BigIntegerField()
    notional = models.BigIntegerField()
    buyer_fee = models.BigIntegerField()
    buyer_fee_ppm = models.IntegerField()
    provider_fee_ppm = models.IntegerField()
    bond = models.BigIntegerField()
    overage_tokens = models.BigIntegerField()
    overage_hold = models.BigIntegerField()
    executed_at = models.DateTimeField()
    batch_no = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="fill_trade_no_once", fields=["contract_id", "trade_no"]),
            models.CheckConstraint(
                name="fill_amounts_in_range",
                condition=Q(lots__gt=0, tokens__gt=0, notional__gt=0, buyer_fee__gte=0, bond__gte=0),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="fill_of_position", fields=["contract_id", "buyer_id", "provider_id"]),
            models.Index(name="fill_of_buyer", fields=["buyer_id", "-id"]),
            models.Index(name="fill_of_provider", fields=["provider_id", "-id"]),
        ]

    def __str__(self) -> str:
        return f"fill {self.id}"


class PreventedMatch(models.Model):
    """A trade that did not happen because both orders belong to one group. Append-only."""

    batch_no = models.BigIntegerField()
    contract_id = models.BigIntegerField()
    taker_order_id = models.BigIntegerField()
    maker_order_id = models.BigIntegerField()
    taker_party_id = models.BigIntegerField()
    maker_party_id = models.BigIntegerField()
    how = models.CharField(max_length=14, choices=[(each.value, each.value) for each in SelfTrade])
    price_ticks = models.BigIntegerField()
    lots = models.BigIntegerField(help_text="What would have traded.")
    prevented_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "prevented matches"
        indexes: ClassVar = [
            models.Index(name="prevented_of_taker", fields=["taker_party_id", "-id"]),
            models.Index(name="prevented_of_maker", fields=["maker_party_id", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.taker_order_id} and {self.maker_order_id}"


class FillReversal(models.Model):
    """A fill that was taken back, with its fees. Append-only; the fill itself stays as it was."""

    fill_id = models.BigIntegerField(primary_key=True)
    contract_id = models.BigIntegerField(db_index=True)
    reason = models.CharField(max_length=200)
    command_seq = models.BigIntegerField()
    batch_no = models.BigIntegerField()
    reversed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"fill {self.fill_id}"


class TradeGroup(models.Model):
    """Parties that belong together: their orders never trade with each other."""

    party = models.OneToOneField("ledger.Party", on_delete=models.PROTECT, primary_key=True, related_name="trade_group")
    group_id = models.BigIntegerField(db_index=True, help_text="The party that stands for the group.")

    def __str__(self) -> str:
        return f"{self.party_id} in {self.group_id}"
