"""What a call's events refer to: meters, contracts and parties, read in a few queries."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import connection
from psycopg import Cursor

from exchange.models import ProductTerms
from exchange.terms import ProductTerms as Terms
from ledger.packing import pack_texts
from settlement.errors import InvalidTokenWeights
from settlement.metering.decode import Report, WatermarkReport
from settlement.metering.judge import KnownMeter, MeteredContract, MeteringContext
from settlement.metering.records import Side
from settlement.metering.weights import TokenWeights, parse_weights
from settlement.models import JobStep, RunKind
from settlement.runs.calendars import last_kind_at_gate

# Taken shared while usage is written and exclusively while a run is made, so that a final run sees all that was
# accepted before it, and what comes later is told so.
USAGE_LOCK = 0x746B_0001

# Written out, as what asks and reads otherwise takes as long as a tenth of the events of a call.
_METERS = (
    "SELECT code, id, side, signature_required FROM settlement_meter WHERE party_id = %s AND code = ANY(%s::text[])"
)
_PARTIES = "SELECT code, id FROM ledger_party WHERE code = ANY(%s::text[])"
_CONTRACTS = f"""
SELECT symbol, contract.id, delivery_start, delivery_end, terms_id,
       ARRAY(SELECT run.kind::text FROM settlement_runcontract AS covered
               JOIN settlement_settlementrun AS run ON run.id = covered.run_id
              WHERE covered.contract_id = contract.id AND run.kind IN ('{RunKind.FINAL}', '{RunKind.TRUE_UP}')),
       EXISTS (SELECT FROM settlement_runcontract AS covered
                 JOIN settlement_settlementjob AS job
                   ON job.run_id = covered.run_id AND job.step = '{JobStep.RELEASE}' AND job.subject_id = covered.shard
                WHERE covered.contract_id = contract.id),
       contract.product_id, gate_close
  FROM exchange_contract AS contract WHERE symbol = ANY(%s::text[])
"""  # noqa: S608  # words of our own


def load_context(
    cursor: Cursor[Any], reports: Collection[Report | WatermarkReport], *, party_id: int
) -> MeteringContext:
    """Read what the reports name, inside a transaction: until it ends, no run is made."""
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [USAGE_LOCK])
    pairs = [report for report in reports if type(report) is Report]
    cursor.execute(_METERS, [party_id, pack_texts(list({report.source for report in reports}))])
    meters = {code: KnownMeter(meter_id, party_id, Side(side), signed) for code, meter_id, side, signed in cursor}
    cursor.execute(_PARTIES, [pack_texts(list({each.buyer for each in pairs} | {each.provider for each in pairs}))])
    parties = dict(cursor.fetchall())
    cursor.execute(_CONTRACTS, [pack_texts(list({report.contract for report in reports}))])
    contracts = {symbol: _contract(*contract) for symbol, *contract in cursor.fetchall()}
    return MeteringContext(meters, contracts, parties)


def _contract(
    contract_id: int,
    start: datetime,
    end: datetime,
    terms_id: int,
    runs: list[str],
    released: bool,
    product_id: int,
    gate_close: datetime,
) -> MeteredContract:
    """Intake ends with the last scheduled run. What that is has to be known only where a later one has begun."""
    weights, refused_output_tokens = _terms(str(connection.settings_dict["NAME"]), terms_id)
    over = released or (bool(runs) and last_kind_at_gate(product_id, gate_close) in runs)
    return MeteredContract(contract_id, start, end, weights, refused_output_tokens, over)


@lru_cache(maxsize=1024)  # they are immutable
def _terms(_database: str, terms_id: int) -> tuple[TokenWeights | None, int]:
    """The weights of a product's terms, None if they are incomplete, and its refused output tokens."""
    terms = Terms.from_json(ProductTerms.objects.get(pk=terms_id).terms)
    try:
        return parse_weights(terms.weights), terms.refused_output_tokens
    except InvalidTokenWeights:
        return None, terms.refused_output_tokens
