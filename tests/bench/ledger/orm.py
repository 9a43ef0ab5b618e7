"""The ledger as one would write it without further thought: a Django ORM transaction for each transfer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from django.db import connections, models, transaction

BALANCE_AT_START = 10**12


class Wallet(models.Model):
    objects: ClassVar[models.Manager[Wallet]] = models.Manager()

    asset_id = models.BigIntegerField()
    balance = models.BigIntegerField()

    class Meta:
        app_label = "bench"


class Transfer(models.Model):
    objects: ClassVar[models.Manager[Transfer]] = models.Manager()

    reference = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=32)
    created_at = models.DateTimeField()

    class Meta:
        app_label = "bench"


class Line(models.Model):
    objects: ClassVar[models.Manager[Line]] = models.Manager()

    transfer = models.ForeignKey(Transfer, on_delete=models.PROTECT, db_constraint=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, db_constraint=False)
    amount = models.BigIntegerField()
    balance_after = models.BigIntegerField()

    class Meta:
        app_label = "bench"


def make_tables(wallets: int) -> list[int]:
    """The three tables, without triggers or foreign key constraints, and that many funded wallets; gives their ids."""
    with connections["owner"].schema_editor() as editor:
        for model in (Wallet, Transfer, Line):
            editor.create_model(model)
    made = Wallet.objects.bulk_create(Wallet(asset_id=n % 2, balance=BALANCE_AT_START) for n in range(wallets))
    return [wallet.pk for wallet in made]


@transaction.atomic
def transfer(moves: Sequence[tuple[int, int]], *, reference: str, now: datetime) -> None:
    """Move amounts between wallets, which are locked in the order of their ids."""
    ids = [wallet for wallet, _ in moves]
    wallets = {wallet.pk: wallet for wallet in Wallet.objects.select_for_update().filter(pk__in=ids).order_by("pk")}
    written = Transfer.objects.create(reference=reference, kind="fill", created_at=now)
    lines = []
    for wallet_id, amount in moves:
        wallet = wallets[wallet_id]
        wallet.balance += amount
        if wallet.balance < 0:
            raise ValueError("not enough on the wallet")
        lines.append(Line(transfer=written, wallet=wallet, amount=amount, balance_after=wallet.balance))
    Line.objects.bulk_create(lines)
    for wallet in wallets.values():
        wallet.save(update_fields=["balance"])
