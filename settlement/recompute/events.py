"""Usage events in a bundle: one JSON object a line, by the codes of buyer and provider, then by content hash. Pure.

An event is here as settlement reads it. What it said in full stays with whoever signed it; `hash` is the SHA-256 over
that, and the digest over the hashes of a pair is frozen. `meter` is a number that tells the meters of a side apart. A
member that is not there is what most events have: no refusal, one request, not signed, not a correction.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import msgspec

from settlement.metering.buckets import SETTLED_BUCKETS, TokenBuckets
from settlement.metering.pair_figures import PairEvents, PairFigures, pair_figures
from settlement.metering.records import RecordKind, RefusalReason, Side, UsageRecord
from settlement.metering.weights import TokenWeights, parse_weights, weigh, weigh_refusal
from settlement.recompute.faults import BundleFault, FaultCode
from settlement.runs.frozen import FrozenContract, FrozenPosition, FrozenUnmatched

VOID = "void"  # the kind of a correction that says there was no such request
Pair = tuple[str, str]  # codes of buyer and provider


class BundledEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One event; `tokens` by bucket in the order of `SETTLED_BUCKETS`."""

    buyer: str
    provider: str
    hash: str
    kind: str
    side: Side
    meter: int
    request_id: str
    accepted_at: datetime
    received_at: datetime
    tokens: tuple[int, ...] = (0,) * len(SETTLED_BUCKETS)
    millitokens: int = 0
    refusal: RefusalReason | None = None
    retry_of: str | None = None
    requests: int = 1
    ttft_ms: int | None = None
    output_ms: int | None = None
    signed: bool = False
    supersedes: bool = False


@dataclass(frozen=True, slots=True)
class ContractUsage:
    """The figures of each pair of a contract, and how many events they follow from."""

    figures: Mapping[Pair, PairFigures]
    events: int


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(BundledEvent)


def event_line(event: BundledEvent) -> bytes:
    """An event as a line of its file, without the end of the line."""
    return _encoder.encode(event)


def read_usage(frozen: FrozenContract, lines: Iterable[bytes], name: str) -> ContractUsage:
    """The usage of a frozen contract. Raises `BundleFault` if the events are not those that were frozen.

    One pair after the other, so that no more than one pair's events are in memory.
    """
    weights = parse_weights(frozen.terms.weights)
    frozen_pairs: dict[Pair, FrozenPosition | FrozenUnmatched] = {
        (position.buyer, position.provider): position for position in frozen.positions
    }
    frozen_pairs |= {(pair.buyer, pair.provider): pair for pair in frozen.unmatched}
    found: dict[Pair, PairFigures] = {}
    count = 0
    for key, of_pair in groupby(_decoded(lines, name), key=lambda event: (event.buyer, event.provider)):
        if key in found or key not in frozen_pairs:
            raise BundleFault(FaultCode.WRONG_EVENTS, f"{name}: events of {' and '.join(key)}, which were not frozen")
        events = list(of_pair)
        count += len(events)
        _check_weights(frozen, events, weights, name)
        found[key] = _figures(frozen, frozen_pairs[key], events, weights, name)
    for key, each in frozen_pairs.items():
        if key not in found and each.usage.events:
            detail = f"{name}: {each.usage.events} events of {' and '.join(key)} are missing"
            raise BundleFault(FaultCode.WRONG_EVENTS, detail)
    return ContractUsage(found, count)


def _decoded(lines: Iterable[bytes], name: str) -> Iterator[BundledEvent]:
    for number, line in enumerate(lines, start=1):
        try:
            yield _decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise BundleFault(FaultCode.FILE_MALFORMED, f"{name}, line {number}: {error}") from error


def _figures(
    frozen: FrozenContract,
    pair: FrozenPosition | FrozenUnmatched,
    events: list[BundledEvent],
    weights: TokenWeights,
    name: str,
) -> PairFigures:
    digest = hashlib.sha256(b"".join(bytes.fromhex(event.hash) for event in events)).hexdigest()
    if (len(events), digest) != (pair.usage.events, pair.usage.digest):
        who = f"{pair.buyer} and {pair.provider}"
        raise BundleFault(FaultCode.WRONG_EVENTS, f"{name}: the events of {who} do not come to the frozen digest")
    signed = Counter(event.side for event in events if event.signed)
    return pair_figures(
        [_record(event) for event in events if event.kind != VOID],
        PairEvents(
            events=len(events),
            digest=digest,
            signed={side: signed[side] for side in Side if signed[side]},
            corrections=sum(event.supersedes for event in events),
        ),
        weights=weights,
        rules=pair.rules,
        timed=frozen.terms.sla is not None,
    )


def _record(event: BundledEvent) -> UsageRecord:
    return UsageRecord(
        side=event.side,
        kind=RecordKind(event.kind),
        request_id=event.request_id,
        accepted_at=event.accepted_at,
        tokens=event.tokens,
        millitokens=event.millitokens,
        refusal=event.refusal,
        retry_of=event.retry_of,
        requests=event.requests,
        meter=event.meter,
        received_at=event.received_at,
        ttft_ms=event.ttft_ms,
        output_ms=event.output_ms,
    )


def _check_weights(frozen: FrozenContract, events: Iterable[BundledEvent], weights: TokenWeights, name: str) -> None:
    """What an event counts for follows from its tokens and the terms."""
    refused_output = frozen.terms.refused_output_tokens
    for event in events:
        if event.kind not in {RecordKind.COMPLETED, RecordKind.REFUSED, RecordKind.AGGREGATE}:
            continue
        buckets = TokenBuckets(**dict(zip((bucket.value for bucket in SETTLED_BUCKETS), event.tokens, strict=True)))
        if event.kind == RecordKind.REFUSED:
            weight = weigh_refusal(buckets, weights, refused_output_tokens=refused_output)
        else:
            weight = weigh(buckets, weights)
        if weight != event.millitokens:
            detail = f"{name}: {event.request_id} weighs {weight} millitokens and counts as {event.millitokens}"
            raise BundleFault(FaultCode.WRONG_EVENT, detail)
