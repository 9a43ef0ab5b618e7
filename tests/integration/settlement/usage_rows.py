"""Usage events put straight into the tables, for tests of what is made of them; intake has tests of its own."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from django.db import connection

from settlement.metering.completeness_rules import watermark_root
from settlement.metering.reconcile_queue import LAG
from settlement.metering.reconciling import reconcile_contract
from settlement.models import (
    DiscrepancyCase,
    EventKind,
    Meter,
    MeterKey,
    SignedBatch,
    UsageBatch,
    UsageEvent,
    UsageSupersession,
    UsageWatermark,
)
from tests.integration.settlement.trading_day import END, START, TradingDay

LATER = END + LAG
PROVIDER, BUYER = "meter/provider-1", "meter/buyer-1"
WEIGHTS = {
    "input_uncached": 1_000,
    "input_cache_read": 100,
    "input_cache_write_short": 1_000,
    "input_cache_write_long": 1_000,
    "input_tool": 1_000,
    "output_visible": 4_000,
    "output_reasoning": 4_000,
}


class UsageRows:
    """Events of one pair, `buyer-1` and `provider-1` unless told otherwise, in calls of one event."""

    def __init__(self, day: TradingDay) -> None:
        self.day = day
        self.meters = {meter.code: meter for meter in Meter.objects.all()}
        self._batches = 0

    def keep(
        self,
        meter: str,
        request_id: str,
        *,
        kind: EventKind = EventKind.COMPLETED,
        event_id: str = "",
        at: datetime = START,
        received_at: datetime | None = None,
        buyer: str = "buyer-1",
        provider: str = "provider-1",
        contract_id: int = 0,
        replaces: str = "",
        **columns: Any,
    ) -> UsageEvent:
        """One event; `columns` are bucket counts and what else the row has."""
        received_at = received_at or self.day.clock.at
        self._call(received_at)
        contract_id = contract_id or self.day.contract.id
        event_id = event_id or f"{request_id}-{self._batches}"
        with connection.cursor() as cursor:
            cursor.execute("SELECT settlement_ensure_usage_partition(%s)", [received_at.date()])
        millitokens = sum(weight * columns.get(name, 0) for name, weight in WEIGHTS.items())
        if replaces:
            columns |= {"supersedes": replaces, "why": "tests"}
            UsageSupersession.objects.create(
                meter_id=self.meters[meter].pk,
                event_id=replaces,
                by_event_id=event_id,
                contract_id=contract_id,
                batch_id=self._batches,
            )
        return UsageEvent.objects.create(
            received_at=received_at,
            batch_id=self._batches,
            place=0,
            accepted_at=at,
            event_time=at,
            meter_id=self.meters[meter].pk,
            contract_id=contract_id,
            buyer_id=self.day.parties[buyer].id,
            provider_id=self.day.parties[provider].id,
            kind=kind,
            event_id=event_id,
            content_hash=hashlib.sha256(f"{meter}/{event_id}".encode()).digest(),
            request_id=request_id,
            **{"millitokens": millitokens} | columns,
        )

    def _call(self, received_at: datetime) -> None:
        self._batches += 1
        UsageBatch.objects.create(
            id=self._batches,
            party_id=self.day.parties["house"].id,
            actor="tests",
            received_at=received_at,
            body_digest=bytes(32),
            accepted=1,
            duplicates=0,
            conflicts=0,
            quarantined=0,
            rejected=0,
        )

    def both(self, request_id: str, provider: int, buyer: int, **more: Any) -> None:
        """A request of so much visible output, as each side's meter says."""
        self.keep("meter/provider-1", request_id, output_visible=provider, **more)
        self.keep("meter/buyer-1", request_id, output_visible=buyer, **more)

    def sign(self, event: UsageEvent) -> None:
        """The call of an event was signed."""
        meter_id, thumbprint = event.meter_id, f"key of {event.meter_id}"
        key, _ = MeterKey.objects.get_or_create(
            thumbprint=thumbprint,
            defaults={
                "meter_id": meter_id, "public_key": bytes(32), "registered_at": START, "registered_by": "tests",
            },
        )  # fmt: skip
        SignedBatch.objects.create(
            batch_id=event.batch_id, meter_key=key, signature_input="", signature=bytes(64), path="/",
            content_type="application/json", body=b"",
        )  # fmt: skip

    def watermark(self, meter: str, *, up_to: datetime = END, contract_id: int = 0) -> None:
        """The meter says that this is all."""
        contract_id = contract_id or self.day.contract.id
        ids = UsageEvent.objects.filter(contract_id=contract_id, meter_id=self.meters[meter].pk, accepted_at__lt=up_to)
        told = list(ids.values_list("event_id", flat=True))
        self._call(self.day.clock.at)
        marks = UsageWatermark.objects.filter(meter_id=self.meters[meter].pk, contract_id=contract_id)
        UsageWatermark.objects.create(
            meter_id=self.meters[meter].pk,
            contract_id=contract_id,
            sequence=marks.count() + 1,
            up_to=up_to,
            events=len(told),
            root=watermark_root(told),
            event_id=f"watermark-{self._batches}",
            batch_id=self._batches,
            received_at=self.day.clock.at,
        )


def reconcile(day: TradingDay, contract_id: int = 0) -> None:
    """What the job does for the day's contract, or another one, at the day's time."""
    reconcile_contract(contract_id or day.contract.id, now=day.clock.at)


def only_case() -> DiscrepancyCase:
    (case,) = DiscrepancyCase.objects.all()
    return case
