"""Settlement runs, their jobs, what each run was frozen from, and what it found for each position."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class RunKind(models.TextChoices):
    INDICATIVE = "indicative"  # posts nothing; its statements stand outside the chain
    INITIAL = "initial"
    FINAL = "final"
    TRUE_UP = "true_up"
    DISPUTED_FINAL = "disputed_final"  # of what one dispute is about, after its decision


class RunState(models.TextChoices):
    OPEN = "open"  # jobs are being settled
    STATING = "stating"  # all contracts posted; what the statements say is being written
    SIGNING = "signing"  # what they say is in the log; they are being signed with the proof of it
    PUBLISHED = "published"


class SettlementRun(models.Model):
    """One immutable pass over (currency, calendar, period, kind, sequence). `input_digest` freezes what it read.

    `product` is set when its contracts follow a `calendar` of that product, None: the settings. Of usage the run reads
    the calls up to number `usage_through` and no other, then and whenever it is computed again. `dispute_id` is set for
    disputed-final runs alone.
    """

    currency = models.ForeignKey("ledger.Asset", on_delete=models.PROTECT)
    product = models.ForeignKey("exchange.Product", on_delete=models.PROTECT, null=True, related_name="+")
    calendar = models.ForeignKey("SettlementCalendar", on_delete=models.PROTECT, null=True, related_name="+")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    kind = models.CharField(max_length=16, choices=RunKind)
    sequence = models.IntegerField(default=1)
    state = models.CharField(max_length=12, choices=RunState, default=RunState.OPEN)
    usage_through = models.BigIntegerField(null=True)
    dispute_id = models.BigIntegerField(null=True)
    input_digest = models.BinaryField(max_length=32, null=True)
    rules_version = models.CharField(max_length=24)
    code_version = models.CharField(max_length=64, default="")
    value_date = models.DateField(null=True)  # of the payments that follow from it
    dispute_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="run_once",
                fields=["currency", "product", "period_start", "period_end", "kind", "sequence"],
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="run_period_in_order",
                condition=Q(period_start__lt=F("period_end")),
            ),
            models.CheckConstraint(
                name="run_published_at_set_when_published",
                condition=Q(state=RunState.PUBLISHED, published_at__isnull=False)
                | (~Q(state=RunState.PUBLISHED) & Q(published_at__isnull=True)),
            ),
            models.CheckConstraint(name="run_kind_known", condition=Q(kind__in=RunKind.values)),
            models.CheckConstraint(name="run_sequence_positive", condition=Q(sequence__gte=1)),
            models.CheckConstraint(
                name="run_names_its_dispute",
                condition=Q(kind=RunKind.DISPUTED_FINAL, dispute_id__isnull=False)
                | (~Q(kind=RunKind.DISPUTED_FINAL) & Q(dispute_id__isnull=True)),
            ),
            models.UniqueConstraint(name="run_of_dispute_once", fields=["dispute_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.period_start:%Y-%m-%d %H:%M}"

    @property
    def key(self) -> str:
        """The run's name on statements and in journal references; follows from what it covers alone. Periods are of
        whole minutes, and a currency is named by whatever the key stands beside."""
        start = self.period_start.astimezone(UTC)
        minutes = (self.period_end - self.period_start) // timedelta(minutes=1)
        calendar = "" if self.product is None else f"{self.product.code}/"
        again = "" if self.sequence == 1 else f"-{self.sequence}"
        return f"{calendar}{start:%Y%m%dT%H%MZ}/{minutes}/{self.kind}{again}"


class RunContract(models.Model):
    """A contract that a run covers: in which of its shards, and as which of its contracts in order of delivery.

    Append-only. The shard is the subject of the jobs that settle it and later release what it held.
    """

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="contracts")
    contract_id = models.BigIntegerField()
    shard = models.BigIntegerField()
    place = models.IntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="run_contract_once", fields=["run", "contract_id"]),
            models.UniqueConstraint(name="run_contract_place_once", fields=["run", "place"]),
        ]
        indexes: ClassVar = [
            models.Index(name="run_contract_of_shard", fields=["run", "shard"]),
            models.Index(name="run_contract_by_contract", fields=["contract_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.contract_id}"


class FrozenInput(models.Model):
    """What a run settled a contract from, all but the usage events, as canonical JSON. Append-only.

    `content` is `settlement.runs.frozen.FrozenContract`; `digest` its SHA-256. The events follow from the run's
    `usage_through`, and the digest over them is part of the content.
    """

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="inputs")
    contract_id = models.BigIntegerField()
    content = models.BinaryField()
    digest = models.BinaryField(max_length=32)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="frozen_once_a_run", fields=["run", "contract_id"])]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.contract_id}"


class JobStep(models.TextChoices):
    SETTLE = "settle"  # a shard of contracts
    STATE = "state"  # what a party's statement says
    SIGN = "sign"  # a party's statement
    STAMP = "stamp"  # a time token over a party's statement; nothing waits for it
    RELEASE = "release"  # what a shard's positions still hold back, after the dispute deadline


class JobState(models.TextChoices):
    DUE = "due"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # its last attempt did; tried again until the attempts are used up


class SettlementJob(models.Model):
    """A piece of a run, claimed with SKIP LOCKED under a lease; a stale worker's `fencing` number no longer fits."""

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="jobs")
    step = models.CharField(max_length=16, choices=JobStep)
    subject_id = models.BigIntegerField()  # shard or party id
    state = models.CharField(max_length=8, choices=JobState, default=JobState.DUE)
    attempt = models.IntegerField(default=0)
    lease_owner = models.CharField(max_length=80, default="", blank=True)
    lease_until = models.DateTimeField(null=True)
    fencing = models.BigIntegerField(default=0)
    input_digest = models.BinaryField(max_length=32, null=True)
    result_digest = models.BinaryField(max_length=32, null=True)
    error = models.TextField(default="", blank=True)
    not_before = models.DateTimeField(null=True)  # after a failure, by the database's clock
    finished_at = models.DateTimeField(null=True)  # by the database's clock

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="job_once", fields=["run", "step", "subject_id"]),
            models.CheckConstraint(name="job_state_known", condition=Q(state__in=JobState.values)),
        ]
        indexes: ClassVar = [
            models.Index(
                name="job_open",
                fields=["state", "id"],
                condition=~Q(state=JobState.DONE),
            )
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.subject_id}: {self.state}"


