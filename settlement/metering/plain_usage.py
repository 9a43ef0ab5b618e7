"""The usage of many contracts at once, for a settlement run: plain requests summed in the database, the rest in Python.

A request is plain if its provider or a gateway reported it completed, every meter that says anything of it says the
same of every bucket, and nobody refused, retried, repeated or only started it. Most requests are, and they need no
reconciling: what settles is what everybody says. Everything else goes through `reconcile` as it always does, and what
comes out is the same either way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from ledger.packing import pack_int8, packed_cursor
from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.pair_figures import (
    BucketFigure,
    PairEvents,
    PairFigures,
    PlainSums,
    pair_figures,
)
from settlement.metering.records import Side
from settlement.metering.rules_of_pair import PairRules
from settlement.metering.tolerance import COUNTED_PLACES, PPM
from settlement.metering.usage_records import PairKey, read_requests
from settlement.metering.verdicts import Verdict
from settlement.metering.weights import TokenWeights
from settlement.rules import TOLERANCE

_SIDES = {1: Side.GATEWAY, 2: Side.PROVIDER, 4: Side.BUYER}  # bits of the sides that reported a request
_BOTH = 6  # provider and buyer
_PROVIDER_ALONE = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
# Larger counts, which no request has, are left to Python: sums of these stay within 64 bits.
_MOST_TOKENS = 1 << 36
_PLACES = range(len(SETTLED_BUCKETS))
_TOKENS = ", ".join(f"{bucket.value} AS t{place}" for place, bucket in enumerate(SETTLED_BUCKETS))
_LARGEST_OF_EACH = ", ".join(f"max(t{place}) AS t{place}" for place in _PLACES)
_ALL = " + ".join(f"t{place}" for place in _PLACES)
_BELOW = f"({' | '.join(f't{place}' for place in _PLACES)}) < {_MOST_TOKENS}"  # each, as that is a power of two
_SUMS_OF_TOKENS = ", ".join(f"sum(t{place})::bigint AS t{place}" for place in _PLACES)
_BOUND = f"GREATEST({TOLERANCE.absolute_tokens}, t%d * {TOLERANCE.relative_ppm} / {PPM})"
_SUMS_OF_BOUNDS = ", ".join(f"sum({_BOUND % place})::bigint AS b{place}" for place in COUNTED_PLACES)
# What one side alone says of a request: a gateway if there is one, else the provider.
_LEAD = ", ".join(
    f"CASE WHEN bit_or(told) & 1 <> 0 THEN max({each}) FILTER (WHERE told = 1)"
    f" ELSE max({each}) FILTER (WHERE told = 2) END AS {each}"
    for each in ("accepted_at", "millitokens", "ttft_ms", "output_ms")
)
_SUMMED = [
    "requests",
    "millitokens",
    "served",
    *(f"t{place}" for place in _PLACES),
    *(f"b{place}" for place in COUNTED_PLACES),
]
# Reading the events twice costs the database less than keeping them in between.
_READ = f"""
WITH live AS NOT MATERIALIZED (
    SELECT contract_id, buyer_id, provider_id, request_id, kind, batch_id, content_hash, retry_of, accepted_at,
           millitokens, bit, {_TOKENS}, supersedes IS NOT NULL AS corrects,
           CASE WHEN %(timed)s THEN ttft_ms END AS ttft_ms, CASE WHEN %(timed)s THEN output_ms END AS output_ms
      FROM settlement_usageevent AS event
      JOIN (SELECT id, CASE side WHEN 'gateway' THEN 1 WHEN 'provider' THEN 2 ELSE 4 END AS bit
              FROM settlement_meter) AS meter ON meter.id = event.meter_id
     WHERE received_at >= %(since)s AND contract_id = ANY(%(contracts)s::bigint[]) AND batch_id <= %(through)s
       AND quarantine_reason IS NULL
       AND NOT EXISTS (SELECT FROM settlement_usagesupersession AS gone
                        WHERE gone.contract_id = ANY(%(contracts)s::bigint[]) AND gone.batch_id <= %(through)s
                          AND gone.meter_id = event.meter_id AND gone.event_id = event.event_id)),
pair AS (
    SELECT contract_id, buyer_id, provider_id, count(*) AS events,
           encode(sha256(string_agg(content_hash, ''::bytea ORDER BY content_hash)), 'hex') AS digest,
           count(*) FILTER (WHERE corrects) AS corrections, bool_or(kind = 'aggregate') AS whole,
           array_agg(bit) FILTER (WHERE proof.batch_id IS NOT NULL) AS signed,
           array_agg(retry_of) FILTER (WHERE retry_of IS NOT NULL) AS retried
      FROM live LEFT JOIN settlement_signedbatch AS proof USING (batch_id)
     GROUP BY contract_id, buyer_id, provider_id),
