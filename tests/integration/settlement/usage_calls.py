"""Calls of meters as intake stores them, written row by row: for what reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.db import connection, transaction

from settlement.metering.completeness_rules import watermark_root
from settlement.metering.partitions import make_partitions_ahead
from settlement.models import (
    Meter,
    PendingRollup,
    UsageBatch,
    UsageDedup,
    UsageEvent,
    UsageSupersession,
    UsageWatermark,
)
from tests.integration.settlement.trading_day import NO_BODY, START, TradingDay


@dataclass(slots=True)
class Calls:
    """Writes what meters of a trading day reported; all of it about the first buyer and provider unless told."""

    day: TradingDay
    numbers: int = 0

    def meter(self, code: str) -> Meter:
        return Meter.objects.get(code=f"meter/{code}")

    def event(self, id: str = "", *, by: str = "provider-1", **said: Any) -> UsageEvent:
        """A completed request of 1 token for each bucket, unless told otherwise."""
        self.numbers += 1
        buckets = {"input_uncached": 1, "output_visible": 2} if said.get("kind", "completed") == "completed" else {}
        return UsageEvent(
            **{
                "accepted_at": START,
                "event_time": START,
                "meter_id": self.meter(by).id,
                "contract_id": self.day.contract.id,
                "buyer_id": self.day.parties["buyer-1"].id,
                "provider_id": self.day.parties["provider-1"].id,
                "kind": "completed",
                "event_id": id or f"event-{self.numbers}",
                "content_hash": sha256(id.encode()).digest(),
                "request_id": f"request-{self.numbers}",
                "millitokens": 9_000 if buckets else 0,
            }
            | buckets
            | said
        )

    def correction(self, of: str, id: str = "", **said: Any) -> UsageEvent:
        return self.event(id, supersedes=of, why="counted twice", **said)

    def aggregate(self, requests: int, **said: Any) -> UsageEvent:
        figures: dict[str, Any] = {
            "output_visible": 5 * requests,
            "millitokens": 20 * requests,
            "records_root": bytes(32),
        }
        return self.event(kind="aggregate", requests=requests, **(figures | said))

    @transaction.atomic
    def report(
        self, *events: UsageEvent, at: datetime = START, watermarks: Sequence[UsageWatermark] = (), wait: bool = True
    ) -> int:
        """One call with these events; gives its number."""
        make_partitions_ahead(now=at, days=0)
        with connection.cursor() as cursor:
            cursor.execute("SELECT nextval('settlement_usagebatch_id_seq')")
            batch_id = int(cursor.fetchone()[0])
        accepted = sum(event.quarantine_reason is None for event in events) + len(watermarks)
        UsageBatch.objects.create(
            id=batch_id,
            party_id=self.day.parties["provider-1"].id,
            actor="tests",
            received_at=at,
            body_digest=NO_BODY,
            accepted=accepted,
            duplicates=0,
            conflicts=0,
            quarantined=len(events) + len(watermarks) - accepted,
            rejected=0,
        )
        for place, event in enumerate(events):
            event.batch_id, event.place, event.received_at = batch_id, place, at
        UsageDedup.objects.bulk_create(
            UsageDedup(
                meter_id=event.meter_id,
                event_id=event.event_id,
                batch_id=batch_id,
                place=event.place,
                content_hash=event.content_hash,
            )
            for event in events
        )
        UsageEvent.objects.bulk_create(events)
        UsageSupersession.objects.bulk_create(
            UsageSupersession(
                meter_id=event.meter_id,
                event_id=event.supersedes,
                by_event_id=event.event_id,
                contract_id=event.contract_id,
                batch_id=batch_id,
            )
            for event in events
            if event.supersedes and event.quarantine_reason is None
        )
        for mark in watermarks:
            mark.batch_id, mark.received_at = batch_id, at
        UsageWatermark.objects.bulk_create(watermarks)
        if accepted and wait:
            PendingRollup.objects.create(batch_id=batch_id, received_at=at)
        return batch_id

    def watermark(
        self, ids: Sequence[str], *, by: str = "provider-1", sequence: int = 1, **said: Any
    ) -> UsageWatermark:
        """That these events are all of the contract to the end of its window."""
        return UsageWatermark(
            **{
                "meter_id": self.meter(by).id,
                "contract_id": self.day.contract.id,
                "sequence": sequence,
                "up_to": START + timedelta(hours=1),
                "events": len(ids),
                "root": watermark_root(ids),
                "event_id": f"mark-{by}-{sequence}",
            }
            | said
        )
