"""The usage events of a contract in a bundle, held against what was frozen of them, and what they come to. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, islice

import msgspec

from settlement.metering.buckets import SETTLED_BUCKETS, TokenBuckets
from settlement.metering.pair_figures import PairEvents, PairFigures, pair_figures
from settlement.metering.records import RecordKind, Side, UsageRecord
from settlement.metering.weights import TokenWeights, parse_weights, weigh, weigh_refusal
from settlement.recompute.event_checks import check_words, implausible
from settlement.recompute.event_lines import BundledEvent, read_event
from settlement.recompute.faults import BundleFault, FaultCode
from settlement.recompute.manifest import ManifestMeter
from settlement.runs.frozen import FrozenContract, FrozenPosition, FrozenUnmatched

VOID = "void"  # the kind of a correction that says there was no such request
Pair = tuple[str, str]  # codes of buyer and provider


@dataclass(frozen=True, slots=True)
class ContractUsage:
    """The figures of each pair of a contract, how many events they follow from, and how many of those their meters' own
    words prove."""

    figures: Mapping[Pair, PairFigures]
    events: int
    proven: int


def read_usage(
    frozen: FrozenContract, meters: Mapping[int, ManifestMeter], lines: Iterable[bytes], name: str
) -> ContractUsage:
    """The usage of a frozen contract. Raises `BundleFault` if the events are not those that were frozen.

    One pair after the other, so that no more than one pair's events are in memory.
    """
    weights = parse_weights(frozen.terms.weights)
    frozen_pairs: dict[Pair, FrozenPosition | FrozenUnmatched] = {
        (position.buyer, position.provider): position for position in frozen.positions
    }
    frozen_pairs |= {(pair.buyer, pair.provider): pair for pair in frozen.unmatched}
    found: dict[Pair, PairFigures] = {}
    count = proven = 0
    for key, of_pair in groupby(_decoded(lines, name), key=lambda event: (event.buyer, event.provider)):
        if key in found or key not in frozen_pairs:
            raise BundleFault(FaultCode.WRONG_EVENTS, f"{name}: events of {' and '.join(key)}, which were not frozen")
        events = list(islice(of_pair, max(frozen_pairs[key].usage.events, 0) + 1))
        count += len(events)
        _check_digest(frozen_pairs[key], events, name)
        proven += sum(_check_event(frozen, meters, event, name) for event in events)
        _check_weights(frozen, events, weights, name)
        found[key] = _figures(frozen, frozen_pairs[key], events, weights)
    for key, each in frozen_pairs.items():
        if key not in found and each.usage.events:
            detail = f"{name}: {each.usage.events} events of {' and '.join(key)} are missing"
            raise BundleFault(FaultCode.WRONG_EVENTS, detail)
    return ContractUsage(found, count, proven)


def _decoded(lines: Iterable[bytes], name: str) -> Iterator[BundledEvent]:
    for number, line in enumerate(lines, start=1):
        try:
            yield read_event(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BundleFault(FaultCode.FILE_MALFORMED, f"{name}, line {number}: {error}") from error


def _check_digest(pair: FrozenPosition | FrozenUnmatched, events: list[BundledEvent], name: str) -> None:
    digest = hashlib.sha256(b"".join(bytes.fromhex(event.hash) for event in events)).hexdigest()
    if (len(events), digest) != (pair.usage.events, pair.usage.digest):
        who = f"{pair.buyer} and {pair.provider}"
        raise BundleFault(FaultCode.WRONG_EVENTS, f"{name}: the events of {who} do not come to the frozen digest")


def _check_event(frozen: FrozenContract, meters: Mapping[int, ManifestMeter], event: BundledEvent, name: str) -> bool:
    """Whether its meter's own words prove it. Raises `BundleFault` if they say something else, or no meter could."""
    meter = meters.get(event.meter)
    wrong, proven = implausible(frozen, meter, event), False
    if not wrong and meter is not None:
        wrong, proven = check_words(event, contract=frozen.symbol, source=meter.code)
    if wrong:
        raise BundleFault(FaultCode.WRONG_EVENT, f"{name}: {event.request_id or event.hash}: {wrong}")
    return proven


def _figures(
    frozen: FrozenContract,
    pair: FrozenPosition | FrozenUnmatched,
    events: list[BundledEvent],
    weights: TokenWeights,
) -> PairFigures:
    signed = Counter(event.side for event in events if event.signed)
    return pair_figures(
        [_record(event) for event in events if event.kind != VOID],
        PairEvents(
            events=len(events),
            digest=pair.usage.digest,
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
        buckets = TokenBuckets(**dict(zip((bucket.value for bucket in SETTLED_BUCKETS), event.tokens, strict=True)))
        weight = sum(event.tokens)  # of a start or a void none, and there must be none
        if event.kind == "refused":
            weight = weigh_refusal(buckets, weights, refused_output_tokens=refused_output)
        elif event.kind in ("completed", "aggregate"):
            weight = weigh(buckets, weights)
        if weight != event.millitokens:
            detail = f"{name}: {event.request_id} weighs {weight} millitokens and counts as {event.millitokens}"
            raise BundleFault(FaultCode.WRONG_EVENT, detail)
