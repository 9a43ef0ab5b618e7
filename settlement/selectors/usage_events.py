"""Reading what meters reported, event by event."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Q, QuerySet, Subquery

from exchange.models import Contract
from ledger.models import Party
from settlement.errors import TooManyRecords
from settlement.models import Meter, MeterSide, SignedBatch, UsageBatch, UsageConflict, UsageEvent, UsageSupersession


@dataclass(frozen=True, slots=True)
class WantedRecords:
    """Which events: those of a contract, of a call, or the quarantined ones; and of these which."""

    contract: str = ""  # its symbol
    batch: int | None = None  # the call they came in
    quarantined: bool | None = None
    request_id: str = ""
    meter: str = ""  # its code
    buyer: str = ""  # the party's code
    provider: str = ""


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """An event with the names that its numbers stand for.

    `superseded_by` is the event id of the correction that replaced it, "" if none did; `signed`: it came in a signed
    call.
    """

    event: UsageEvent
    meter: str
    meter_party_id: int
    side: MeterSide
    contract: str
    buyer: str
    provider: str
    superseded_by: str
    signed: bool


def list_usage_events(
    wanted: WantedRecords, party_ids: Collection[int] | None = None, *, now: datetime
) -> QuerySet[UsageEvent]:
    """Events that people of these parties may see, in no order; (`batch_id`, `place`) tells them apart.

    Those of the parties' own meters at any time; in a contract whose delivery has ended also what other meters reported
    of the parties' own pairs. None: all there are. Raises `TooManyRecords` unless a contract, a call or the quarantined
    ones are asked for, which there are indexes for.
    """
    if not (wanted.contract or wanted.batch is not None or wanted.quarantined):
        raise TooManyRecords("Name a contract or a call, or ask for quarantined records only.", field="contract")
    events = UsageEvent.objects.all()
    own = None if party_ids is None else Q(meter_id__in=_meters_of(party_ids))
    if wanted.contract:
        contract = Contract.objects.filter(symbol=wanted.contract).first()
        if contract is None:
            return events.none()
        # Nothing is taken in for a contract before it is listed: days before that need not be looked into.
        events = events.filter(contract_id=contract.pk, received_at__gte=contract.listed_at)
        if own is not None and party_ids is not None and contract.delivery_end <= now:
            own |= Q(buyer_id__in=list(party_ids)) | Q(provider_id__in=list(party_ids))
    if own is not None:
        events = events.filter(own)
    return _narrowed(events, wanted)


def list_usage_conflicts(party_ids: Collection[int] | None = None, *, meter: str = "") -> QuerySet[UsageConflict]:
    """Ids of these parties' meters (None: of all) that came again with other content, the latest first.

    Each has its `meter_code`.
    """
    meters = Meter.objects.all() if party_ids is None else Meter.objects.filter(party_id__in=list(party_ids))
    if meter:
        meters = meters.filter(code=meter)
    code = Meter.objects.filter(id=OuterRef("meter_id")).values("code")
    conflicts = UsageConflict.objects.annotate(meter_code=Subquery(code)).order_by("-id")
    return conflicts.filter(meter_id__in=meters.values("id"))


def name_records(events: Iterable[UsageEvent]) -> list[UsageRecord]:
    """Events with their names, in a few queries however many they are."""
    rows = list(events)
    meters = Meter.objects.in_bulk({row.meter_id for row in rows})
    contracts = Contract.objects.in_bulk({row.contract_id for row in rows})
    parties = Party.objects.in_bulk({row.buyer_id for row in rows} | {row.provider_id for row in rows})
    ids = {row.event_id for row in rows}
    corrections = UsageSupersession.objects.filter(meter_id__in=list(meters), event_id__in=list(ids))
    superseded = {
        (meter_id, event_id): by
        for meter_id, event_id, by in corrections.values_list("meter_id", "event_id", "by_event_id")
    }
    batches = {row.batch_id for row in rows}
    signed = set(SignedBatch.objects.filter(batch_id__in=list(batches)).values_list("batch_id", flat=True))
    return [
        UsageRecord(
            event=row,
            meter=meters[row.meter_id].code,
            meter_party_id=meters[row.meter_id].party_id,
            side=MeterSide(meters[row.meter_id].side),
            contract=contracts[row.contract_id].symbol,
            buyer=parties[row.buyer_id].code,
            provider=parties[row.provider_id].code,
            superseded_by=superseded.get((row.meter_id, row.event_id), ""),
            signed=row.batch_id in signed,
        )
        for row in rows
    ]


def _narrowed(events: QuerySet[UsageEvent], wanted: WantedRecords) -> QuerySet[UsageEvent]:
    if wanted.batch is not None:
        received_at = UsageBatch.objects.filter(id=wanted.batch).values_list("received_at", flat=True).first()
        if received_at is None:
            return events.none()
        events = events.filter(received_at=received_at, batch_id=wanted.batch)
    if wanted.quarantined is not None:
        events = events.filter(quarantine_reason__isnull=not wanted.quarantined)
    if wanted.request_id:
        events = events.filter(request_id=wanted.request_id)
    if wanted.meter:
        events = events.filter(meter_id__in=list(Meter.objects.filter(code=wanted.meter).values_list("id", flat=True)))
    if wanted.buyer:
        events = events.filter(buyer_id__in=list(Party.objects.filter(code=wanted.buyer).values_list("id", flat=True)))
    if wanted.provider:
        provider = Party.objects.filter(code=wanted.provider).values_list("id", flat=True)
        events = events.filter(provider_id__in=list(provider))
    return events


def _meters_of(party_ids: Collection[int]) -> list[int]:
    return list(Meter.objects.filter(party_id__in=list(party_ids)).values_list("id", flat=True))
