"""Reading meters and their keys."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Prefetch, QuerySet

from ledger.errors import NotFound
from settlement.models import Meter, MeterKey


def list_meters(party_ids: Collection[int] | None = None) -> QuerySet[Meter]:
    """Meters with their keys, newest first: those of some parties, or of all (None)."""
    keys = Prefetch("keys", MeterKey.objects.order_by("-id"))
    meters = Meter.objects.select_related("party").prefetch_related(keys).order_by("-id")
    return meters if party_ids is None else meters.filter(party_id__in=list(party_ids))


def get_meter(code: str, party_ids: Collection[int] | None = None) -> Meter:
    """A meter of one of these parties by its code; None: whoever's it is. Raises `NotFound`."""
    meter = list_meters(party_ids).filter(code=code).first()
    if meter is None:
        raise NotFound("There is no such meter of yours.", meter=code[:80])
    return meter
