"""The accepted events of contracts as records, for reconciliation: the only place they are read for money."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol

from django.db.models import Exists, OuterRef
from django.db.models.functions import Collate

from ledger.packing import pack_int8, pack_texts_or_null, packed_cursor
from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.judge import CLOCK_TOLERANCE
from settlement.metering.records import RecordKind, RefusalReason, Side, UsageRecord
from settlement.models import EventKind, Meter, SignedBatch, UsageEvent, UsageSupersession

PairKey = tuple[int, int, int]  # contract, buyer, provider
_FETCH = 5_000
_pair = itemgetter(0, 1)
_COLUMNS = (
    "kind",
    "meter_id",
    "request_id",
    "accepted_at",
    "millitokens",
    "refusal_reason",
    "retry_of",
    "requests",
    "received_at",
    "ttft_ms",
    "output_ms",
    *(bucket.value for bucket in SETTLED_BUCKETS),
)
_REQUESTS = f"""
SELECT event.contract_id, event.buyer_id, event.provider_id, {", ".join(f"event.{column}" for column in _COLUMNS)}
  FROM unnest(%(contract_ids)s::bigint[], %(buyer_ids)s::bigint[], %(provider_ids)s::bigint[],
              %(request_ids)s::text[]) AS wanted(contract_id, buyer_id, provider_id, request_id)
  JOIN settlement_usageevent AS event
    ON event.contract_id = wanted.contract_id AND event.buyer_id = wanted.buyer_id
   AND event.provider_id = wanted.provider_id
   AND (wanted.request_id IS NULL OR event.request_id = wanted.request_id)
 WHERE event.received_at >= %(since)s AND event.contract_id = ANY(%(contracts)s::bigint[])
   AND event.batch_id <= %(through)s AND event.quarantine_reason IS NULL AND event.kind <> 'void'
   AND NOT EXISTS (SELECT FROM settlement_usagesupersession AS gone
                    WHERE gone.contract_id = ANY(%(contracts)s::bigint[]) AND gone.batch_id <= %(through)s
                      AND gone.meter_id = event.meter_id AND gone.event_id = event.event_id)
"""  # noqa: S608  # words of our own


class Contract(Protocol):
    """As much of a contract as is needed to find its events."""

    @property
    def id(self) -> int: ...
    @property
    def delivery_start(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class PairUsage:
    """What all meters reported of a buyer with a provider in a contract: quarantined and corrected events left out.

    `digest` is the SHA-256, in hex, of the content hashes of the `events`, in their order; corrections that say there
    was no such request are among them, though not among the `records`. `signed` counts the events that came in signed
    calls by side, `corrections` those that replaced another.
    """

    buyer_id: int
    provider_id: int
    records: list[UsageRecord]
    events: int
    digest: str
    signed: dict[Side, int]
    corrections: int


def read_pairs(contract: Contract, *, through: int | None = None) -> Iterator[PairUsage]:
    """The usage of each pair of a contract, by buyer and provider; of the calls up to number `through` if it is given.

    One pair after the other, so that no more than one pair's events are in memory.
    """
    sides = _sides()
    for (buyer_id, provider_id), rows in groupby(_rows(contract, through).iterator(_FETCH), key=_pair):
        yield _read(buyer_id, provider_id, rows, sides)


def read_requests(
    wanted: Sequence[tuple[PairKey, str | None]], *, since: datetime, through: int
) -> dict[PairKey, list[UsageRecord]]:
    """The records of single requests, or of all of a pair where None is given for the request."""
    sides = _sides()
    records: dict[PairKey, list[UsageRecord]] = defaultdict(list)
    with packed_cursor() as cursor:
        cursor.execute(
            _REQUESTS,
            {
                "since": since,
                "through": through,
                "contracts": pack_int8(sorted({key[0] for key, _ in wanted})),
                "contract_ids": pack_int8([key[0] for key, _ in wanted]),
                "buyer_ids": pack_int8([key[1] for key, _ in wanted]),
                "provider_ids": pack_int8([key[2] for key, _ in wanted]),
                "request_ids": pack_texts_or_null([request_id for _, request_id in wanted]),
            },
            binary=True,
        )
        for row in cursor:
            records[row[:3]].append(_record(sides, *row[3:]))
    return records


def usage_since(delivery_start: datetime) -> datetime:
    """Nothing of a contract that can be settled was received before this."""
    return delivery_start - CLOCK_TOLERANCE


def _sides() -> dict[int, Side]:
    return {meter_id: Side(side) for meter_id, side in Meter.objects.values_list("id", "side")}


def _rows(contract: Contract, through: int | None) -> Any:
    corrected = UsageSupersession.objects.filter(contract_id=contract.id, meter_id=OuterRef("meter_id")).alias(
        id_bytes=Collate("event_id", "C")
    )  # ids of events are compared by bytes
    events = UsageEvent.objects.filter(
        received_at__gte=usage_since(contract.delivery_start), contract_id=contract.id, quarantine_reason=None
    )
    if through is not None:
        events, corrected = events.filter(batch_id__lte=through), corrected.filter(batch_id__lte=through)
    return (
        events.exclude(Exists(corrected.filter(id_bytes=OuterRef("event_id"))))
        .order_by("buyer_id", "provider_id", "content_hash")
        .values_list(
            "buyer_id",
            "provider_id",
            Exists(SignedBatch.objects.filter(batch_id=OuterRef("batch_id"))),
            "content_hash",
            "supersedes",
            *_COLUMNS,
        )
    )


def _read(buyer_id: int, provider_id: int, rows: Iterable[Any], sides: dict[int, Side]) -> PairUsage:
    records: list[UsageRecord] = []
    signed: Counter[Side] = Counter()
    digest = hashlib.sha256()
    events = corrections = 0
    for _, _, in_signed_call, content_hash, supersedes, *record in rows:
        kind, meter_id = record[:2]
        digest.update(content_hash)
        events += 1
        corrections += supersedes is not None
        if in_signed_call:
            signed[sides[meter_id]] += 1
        if kind != EventKind.VOID:
            records.append(_record(sides, *record))
    by_side = {side: signed[side] for side in Side if signed[side]}
    return PairUsage(buyer_id, provider_id, records, events, digest.hexdigest(), by_side, corrections)


def _record(
    sides: dict[int, Side],
    kind: str,
    meter_id: int,
    request_id: str,
    accepted_at: datetime,
    millitokens: int,
    reason: str | None,
    retry_of: str | None,
    requests: int,
    received_at: datetime,
    ttft_ms: int | None,
    output_ms: int | None,
    *tokens: int,
) -> UsageRecord:
    return UsageRecord(
        sides[meter_id],
        RecordKind(kind),
        request_id,
        accepted_at,
        tokens,
        millitokens,
        None if reason is None else RefusalReason(reason),
        retry_of,
        requests,
        meter_id,
        received_at,
        ttft_ms,
        output_ms,
    )
