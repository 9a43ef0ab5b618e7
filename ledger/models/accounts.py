"""Assets, accounts and the ledger head.

An account's figures are never written from here: the trigger of the entries is the only writer of `balance` and `seq`,
that of the hold entries of `held` and `hold_seq`; floor and flags change through functions that leave evidence.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from ledger.chart import UNBOUNDED_ROLES, AssetKind, Role
from ledger.texts import MAX_ACTOR

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # before anything was posted


class Asset(models.Model):
    """Something accounts hold: a currency (scale 6: micros) or the tokens of one contract (scale 0)."""

    code = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=16, choices=[(kind.value, kind.value) for kind in AssetKind])
    scale = models.SmallIntegerField()
    terms_hash = models.BinaryField(max_length=32, null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="asset_scale_in_range", condition=Q(scale__gte=0, scale__lte=18)),
            models.CheckConstraint(name="asset_kind_known", condition=Q(kind__in=[kind.value for kind in AssetKind])),
        ]

    def __str__(self) -> str:
        return self.code


class Account(models.Model):
    """(party, asset, role, qualifier) with its running state.

    `balance` is the sum of its entries and `seq` their number; `held` is what open orders, bonds and the like keep
    back, the sum of its `hold_seq` hold entries; `balance - held` never falls below `floor` (null: unbounded).
    """

    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, db_index=False)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, db_index=False)
    role = models.CharField(max_length=16, choices=[(role.value, role.value) for role in Role])
    qualifier = models.CharField(max_length=80, default="", blank=True)
    balance = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    seq = models.BigIntegerField(default=0)
    hold_seq = models.BigIntegerField(default=0)
    floor = models.BigIntegerField(null=True)
    frozen = models.BooleanField(default=False)
    closed = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="account_key", fields=["party", "asset", "role", "qualifier"]),
            models.CheckConstraint(
                name="account_available_at_least_floor",
                condition=Q(floor__isnull=True) | Q(balance__gte=F("floor") + F("held")),
            ),
            models.CheckConstraint(name="account_held_not_negative", condition=Q(held__gte=0)),
            models.CheckConstraint(
                name="account_floor_by_role",
                condition=Q(floor__isnull=False) | Q(role__in=sorted(role.value for role in UNBOUNDED_ROLES)),
            ),
            models.CheckConstraint(
                name="account_credit_for_obligations_alone",
                condition=Q(floor__isnull=True) | Q(floor__gte=0) | Q(role=Role.OBLIGATION.value),
            ),
            models.CheckConstraint(name="account_debt_not_positive", condition=~Q(role="debt") | Q(balance__lte=0)),
        ]
        indexes: ClassVar = [
            # The door asks for these at every batch; there are few.
            models.Index(name="account_restricted", fields=["id"], condition=Q(frozen=True) | Q(closed=True)),
        ]

    def __str__(self) -> str:
        return f"{self.party_id}/{self.role}/{self.asset_id}/{self.qualifier}"


class AccountChange(models.Model):
    """Evidence: one row for each change of an account's floor or flags. Append-only."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    what = models.CharField(max_length=16)
    before = models.CharField(max_length=40)
    after = models.CharField(max_length=40)
    actor = models.CharField(max_length=MAX_ACTOR)
    reason = models.TextField()
    at = models.DateTimeField()
    head_version = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.what}: {self.before} → {self.after}"


class LedgerHead(models.Model):
    """The one row every writer of the ledger locks. `version` rises with each change of any account; `entered` is true
    inside a transaction that has made entries and not sealed them yet, and never when it commits."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    version = models.BigIntegerField(default=0)
    last_transaction = models.BigIntegerField(default=0)
    last_batch = models.BigIntegerField(default=0)
    last_batch_hash = models.BinaryField(max_length=32)
    last_posted_at = models.DateTimeField(default=EPOCH)
    entered = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(name="ledger_head_single_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"version {self.version}"
