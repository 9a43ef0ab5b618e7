"""Candles, and how far fills are counted into them. Derived: fills say it all, `rebuild_candles` compares."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from exchange.market_data.intervals import Interval


class Candle(models.Model):
    """A contract's trades in `[starts_at, starts_at + seconds)`, starts aligned to UTC. No row without a trade.

    Trades that were taken back are left out; `first_trade_no` and `last_trade_no` are of those that count. `notional`
    is in micros.
    """

    pk = models.CompositePrimaryKey("contract_id", "seconds", "starts_at")
    contract_id = models.BigIntegerField()
    seconds = models.IntegerField(choices=[(each.seconds, each.value) for each in Interval])
    starts_at = models.DateTimeField()
    open_ticks = models.BigIntegerField()
    high_ticks = models.BigIntegerField()
    low_ticks = models.BigIntegerField()
    close_ticks = models.BigIntegerField()
    lots = models.BigIntegerField()
    notional = models.BigIntegerField()
    trades = models.BigIntegerField()
    first_trade_no = models.BigIntegerField()
    last_trade_no = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="candle_interval_known", condition=Q(seconds__in=[each.seconds for each in Interval])
            ),
            models.CheckConstraint(
                name="candle_prices_within_range",
                condition=Q(low_ticks__lte=F("open_ticks"), high_ticks__gte=F("open_ticks"))
                & Q(low_ticks__lte=F("close_ticks"), high_ticks__gte=F("close_ticks")),
            ),
            models.CheckConstraint(name="candle_has_trades", condition=Q(trades__gt=0, lots__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.contract_id} {self.seconds} s from {self.starts_at}"


class CandleCursor(models.Model):
    """The one row that says which fills and which reversals of fills are in the candles.

    Both are numbered in the order of their commits: fills by id, reversals by batch and fill.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    fill_id = models.BigIntegerField(default=0)
    reversal_batch_no = models.BigIntegerField(default=0)
    reversal_fill_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"fill {self.fill_id}"
