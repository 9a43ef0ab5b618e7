"""Reading usage by minute, and how complete what meters told of a contract is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from msgspec import structs

from exchange.models import Contract
from ledger.models import Party
from settlement.metering.completeness import MeterCompleteness, read_completeness
from settlement.metering.reconcile import Side
from settlement.metering.rollups import COUNTS, FIGURES
from settlement.models import UsageMinute


@dataclass(frozen=True, slots=True)
class NamedMinute:
    """Sums of a minute with the codes of their parties."""

    sums: UsageMinute
    contract: str
    buyer: str
    provider: str


@dataclass(frozen=True, slots=True)
class PairTotals:
    """What the meters of a side told of a pair in the whole contract: figures by name, see `UsageMinute`."""

    buyer: str
    provider: str
    side: Side
    figures: dict[str, int]


def list_usage_minutes(party_ids: Collection[int] | None = None, *, now: datetime) -> QuerySet[UsageMinute]:
    """Sums that people of these parties may see, in no order: what was told of their pairs. None: all there are.

    The other side's only in contracts whose delivery has ended, as with single events. Minutes of which everything was
    taken back are left out.
    """
    standing = Q()
    for name in COUNTS:
        standing |= ~Q(**{name: 0})
    minutes = UsageMinute.objects.filter(standing)
    if party_ids is None:
        return minutes
    buying, selling = Q(buyer_id__in=list(party_ids)), Q(provider_id__in=list(party_ids))
    delivered = Exists(Contract.objects.filter(id=OuterRef("contract_id"), delivery_end__lte=now))
    own_word = (buying & Q(side=Side.BUYER)) | (selling & Q(side=Side.PROVIDER))
    return minutes.filter(own_word | ((buying | selling) & Q(delivered)))


def name_minutes(minutes: Iterable[UsageMinute]) -> list[NamedMinute]:
    """Sums with their names, in two queries."""
    rows = list(minutes)
    contracts = dict(Contract.objects.filter(pk__in={row.contract_id for row in rows}).values_list("id", "symbol"))
    parties = _codes({row.buyer_id for row in rows} | {row.provider_id for row in rows})
    return [
        NamedMinute(row, contracts[row.contract_id], parties[row.buyer_id], parties[row.provider_id]) for row in rows
    ]


def total_pairs(minutes: QuerySet[UsageMinute]) -> list[PairTotals]:
    """The sums of minutes of one contract for each pair and side, pairs by code, the provider's word first."""
    sums = {f"all_{name}": Sum(name) for name in FIGURES}
    summed = minutes.values("buyer_id", "provider_id", "side").annotate(**sums)
    rows = cast(list[dict[str, Any]], list(summed))
    parties = _codes({row["buyer_id"] for row in rows} | {row["provider_id"] for row in rows})
    totals = [
        PairTotals(
            buyer=parties[row["buyer_id"]],
            provider=parties[row["provider_id"]],
            side=Side(row["side"]),
            figures={name: int(row[f"all_{name}"]) for name in FIGURES},
        )
        for row in rows
    ]
    order = (Side.PROVIDER, Side.BUYER, Side.GATEWAY)
    return sorted(totals, key=lambda each: (each.buyer, each.provider, order.index(each.side)))


def list_completeness(
    contract: Contract, party_ids: Collection[int] | None = None, *, now: datetime
) -> list[MeterCompleteness]:
    """How complete each meter's word of a contract is, as far as people of these parties may see; None: all.

    Own meters at any time; when delivery has ended also those that concern a pair of theirs, but not how many events
    they are: that counts other pairs, too.
    """
    whole = read_completeness(contract.id)
    if party_ids is None:
        return list(whole.meters)
    own = set(party_ids)
    pairs = {pair for meter in whole.meters for pair in meter.pairs if own & set(pair)}
    concerned = {meter.meter_id for pair in pairs for meter in whole.of_pair(*pair)}
    shown = []
    for meter in whole.meters:
        if meter.party_id in own:
            shown.append(meter)
        elif meter.meter_id in concerned and contract.delivery_end <= now:
            counted = structs.replace(meter.completeness, told=None, received=None)
            shown.append(replace(meter, pairs=frozenset(meter.pairs & pairs), completeness=counted))
    return shown


def _codes(party_ids: set[int]) -> dict[int, str]:
    return dict(Party.objects.filter(pk__in=party_ids).values_list("id", "code"))
