"""Which fee rates an order gets: the schedule in force, and how much its party has traded."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, OuterRef, Q, Subquery

from exchange.clearing.terms import ContractTerms
from exchange.fee_schedule import FeeSchedule, Rates, rates
from exchange.matching.types import Side
from exchange.models import Contract, PartyVolume
from exchange.models import FeeSchedule as ScheduleRow

TRAILING = timedelta(days=30)

_COUNT_VOLUMES = """
    INSERT INTO exchange_partyvolume AS known (party_id, currency_id, volume_micros, counted_at)
    SELECT side.party_id, product.currency_id, sum(fill.notional)::bigint, %(now)s
      FROM exchange_fill AS fill
      JOIN exchange_contract AS contract ON contract.id = fill.contract_id
      JOIN exchange_product AS product ON product.id = contract.product_id
     CROSS JOIN LATERAL (VALUES (fill.buyer_id), (fill.provider_id)) AS side(party_id)
     WHERE fill.executed_at > %(since)s AND fill.executed_at <= %(now)s
       AND NOT EXISTS (SELECT FROM exchange_fillreversal AS reversal WHERE reversal.fill_id = fill.id)
     GROUP BY side.party_id, product.currency_id
     ORDER BY side.party_id, product.currency_id
    ON CONFLICT (party_id, currency_id) DO UPDATE
       SET volume_micros = excluded.volume_micros, counted_at = excluded.counted_at
     WHERE known.counted_at <= excluded.counted_at
"""


def rates_for(party_id: int, terms: ContractTerms, side: Side, now: datetime) -> Rates:
    """The rates of a party's next order in a contract: its tier's, but at most the contract's own.

    The product's schedule goes before that of its currency; without either they are the contract's. The volume is
    the one that was counted last.
    """
    contract_ppm = terms.buyer_fee_ppm if side is Side.BUY else terms.provider_fee_ppm
    product = Contract.objects.filter(id=terms.contract_id).values("product_id")[:1]
    volume = PartyVolume.objects.filter(party_id=party_id, currency_id=OuterRef("currency_id"))
    row = (
        ScheduleRow.objects.filter(
            Q(product_id=Subquery(product)) | Q(product=None),
            currency_id=terms.currency_asset_id,
            valid_from__lte=now,
        )
        .annotate(volume=Subquery(volume.values("volume_micros")[:1]))
        .order_by(F("product_id").asc(nulls_last=True), "-version")
        .first()
    )
    if row is None:
        return Rates(contract_ppm, contract_ppm)
    return rates(read_schedule(row), side, row.volume or 0, contract_ppm)


def read_schedule(row: ScheduleRow) -> FeeSchedule:
    return FeeSchedule.from_json(row.basis, row.tiers)


def in_force(rows: Iterable[ScheduleRow], now: datetime) -> dict[tuple[int, int | None], ScheduleRow]:
    """Of these schedules, the one that counts for each currency and product; None stands for all other products."""
    counting: dict[tuple[int, int | None], ScheduleRow] = {}
    for row in sorted(rows, key=lambda each: each.version):
        if row.valid_from <= now:
            counting[row.currency_id, row.product_id] = row
    return counting


@transaction.atomic
def count_volumes(now: datetime) -> None:
    """Count what everybody traded in the 30 days up to now, fills that were taken back left out."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_VOLUMES, {"now": now, "since": now - TRAILING})
    PartyVolume.objects.filter(counted_at__lt=now).delete()
