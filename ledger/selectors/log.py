"""Reading the ledger's log: which signed head covers what."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection

from ledger.models import Checkpoint


def covering_checkpoints(batches: Collection[int]) -> dict[int, int]:
    """For each batch number the size of the first checkpoint that covers it; those not covered yet are left out."""
    if not batches:
        return {}
    published = Checkpoint.objects.order_by("size").values_list("size", flat=True)
    sizes = list(published.filter(size__gte=min(batches), size__lt=max(batches)))
    sizes += published.filter(size__gte=max(batches))[:1]
    places = {number: bisect_left(sizes, number) for number in batches}
    return {number: sizes[place] for number, place in places.items() if place < len(sizes)}