link AS (SELECT DISTINCT contract_id, buyer_id, provider_id, unnest(retried) AS request_id FROM pair
          WHERE retried IS NOT NULL),
-- `told` has a bit for each side that ended the request, one for each that began it, and 64 for all that is not plain.
-- If no bit was set twice, their sum is the same. And if the least sum of buckets is that of the largest of each, then
-- all agree in every one.
request AS (
    SELECT contract_id, buyer_id, provider_id, request_id, bit_or(told) AS told, sum(told) AS sum_told,
           min(tokens) AS least, {_LARGEST_OF_EACH},
           {_LEAD}
      FROM (SELECT *, CASE WHEN kind = 'completed' AND {_BELOW} THEN {_ALL} END AS tokens,
                   CASE WHEN retry_of IS NOT NULL THEN 64 WHEN kind = 'completed' THEN bit
                        WHEN kind = 'started' THEN bit << 3 ELSE 64 END AS told
              FROM live WHERE kind <> 'void') AS said
     GROUP BY contract_id, buyer_id, provider_id, request_id),
judged AS (
    SELECT request.contract_id, request.buyer_id, provider_id, request_id, told & 7 AS ends, millitokens, ttft_ms,
           output_ms, {", ".join(f"t{place}" for place in _PLACES)},
           floor(date_part('epoch', accepted_at) / 60)::bigint AS minute,
           coalesce(told < 64 AND told = sum_told AND told & 3 <> 0 AND told >> 3 & ~told = 0
                    AND CASE WHEN {_BELOW} THEN least = {_ALL} END
                    AND (told & 7 <> 2 OR finished.buyer_id IS NULL) AND link.request_id IS NULL, false) AS plain
      FROM request
      LEFT JOIN link USING (contract_id, buyer_id, provider_id, request_id)
      LEFT JOIN unnest(%(finished)s::bigint[], %(buyers)s::bigint[]) AS finished(contract_id, buyer_id)
             ON finished.contract_id = request.contract_id AND finished.buyer_id = request.buyer_id),
plain AS (
    SELECT contract_id, buyer_id, provider_id, ends, count(*) AS requests, sum(millitokens)::bigint AS millitokens,
           count(*) FILTER (WHERE millitokens > 0) AS served,
           {_SUMS_OF_TOKENS},
           {_SUMS_OF_BOUNDS}
      FROM judged WHERE plain GROUP BY contract_id, buyer_id, provider_id, ends),
minute AS (
    SELECT contract_id, buyer_id, provider_id, ends, array_agg(minute) AS minutes, array_agg(delivered) AS delivered
      FROM (SELECT contract_id, buyer_id, provider_id, ends, minute, sum(millitokens)::bigint AS delivered
              FROM judged WHERE plain
             GROUP BY contract_id, buyer_id, provider_id, ends, minute) AS minute
     GROUP BY contract_id, buyer_id, provider_id, ends),
timing AS (
    SELECT contract_id, buyer_id, provider_id, array_agg(ttft_ms) AS ttft_ms,
           sum(t5 + t6)::bigint AS output_tokens, sum(output_ms)::bigint AS output_ms
      FROM judged WHERE %(timed)s AND plain AND millitokens > 0 AND ttft_ms IS NOT NULL AND output_ms IS NOT NULL
     GROUP BY contract_id, buyer_id, provider_id),
rest AS (
    SELECT contract_id, buyer_id, provider_id, array_agg(request_id) AS request_ids
      FROM judged WHERE NOT plain GROUP BY contract_id, buyer_id, provider_id)
SELECT contract_id, buyer_id, provider_id, events, digest, corrections, whole, pair.signed,
       request_ids, ttft_ms, output_tokens, output_ms, ends, minutes, delivered, {", ".join(_SUMMED)}
  FROM pair
  LEFT JOIN rest USING (contract_id, buyer_id, provider_id)
  LEFT JOIN timing USING (contract_id, buyer_id, provider_id)
  LEFT JOIN (plain JOIN minute USING (contract_id, buyer_id, provider_id, ends))
      USING (contract_id, buyer_id, provider_id)
