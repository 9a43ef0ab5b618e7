"""What trading costs: the schedules that count and those announced, and the tier a party has reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from exchange.fee_schedule import FeeSchedule, Tier
from exchange.fees import in_force, read_schedule
from exchange.models import FeeSchedule as ScheduleRow
from exchange.models import PartyVolume


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule; without a product it is for all of its currency that have none of their own."""

    product_code: str | None
    currency: str
    version: int
    valid_from: datetime
    in_force: bool
    schedule: FeeSchedule


@dataclass(frozen=True, slots=True)
class OwnTier:
    """Where a party stands in a schedule that counts; `number` is its tier's, from 1.

    `counted_at` is when its volume was counted; None when it traded nothing in the 30 days before.
    """

    view: ScheduleView
    volume_micros: int
    counted_at: datetime | None
    number: int
    tier: Tier
    next_volume_micros: int | None


def list_schedules(now: datetime) -> list[ScheduleView]:
    """Schedules that count at `now` or will, by currency, product and version."""
    return sorted(
        (view for _, view in _read(now)), key=lambda view: (view.currency, view.product_code or "", view.version)
    )


def list_own_tiers(party_id: int, now: datetime) -> list[OwnTier]:
    """The party's tier in every schedule that counts."""
    volumes = {volume.currency_id: volume for volume in PartyVolume.objects.filter(party_id=party_id)}
    own = [_own_tier(view, volumes.get(currency_id)) for currency_id, view in _read(now) if view.in_force]
    return sorted(own, key=lambda each: (each.view.currency, each.view.product_code or ""))


def _read(now: datetime) -> Iterator[tuple[int, ScheduleView]]:
    rows = list(ScheduleRow.objects.select_related("currency", "product"))
    counting = in_force(rows, now)
    for row in rows:
        current = counting.get((row.currency_id, row.product_id))
        if row is current or (row.valid_from > now and (current is None or row.version > current.version)):
            yield (
                row.currency_id,
                ScheduleView(
                    product_code=row.product.code if row.product else None,
                    currency=row.currency.code,
                    version=row.version,
                    valid_from=row.valid_from,
                    in_force=row is current,
                    schedule=read_schedule(row),
                ),
            )


def _own_tier(view: ScheduleView, volume: PartyVolume | None) -> OwnTier:
    micros = volume.volume_micros if volume else 0
    tiers = view.schedule.tiers
    reached = view.schedule.tier_at(micros)
    return OwnTier(
        view=view,
        volume_micros=micros,
        counted_at=volume.counted_at if volume else None,
        number=reached + 1,
        tier=tiers[reached],
        next_volume_micros=tiers[reached + 1].volume_micros if reached + 1 < len(tiers) else None,
    )
