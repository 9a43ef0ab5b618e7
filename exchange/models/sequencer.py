"""The command log and its results, and where the sequencer stands."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class IntakeKind(models.TextChoices):
    PLACE_ORDER = "place_order"
    AMEND_ORDER = "amend_order"
    CANCEL_ORDER = "cancel_order"
    CANCEL_ALL = "cancel_all"  # of a party; of one contract, or of all when it names none
    CANCEL_ALL_AFTER = "cancel_all_after"  # sets, renews or stops a party's dead-man switch
    OPEN_GATE = "open_gate"
    CLOSE_GATE = "close_gate"
    HALT = "halt"
    RESUME = "resume"
    CANCEL_CONTRACT = "cancel_contract"
    DEFAULT_PROVIDER = "default_provider"
    BUST_FILL = "bust_fill"


class Intake(models.Model):
    """A validated command, waiting for or done by its shard's sequencer. Append-only; `seq` is its place in the line.

    An order's id is the `seq` of the command that placed it. `client_order_id` is claimed here for ever. Commands that
    were sent together stand behind each other and are decided in one transaction: `bundle_left` says how many of its
    bundle still follow.
    """

    seq = models.BigAutoField(primary_key=True)
    shard = models.SmallIntegerField(default=1)
    bundle_left = models.SmallIntegerField(default=0)
    kind = models.CharField(max_length=24, choices=IntakeKind)
    contract_id = models.BigIntegerField(null=True)
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
        indexes: ClassVar = [models.Index(name="intake_of_shard", fields=["shard", "seq"])]

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
    """One batch of a shard's commands: which, at what clock reading, and after which ledger head.

    A batch may be of no command (`last_seq` below `first_seq`): then only time had passed, and orders or dead-man
    switches were due. `ran_at` never falls.
    """

    no = models.BigIntegerField(primary_key=True)
    shard = models.SmallIntegerField(default=1)
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


class SetAside(models.Model):
    """Why a command could not be processed: for operators, its owner is told only that it failed. Append-only."""

    seq = models.BigIntegerField(primary_key=True)
    batch_no = models.BigIntegerField()
    reason = models.TextField()
    set_aside_at = models.DateTimeField()

    class Meta:
        verbose_name = "command set aside"
        verbose_name_plural = "commands set aside"

    def __str__(self) -> str:
        return str(self.seq)


class SequencerState(models.Model):
    """The one row of a shard: its epoch (raised by each new sequencer) and how far it is in its line.

    A migration makes the rows of all shards, since the application may not.
    """

    shard = models.SmallIntegerField(primary_key=True, default=1)
    epoch = models.BigIntegerField(default=0)
    cursor = models.BigIntegerField(default=0)
    last_ran_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"shard {self.shard} at {self.cursor}"


class ExchangeHead(models.Model):
    """The one row that all shards count from, written under the ledger's head: last batch, fill and clock reading."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    last_batch = models.BigIntegerField(default=0)
    last_fill = models.BigIntegerField(default=0)
    last_ran_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"batch {self.last_batch}"


class DeadManSwitch(models.Model):
    """Cancels all orders of a party in a shard when it is due; a row with no time is switched off."""

    shard = models.SmallIntegerField()
    party_id = models.BigIntegerField()
    due_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="dead_man_switch_once", fields=["shard", "party_id"])]

    def __str__(self) -> str:
        return f"party {self.party_id} at {self.due_at}"


class BookDelta(models.Model):
    """What a batch changed in a contract's book. Append-only; `seq` has no gaps within a contract.

    `content` is `{"bids": [[price_ticks, lots, orders], …], "asks": […], "trades": [[trade_no, price_ticks, lots,
    taker_side], …]}`: the new totals of each price level that moved (0 lots: it is gone), and what traded. Where trades
    were taken back there is also `"busted": [trade_no, …]`.
    """

    pk = models.CompositePrimaryKey("contract_id", "seq")
    contract_id = models.BigIntegerField()
    seq = models.BigIntegerField()
    batch_no = models.BigIntegerField()
    moved_at = models.DateTimeField()
    content = models.JSONField()

    def __str__(self) -> str:
        return f"{self.contract_id} {self.seq}"


class ContractMarket(models.Model):
    """A contract's market data that each batch moves: trade number, last price, sequence of its book."""

    contract_id = models.BigIntegerField(primary_key=True)
    book_seq = models.BigIntegerField(default=0)
    last_trade_no = models.BigIntegerField(default=0)
    last_price_ticks = models.BigIntegerField(null=True)
    traded_lots = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.contract_id)