"""  # noqa: S608  # words of our own


@dataclass(frozen=True, slots=True)
class MeteredContract:
    """A contract whose usage is asked for. `complete_buyers`: those whose meters proved that they sent everything;
    `timed`: how fast requests were served counts."""

    id: int
    weights: TokenWeights
    timed: bool
    complete_buyers: Collection[int]
    rules_of: Callable[[int, int], PairRules]


def read_figures(
    contracts: Mapping[int, MeteredContract], *, since: datetime, through: int
) -> dict[PairKey, PairFigures]:
    """The figures of every pair of these contracts that has events, from the calls up to number `through`.

    `since`: nothing of these contracts was received before.
    """
    pairs: dict[PairKey, tuple[PairEvents, PlainSums]] = {}
    unread: list[tuple[PairKey, str | None]] = []
    for row in _rows(contracts, since, through):
        key, (events, digest, corrections, whole, signed, request_ids, *timing), ends = row[:3], row[3:12], row[12]
        if key not in pairs:
            sides = {side: signed.count(bit) for bit, side in _SIDES.items() if bit in signed} if signed else {}
            pairs[key] = PairEvents(events, digest, sides, corrections), PlainSums()
            if not whole and timing[0] is not None:
                plain = pairs[key][1]
                plain.ttft_ms, plain.output_tokens, plain.output_ms = timing
            unread += [(key, None)] if whole else [(key, request_id) for request_id in request_ids or ()]
        if ends is not None and not whole:
            _add(pairs[key][1], ends, row[13], row[14], row[15:])
    records = read_requests(unread, since=since, through=through) if unread else {}
    return {
        key: pair_figures(
            records.get(key, ()),
            events,
            weights=contracts[key[0]].weights,
            rules=contracts[key[0]].rules_of(key[1], key[2]),
            timed=contracts[key[0]].timed,
            plain=plain,
        )
        for key, (events, plain) in pairs.items()
    }


def _rows(contracts: Mapping[int, MeteredContract], since: datetime, through: int) -> list[tuple[Any, ...]]:
    finished = [(contract.id, buyer_id) for contract in contracts.values() for buyer_id in contract.complete_buyers]
    with packed_cursor() as cursor:
        # Sizes of the steps in between cannot be foreseen, and a nested loop over them would take for ever.
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(
            _READ,
            {
                "since": since,
                "through": through,
                "timed": any(contract.timed for contract in contracts.values()),
                "contracts": pack_int8(list(contracts)),
                "finished": pack_int8([contract_id for contract_id, _ in finished]),
                "buyers": pack_int8([buyer_id for _, buyer_id in finished]),
            },
            binary=True,
        )
        rows = cursor.fetchall()
        cursor.execute("SET LOCAL work_mem TO DEFAULT")
        cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")
        return rows


def _add(plain: PlainSums, ends: int, minutes: Sequence[int], delivered: Sequence[int], sums: Sequence[int]) -> None:
    """Add the requests that the same sides reported."""
    requests, millitokens, served = sums[:3]
    counts, bounds = sums[3 : 3 + len(SETTLED_BUCKETS)], sums[3 + len(SETTLED_BUCKETS) :]
    allowed = dict(zip(COUNTED_PLACES, bounds, strict=True)) if ends == _BOTH else {}
    provider, buyer, gateway = ends >> 1 & 1, ends >> 2 & 1, ends & 1
    buckets = list(plain.buckets)
    for place, count in enumerate(counts):
        if count or place in allowed:
            before = buckets[place]
            buckets[place] = BucketFigure(
                before.provider + count * provider,
                before.buyer + count * buyer,
                before.gateway + count * gateway,
                before.settled + count,
                before.tolerance + allowed.get(place, 0),
            )
    plain.buckets = tuple(buckets)
    for bit, side in _SIDES.items():
        if ends & bit:
            plain.said[side] = plain.said.get(side, 0) + millitokens
    for minute, amount in zip(minutes, delivered, strict=True):
        moment = _moment(minute)
        plain.minutes[moment] = plain.minutes.get(moment, 0) + amount
    verdict = Verdict.PROVIDER_ONLY if ends == _PROVIDER_ALONE else Verdict.MATCHED
    plain.verdicts[verdict] = plain.verdicts.get(verdict, 0) + requests
    plain.requests += requests
    plain.settled_millitokens += millitokens
    plain.served += served


@lru_cache(maxsize=4096)  # a window has few minutes
def _moment(minute: int) -> datetime:
    """A minute by its number since 1970."""
    return _EPOCH + minute * _MINUTE
