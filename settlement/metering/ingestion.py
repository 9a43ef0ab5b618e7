"""The door for usage: a batch of events in, one result an event out.

Meters retry until they get an answer, several workers may get the same batch, and one broken event must not hold up
the others. So an event's identity (meter, id) and its data are written in one transaction, in key order, and whoever
comes second finds a duplicate. Nothing is dropped in silence: what cannot be settled is quarantined with its reason,
what cannot even be kept is rejected with one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import transaction

from settlement.errors import BatchTooLarge
from settlement.metering.context import MeteredContract, MeteringContext, load_context, window_starts
from settlement.metering.envelope import BadEvent, EventKind, UsageReport, event_id_of, parse_event
from settlement.metering.families import extract
from settlement.metering.store import Identity, UsageRow, ensure_partitions, keep_conflicts, keep_events
from settlement.metering.weights import weigh, weigh_refusal
from settlement.models import MeterSide

MAX_BATCH = 10_000
CLOCK_TOLERANCE = timedelta(minutes=5)  # how far ahead of ours a meter's clock may run
# A billion contract tokens. No request comes near, and what any number of events sums up to then fits 64 bits: nobody
# can report so much that a contract cannot be settled.
MAX_EVENT_MILLITOKENS = 10**12


class ItemStatus(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # the same again: as good as accepted
    CONFLICT = "conflict"  # the id came before with other content, which stands
    QUARANTINED = "quarantined"  # kept, not settled
    REJECTED = "rejected"  # not kept; correct it and send it again


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one event. `code` is stable, and equal to the status where there is nothing more to say."""

    event_id: str
    status: ItemStatus
    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Judged:
    """A row to keep, and what to answer if nobody was faster."""

    row: UsageRow
    result: ItemResult


def ingest(events: Sequence[Any], *, party_id: int, now: datetime) -> list[ItemResult]:
    """Take in up to `MAX_BATCH` CloudEvents from meters of a party; results in the order of the events.

    Commits by itself and may be repeated with the same events at any time. Raises `BatchTooLarge` only.
    """
    if len(events) > MAX_BATCH:
        raise BatchTooLarge(f"At most {MAX_BATCH} events a call, not {len(events)}.", maximum=str(MAX_BATCH))
    results: dict[int, ItemResult] = {}
    reports: dict[int, UsageReport] = {}
    for index, event in enumerate(events):
        try:
            reports[index] = parse_event(event)
        except BadEvent as bad:
            results[index] = _rejected(event, bad)
    ensure_partitions(window_starts(reports.values()))
    with transaction.atomic(durable=True):
        context = load_context(reports.values(), party_id=party_id)
        judged: dict[int, _Judged] = {}
        for index, report in reports.items():
            try:
                judged[index] = _judge(report, context, now)
            except BadEvent as bad:
                results[index] = _rejected(events[index], bad)
        results |= _keep(judged, events, now)
    return [results[index] for index in range(len(events))]


def _rejected(event: object, bad: BadEvent) -> ItemResult:
    return ItemResult(event_id_of(event), ItemStatus.REJECTED, bad.code, bad.message)


def _judge(report: UsageReport, context: MeteringContext, now: datetime) -> _Judged:
    """Who reports what for whom, and whether it can be settled. Raises `BadEvent` for what is not even kept."""
    meter = context.meters.get(report.meter)
    if meter is None:
        raise BadEvent("unknown_meter", f"There is no meter {report.meter!r} that this key may report for.")
    contract = context.contracts.get(report.contract)
    if contract is None:
        raise BadEvent("unknown_contract", f"There is no contract {report.contract!r}.")
    buyer_id, provider_id = context.parties.get(report.buyer), context.parties.get(report.provider)
    if buyer_id is None or provider_id is None:
        raise BadEvent("unknown_party", "There is no such buyer or no such provider.")
    own = {MeterSide.PROVIDER: provider_id, MeterSide.BUYER: buyer_id, MeterSide.GATEWAY: meter.party_id}
    if own[MeterSide(meter.side)] != meter.party_id:
        raise BadEvent("not_your_usage", "A party's meter reports that party's own usage only.")
    buckets, millitokens, reason, detail = _measure(report, contract, now)
    row = UsageRow(
        identity=Identity(meter.id, report.event_id),
        content_hash=report.content_hash,
        window_start=contract.delivery_start,
        accepted_at=report.accepted_at,
        kind=report.kind,
        contract_id=contract.id,
        buyer_id=buyer_id,
        provider_id=provider_id,
        request_id=report.request_id,
        retry_of=report.retry_of or "",
        refusal_reason=report.refusal or "",
        family=report.family,
        raw=report.usage,
        buckets=buckets,
        millitokens=millitokens,
        quarantine_reason=reason,
        received_at=now,
    )
    if reason:
        return _Judged(row, ItemResult(report.event_id, ItemStatus.QUARANTINED, reason, detail))
    return _Judged(row, ItemResult(report.event_id, ItemStatus.ACCEPTED, ItemStatus.ACCEPTED))


def _measure(report: UsageReport, contract: MeteredContract, now: datetime) -> tuple[dict[str, int], int, str, str]:
    """(buckets, milli-contract-tokens, quarantine reason, what was wrong); the reason is empty if all is well."""
    extraction = extract(report.family, report.usage)
    buckets = extraction.buckets.as_dict()
    if extraction.reason is not None:
        return buckets, 0, extraction.reason, extraction.detail
    if not contract.delivery_start <= report.accepted_at < contract.delivery_end:
        return buckets, 0, "outside_window", "accepted_at is outside the contract's delivery window."
    if report.accepted_at > now + CLOCK_TOLERANCE:
        return buckets, 0, "in_future", "accepted_at has not come yet."
    if contract.final:
        return buckets, 0, "after_final_run", "The contract's final settlement run has begun."
    if contract.weights is None:
        return buckets, 0, "no_weights", "The product does not weigh every kind of token."
    if report.kind is EventKind.REFUSED:
        millitokens = weigh_refusal(
            extraction.buckets, contract.weights, refused_output_tokens=contract.refused_output_tokens
        )
    else:
        millitokens = weigh(extraction.buckets, contract.weights)
    if millitokens > MAX_EVENT_MILLITOKENS:
        detail = f"The counts come to more than {MAX_EVENT_MILLITOKENS} thousandths of a contract token."
        return buckets, 0, "count_out_of_range", detail
    return buckets, millitokens, "", ""


def _keep(judged: Mapping[int, _Judged], events: Sequence[Any], now: datetime) -> dict[int, ItemResult]:
    """Write what is new and answer every event."""
    first: dict[Identity, int] = {}
    for index, item in judged.items():
        first.setdefault(item.row.identity, index)
    standing = keep_events([judged[index].row for index in first.values()])
    results: dict[int, ItemResult] = {}
    conflicts = []
    for index, item in judged.items():
        row = item.row
        # Another batch was first, or another event of this one.
        before = standing.get(row.identity) or (judged[first[row.identity]].row.content_hash)
        if row.identity not in standing and first[row.identity] == index:
            results[index] = item.result
        elif before == row.content_hash:
            results[index] = ItemResult(item.result.event_id, ItemStatus.DUPLICATE, ItemStatus.DUPLICATE)
        else:
            conflicts.append((row, before, events[index]))
            results[index] = ItemResult(
                item.result.event_id,
                ItemStatus.CONFLICT,
                ItemStatus.CONFLICT,
                "This id came before with other content, which stands. Use a new id for another event.",
            )
    keep_conflicts(conflicts, now)
    return results