class PositionSettlement(models.Model):
    """What a run found for one position, cumulative. Append-only; later runs post the difference to the one before.

    `outcome` holds the figures of `settlement.calculation` as integer strings; `evidence` the meters' figures.
    `metering` is the canonical JSON of what statements say the meters said, the same for both sides. `reference` names
    the ledger transaction that posted it; nothing was posted without.
    """

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="positions", db_index=False)
    contract_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    outcome = models.JSONField()
    evidence = models.JSONField()
    metering = models.TextField(default="")
    reference = models.CharField(max_length=200, default="")

    class Meta:
        verbose_name = "settled position"
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="position_settled_once_a_run",
                fields=["run", "contract_id", "buyer_id", "provider_id"],
            )
        ]
        indexes: ClassVar = [
            models.Index(name="position_settled_of_buyer", fields=["run", "buyer_id"]),
            models.Index(name="position_settled_of_provider", fields=["run", "provider_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.contract_id}/{self.buyer_id}/{self.provider_id}"


class SettlementLine(models.Model):
    """One line of a party's statement, as it was posted: what netting, invoices, disputes and statements stand on.

    Append-only. In the order of the statement: the contract's place in the run, then `place`. `amount_micros` is what
    the run changed on the party's account, `cumulative_micros` what all runs so far did; the exact cumulative value is
    `exact_numerator / exact_denominator` micros. `reference` and `ref` name the ledger transaction and those of its
    legs that hold it; an indicative run posts nothing and leaves `reference` empty.
    """

    pk = models.CompositePrimaryKey("run_id", "party_id", "contract_place", "place")
    run_id = models.BigIntegerField()
    party_id = models.BigIntegerField()
    contract_id = models.BigIntegerField()
    counterparty_id = models.BigIntegerField(null=True)
    tokens = models.BigIntegerField(null=True)
    price_micros = models.BigIntegerField(null=True)
    amount_micros = models.BigIntegerField()
    value_micros = models.BigIntegerField()
    cumulative_micros = models.BigIntegerField()
    exact_numerator = models.DecimalField(max_digits=76, decimal_places=0)
    exact_denominator = models.DecimalField(max_digits=38, decimal_places=0)
    contract_place = models.IntegerField()
    place = models.IntegerField()
    tax_rate_ppm = models.IntegerField()
    tax_category = models.CharField(max_length=120)
    kind = models.CharField(max_length=32)
    beneficiary = models.CharField(max_length=32, default="")
    reference = models.CharField(max_length=200, default="")
    ref = models.CharField(max_length=120, default="")

    class Meta:
        indexes: ClassVar = [models.Index(name="settlement_line_of_contract", fields=["contract_id", "run_id"])]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.party_id} {self.kind}: {self.amount_micros}"


class UnmatchedUsage(models.Model):
    """Usage a run found for a party pair without a position in the contract. Moves no money. Append-only."""

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="unmatched")
    contract_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    provider_id = models.BigIntegerField()
    tokens = models.BigIntegerField()
    evidence = models.JSONField()

    class Meta:
        verbose_name_plural = "unmatched usage"
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="unmatched_once_a_run", fields=["run", "contract_id", "buyer_id", "provider_id"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.contract_id}/{self.buyer_id}/{self.provider_id}: {self.tokens}"


class ClosingBalance(models.Model):
    """How an account stood when a run closed: all parties' at one instant, under the ledger head. Append-only.

    What a statement closes with, whenever it is made: `held` could not be found again later. The salts of the
    statement's lines follow from `line_seed`.
    """

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="closings")
    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="+")
    account_id = models.BigIntegerField()
    balance = models.BigIntegerField()
    held = models.BigIntegerField()
    seq = models.BigIntegerField()
    line_seed = models.BinaryField(max_length=32, null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="closing_once_a_run", fields=["run", "party"])]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.party_id}: {self.balance}"
