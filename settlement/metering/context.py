"""What a batch of usage reports refers to: meters, contracts and parties, read in a few queries."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from exchange.models import Contract
from exchange.terms import ProductTerms
from ledger.models import Party
from settlement.errors import InvalidTokenWeights
from settlement.metering.envelope import UsageReport
from settlement.metering.weights import TokenWeights, parse_weights
from settlement.models import JobStep, Meter, RunKind, SettlementJob

# Taken shared while usage is written and exclusively while a run is made, so that a final run sees all that was
# accepted before it, and what comes later is told so.
USAGE_LOCK = 0x746B_0001


@dataclass(frozen=True, slots=True)
class MeteredContract:
    """A contract as metering needs it. `final`: its final run has begun. `weights` is None if they are incomplete."""

    id: int
    delivery_start: datetime
    delivery_end: datetime
    weights: TokenWeights | None
    refused_output_tokens: int
    final: bool


@dataclass(frozen=True, slots=True)
class MeteringContext:
    """Meters of the reporting party by code, contracts by symbol, parties by code: those a batch names."""

    meters: Mapping[str, Meter]
    contracts: Mapping[str, MeteredContract]
    parties: Mapping[str, int]


def window_starts(reports: Iterable[UsageReport]) -> set[datetime]:
    """When the windows of the contracts start that the reports name."""
    symbols = {report.contract for report in reports}
    return set(Contract.objects.filter(symbol__in=symbols).values_list("delivery_start", flat=True))


def load_context(reports: Collection[UsageReport], *, party_id: int) -> MeteringContext:
    """Read what the reports name, inside a transaction: until it ends, no run is made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [USAGE_LOCK])
    meters = Meter.objects.filter(party_id=party_id, code__in={report.meter for report in reports})
    parties = {report.buyer for report in reports} | {report.provider for report in reports}
    return MeteringContext(
        meters={meter.code: meter for meter in meters},
        contracts=_contracts({report.contract for report in reports}),
        parties=dict(Party.objects.filter(code__in=parties).values_list("code", "id")),
    )


def _contracts(symbols: set[str]) -> dict[str, MeteredContract]:
    rows = list(Contract.objects.filter(symbol__in=symbols).select_related("terms"))
    final = set(
        SettlementJob.objects.filter(
            step=JobStep.SETTLE, run__kind=RunKind.FINAL, subject_id__in=[row.id for row in rows]
        ).values_list("subject_id", flat=True)
    )
    return {row.symbol: _contract(row, final=row.id in final) for row in rows}


def _contract(row: Contract, *, final: bool) -> MeteredContract:
    terms = ProductTerms.from_json(row.terms.terms)
    return MeteredContract(
        id=row.id,
        delivery_start=row.delivery_start,
        delivery_end=row.delivery_end,
        weights=_weights(terms),
        refused_output_tokens=terms.refused_output_tokens,
        final=final,
    )


def _weights(terms: ProductTerms) -> TokenWeights | None:
    try:
        return parse_weights(terms.weights)
    except InvalidTokenWeights:
        return None
