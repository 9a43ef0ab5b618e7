"""How much of what meters say they sent of a contract has arrived: read from the events, nothing is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.db import connection

from exchange.models import Contract
from settlement.metering.completeness_rules import (
    Completeness,
    CompletenessState,
    Said,
    is_open,
    judge_completeness,
    missing_sequences,
    sorted_root,
)
from settlement.metering.judge import CLOCK_TOLERANCE
from settlement.metering.reconcile import Side
from settlement.models import Meter, UsageEvent, UsageWatermark

_FETCH = 5_000
_LATEST = 2**63 - 1  # no call has a higher number


@dataclass(frozen=True, slots=True)
class MeterCompleteness:
    """A meter that told anything of a contract, and how much of it arrived. `pairs`: the (buyer, provider) it named."""

    meter_id: int
    code: str
    party_id: int
    side: Side
    pairs: frozenset[tuple[int, int]]
    completeness: Completeness


@dataclass(frozen=True)
class ContractCompleteness:
    """All meters that told anything of a contract."""

    contract_id: int
    meters: tuple[MeterCompleteness, ...]

    def of_pair(self, buyer_id: int, provider_id: int) -> list[MeterCompleteness]:
        """The meters whose silence or word concerns a pair.

        Every meter of its buyer and its provider, whether it named the pair or not: a buyer who says that this is all,
        and none of it with this provider, denies. Of gateways, those that named the pair.
        """
        return [
            each
            for each in self._by_party.get((Side.BUYER, buyer_id), ())
            + self._by_party.get((Side.PROVIDER, provider_id), ())
            + self._by_party.get((Side.GATEWAY, None), ())
            if each.side is not Side.GATEWAY or (buyer_id, provider_id) in each.pairs
        ]

    @cached_property
    def _by_party(self) -> Mapping[tuple[Side, int | None], tuple[MeterCompleteness, ...]]:
        """The meters of each buyer and each provider; gateways under None."""
        found: dict[tuple[Side, int | None], tuple[MeterCompleteness, ...]] = {}
        for each in self.meters:
            key = (each.side, None if each.side is Side.GATEWAY else each.party_id)
            found[key] = (*found.get(key, ()), each)
        return found

    def complete_sides(self, buyer_id: int, provider_id: int) -> frozenset[Side]:
        """The sides with at least one meter that concerns the pair and all of them complete."""
        states = defaultdict(set)
        for each in self.of_pair(buyer_id, provider_id):
            states[each.side].add(each.completeness.state)
        return frozenset(side for side, found in states.items() if found == {CompletenessState.COMPLETE})

    def complete_buyers(self) -> frozenset[int]:
        """The parties with at least one buyer's meter and all of them complete."""
        states = defaultdict(set)
        for each in self.meters:
            if each.side is Side.BUYER:
                states[each.party_id].add(each.completeness.state)
        return frozenset(party_id for party_id, found in states.items() if found == {CompletenessState.COMPLETE})


def complete_sides(contract_id: int, buyer_id: int, provider_id: int) -> frozenset[Side]:
    """The sides of a pair of which everything has arrived. For many pairs of a contract use `read_completeness`."""
    return read_completeness(contract_id).complete_sides(buyer_id, provider_id)


def read_completeness(contract_id: int, *, through: int | None = None) -> ContractCompleteness:
    """Judge every meter that told anything of a contract, by the calls up to number `through` if it is given.

    Reads all its events once. While intake writes, a meter may be found incomplete that is not; never the reverse.
    """
    contract = Contract.objects.only("delivery_start", "delivery_end", "listed_at").get(pk=contract_id)
    since = usage_since(contract)
    said = _said(contract_id, through)
    received, pairs = _received(contract_id, since, through)
    roots = _roots(contract, since, said, received, through)
    meters = Meter.objects.filter(pk__in=said.keys() | received.keys()).order_by("code")
    return ContractCompleteness(
        contract_id,
        tuple(
            MeterCompleteness(
                meter.id,
                meter.code,
                meter.party_id,
                Side(meter.side),
                frozenset(pairs[meter.id]),
                judge_completeness(
                    said.get(meter.id, ()),
                    delivery_end=contract.delivery_end,
                    received=received.get(meter.id, 0),
                    root=roots.get(meter.id, b""),
                ),
            )
            for meter in meters
        ),
    )


def usage_since(contract: Contract) -> datetime:
    """Nothing of a contract was received before this, however wrong the meter's clock: it was not listed yet."""
    return min(contract.listed_at, contract.delivery_start - CLOCK_TOLERANCE)


def _said(contract_id: int, through: int | None) -> Mapping[int, list[Said]]:
    """Watermarks by meter, in the order of their sequence."""
    said: dict[int, list[Said]] = {}
    rows = UsageWatermark.objects.filter(contract_id=contract_id).order_by("meter_id", "sequence")
    if through is not None:
        rows = rows.filter(batch_id__lte=through)
    for meter_id, sequence, up_to, events, root in rows.values_list("meter_id", "sequence", "up_to", "events", "root"):
        said.setdefault(meter_id, []).append(Said(sequence, up_to, events, bytes(root)))
    return said


def _received(
    contract_id: int, since: datetime, through: int | None
) -> tuple[dict[int, int], Mapping[int, set[tuple[int, int]]]]:
    """Events accepted before the meter's latest watermark (all, if there is none), and its pairs, by meter."""
    received: dict[int, int] = defaultdict(int)
    pairs: dict[int, set[tuple[int, int]]] = defaultdict(set)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH latest AS (
                SELECT DISTINCT ON (meter_id) meter_id, up_to FROM settlement_usagewatermark
                 WHERE contract_id = %(contract)s AND batch_id <= %(through)s ORDER BY meter_id, sequence DESC)
            SELECT event.meter_id, event.buyer_id, event.provider_id,
                   count(*) FILTER (WHERE latest.up_to IS NULL OR event.accepted_at < latest.up_to)
              FROM settlement_usageevent event LEFT JOIN latest USING (meter_id)
             WHERE event.contract_id = %(contract)s AND event.received_at >= %(since)s
               AND event.batch_id <= %(through)s
             GROUP BY event.meter_id, event.buyer_id, event.provider_id
            """,
            {"contract": contract_id, "since": since, "through": _LATEST if through is None else through},
        )
        for meter_id, buyer_id, provider_id, events in cursor:
            received[meter_id] += events
            pairs[meter_id].add((buyer_id, provider_id))
    return received, pairs


def _roots(
    contract: Contract,
    since: datetime,
    said: Mapping[int, list[Said]],
    received: Mapping[int, int],
    through: int | None,
) -> dict[int, bytes]:
    """The roots of what arrived, by meter; only where the state hangs on it."""
    roots = {}
    for meter_id, marks in said.items():
        latest = marks[-1]
        if (
            is_open(marks, delivery_end=contract.delivery_end)
            or missing_sequences(marks)
            or latest.events != received.get(meter_id, 0)
        ):
            continue
        ids = (
            UsageEvent.objects.filter(
                contract_id=contract.id,
                received_at__gte=since,
                meter_id=meter_id,
                accepted_at__lt=latest.up_to,
                batch_id__lte=_LATEST if through is None else through,
            )
            .order_by("event_id")  # the column's collation is by bytes
            .values_list("event_id", flat=True)
        )
        roots[meter_id] = sorted_root(id.encode() for id in ids.iterator(_FETCH))
    return roots
