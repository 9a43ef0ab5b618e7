"""The command log and its results, and where the sequencer stands."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class IntakeKind(models.TextChoices):
    PLACE_ORDER = "place_order"
    CANCEL_ORDER = "cancel_order"
    OPEN_GATE = "open_gate"
    CLOSE_GATE = "close_gate"
    HALT = "halt"
    RESUME = "resume"


class Intake(models.Model):
    """A validated command, waiting for or done by the sequencer. Append-only; `seq` is its place in the line.

    An order's id is the `seq` of the command that placed it. `client_order_id` is claimed here for ever.
    """

    seq = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=16, choices=IntakeKind)
    contract_id = models.BigIntegerField()
    party_id = models.BigIntegerField(null=True)
    actor = models.CharField(max_length=80)
    client_order_id = models.CharField(max_length=64, null=True)
    payload = models.JSONField()
    received_at = models.DateTimeField()

    class Meta:
        verbose_name = "command"
        verbose_name_plural = "command log"
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="client_order_id_once",
                fields=["party_id", "client_order_id"],
                condition=Q(client_order_id__isnull=False),
            ),
            models.CheckConstraint(name="intake_kind_known", condition=Q(kind__in=IntakeKind.values)),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"


class IntakeResult(models.Model):
    """What became of a command: `{"status": "accepted", …}` or `{"status": "refused", "code": …, "message": …}`."""

    seq = models.BigIntegerField(primary_key=True)
    batch_no = models.BigIntegerField()
    result = models.JSONField()

    def __str__(self) -> str:
        return str(self.seq)


class SequencerBatch(models.Model):
    """One batch of commands: which, at what clock reading, and after which ledger head."""

    no = models.BigIntegerField(primary_key=True)
    epoch = models.BigIntegerField()
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    ran_at = models.DateTimeField()
    ledger_version = models.BigIntegerField()
    ledger_transaction = models.BigIntegerField(null=True)

    class Meta:
        verbose_name_plural = "sequencer batches"

    def __str__(self) -> str:
        return str(self.no)


class SequencerState(models.Model):
    """The one row of a shard: its epoch (raised by each new sequencer) and its counters."""

    shard = models.SmallIntegerField(primary_key=True, default=1)
    epoch = models.BigIntegerField(default=0)
    cursor = models.BigIntegerField(default=0)
    last_batch = models.BigIntegerField(default=0)
    last_fill = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"shard {self.shard} at {self.cursor}"


class ContractMarket(models.Model):
    """A contract's market data that each batch moves: trade number, last price, sequence of its book."""

    contract_id = models.BigIntegerField(primary_key=True)
    book_seq = models.BigIntegerField(default=0)
    last_trade_no = models.BigIntegerField(default=0)
    last_price_ticks = models.BigIntegerField(null=True)
    traded_lots = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.contract_id)
