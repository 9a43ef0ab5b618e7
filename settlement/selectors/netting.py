"""Reading netting sets."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import QuerySet

from settlement.models import NettedParty, NettingSet


def list_netting_sets() -> QuerySet[NettingSet]:
    """All sets, the latest first."""
    return NettingSet.objects.select_related("currency").order_by("-id")


def list_netted_parties(party_ids: Collection[int] | None = None) -> QuerySet[NettedParty]:
    """What the lines of some parties, or of all (None), come to in each set, the latest set first."""
    rows = NettedParty.objects.select_related("netting__currency", "party").order_by("-id")
    return rows if party_ids is None else rows.filter(party_id__in=list(party_ids))
