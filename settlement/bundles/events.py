"""The usage events that a run read of a contract, as a bundle has them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from django.db import connection

from settlement.bundles.said import StoredEvent, Words
from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.records import RefusalReason, Side
from settlement.metering.usage_records import usage_since
from settlement.models import Meter
from settlement.recompute.event_lines import BundledEvent
from settlement.recompute.manifest import ManifestMeter

_FETCH = 5_000
_EVENTS = f"""
SELECT buyer.code, provider.code, encode(event.content_hash, 'hex'), event.kind, meter.side, event.meter_id,
       event.request_id, event.accepted_at, event.received_at, event.millitokens, event.refusal_reason, event.retry_of,
       event.requests, event.ttft_ms, event.output_ms, meter.code,
       event.adapter_version, event.event_id, event.event_time, event.family, event.raw, event.records_root,
       event.supersedes, event.why,
       EXISTS (SELECT FROM settlement_signedbatch AS signed WHERE signed.batch_id = event.batch_id),
       {", ".join(f"event.{bucket.value}" for bucket in SETTLED_BUCKETS)}
  FROM settlement_usageevent AS event
  JOIN settlement_meter AS meter ON meter.id = event.meter_id
  JOIN ledger_party AS buyer ON buyer.id = event.buyer_id
  JOIN ledger_party AS provider ON provider.id = event.provider_id
 WHERE event.received_at >= %(since)s AND event.contract_id = %(contract)s AND event.batch_id <= %(through)s
   AND event.quarantine_reason IS NULL
   AND NOT EXISTS (SELECT FROM settlement_usagesupersession AS gone
                    WHERE gone.contract_id = event.contract_id AND gone.meter_id = event.meter_id
                      AND gone.event_id = event.event_id AND gone.batch_id <= %(through)s)
 ORDER BY buyer.code COLLATE "C", provider.code COLLATE "C", event.content_hash
"""  # noqa: S608  # words of our own


def contract_events(contract_id: int, symbol: str, delivery_start: datetime, *, through: int) -> Iterator[BundledEvent]:
    """Those of the calls up to number `through`, by the codes of buyer and provider, then by content hash."""
    asked: dict[str, Any] = {"since": usage_since(delivery_start), "contract": contract_id, "through": through}
    words = Words()
    with connection.chunked_cursor() as cursor:
        cursor.execute(_EVENTS, asked)
        while rows := cursor.fetchmany(_FETCH):
            for row in rows:
                yield _event(words, symbol, *row)


def bundled_meters(numbers: Collection[int]) -> dict[str, ManifestMeter]:
    """The meters of these numbers, each by its number."""
    rows = Meter.objects.filter(id__in=numbers).order_by("id").values_list("id", "code", "side", "party__code")
    return {str(number): ManifestMeter(code, Side(side), party) for number, code, side, party in rows}


def _event(words: Words, symbol: str, *row: Any) -> BundledEvent:
    buyer, provider, content_hash, kind, side, meter, request_id, accepted_at, received_at, millitokens, *rest = row
    reason, retry_of, requests, ttft_ms, output_ms, source, adapter, event_id, event_time, *rest = rest
    family, raw, records_root, supersedes, why, signed, *tokens = rest
    stored = StoredEvent(
        contract=symbol,
        buyer=buyer,
        provider=provider,
        source=source,
        kind=kind,
        event_id=event_id,
        event_time=event_time,
        accepted_at=accepted_at,
        request_id=request_id,
        family=family,
        raw=None if raw is None else bytes(raw),
        retry_of=retry_of,
        refusal=reason,
        requests=requests,
        records_root=None if records_root is None else bytes(records_root),
        supersedes=supersedes,
        why=why,
        ttft_ms=ttft_ms,
        output_ms=output_ms,
    )
    return BundledEvent(
        buyer=buyer,
        provider=provider,
        hash=content_hash,
        kind=kind,
        side=Side(side),
        meter=meter,
        request_id=request_id,
        accepted_at=accepted_at,
        received_at=received_at,
        tokens=tuple(tokens),
        millitokens=millitokens,
        refusal=None if reason is None else RefusalReason(reason),
        retry_of=retry_of,
        requests=requests,
        ttft_ms=ttft_ms,
        output_ms=output_ms,
        signed=signed,
        supersedes=supersedes is not None,
        adapter=adapter,
        said=words.find(stored, content_hash),
    )
