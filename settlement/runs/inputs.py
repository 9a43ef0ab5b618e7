"""What a contract is settled from, read once and put under a digest, and what comes out for each position."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from itertools import groupby
from typing import Any

from settlement.calculation import PositionInput, PositionOutcome, calculate
from settlement.errors import ContractNotDelivered
from settlement.market import Ending, Position, SettledContract, load_parties, load_positions, load_schedules
from settlement.metering.reconcile import Reconciliation, RefusalReason, Side, UsageRecord, reconcile
from settlement.models import EventStatus, Meter, UsageEvent
from settlement.postings import PartyRef
from settlement.rules import RULES_VERSION, TOLERANCE
from settlement.splits import ShareSchedule
from settlement.statements.canonical import canonical_digest

_COLUMNS = ("buyer_id", "provider_id", "meter_id", "request_id", "accepted_at", "millitokens")
_FETCH = 5_000


@dataclass(frozen=True, slots=True)
class PairUsage:
    """The accepted usage of a buyer with a provider, reconciled; the digest covers each event's content."""

    buyer_id: int
    provider_id: int
    events: int
    digest: str
    reconciliation: Reconciliation


@dataclass(frozen=True, slots=True)
class Finding:
    """What a position comes to, and from which figures."""

    position: Position
    schedule: ShareSchedule
    usage: PairUsage
    outcome: PositionOutcome


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a run found in a contract."""

    positions: tuple[Finding, ...]
    unmatched: tuple[PairUsage, ...]
    input_digest: bytes


def find(contract: SettledContract) -> Findings:
    """Read a contract's positions and usage and calculate. Raises `ContractNotDelivered`."""
    positions = load_positions(contract)
    reference = contract.reference_price_micros
    if positions and reference is None:
        raise ContractNotDelivered(f"{contract.symbol} has no reference price yet.", contract=contract.symbol)
    schedules = load_schedules(contract, [position.provider for position in positions])
    usage = {(pair.buyer_id, pair.provider_id): pair for pair in _read_usage(contract)}
    found = []
    for position in positions:
        pair = (position.buyer.id, position.provider.id)
        used = usage.pop(pair, None) or PairUsage(*pair, 0, _NOTHING, Reconciliation((), ()))
        schedule = schedules[position.provider.id]
        outcome = calculate(contract.position_terms(schedule), _position_input(position, used, reference or 0))
        found.append(Finding(position, schedule, used, outcome))
    unmatched = tuple(usage[pair] for pair in sorted(usage))
    return Findings(tuple(found), unmatched, _digest(contract, found, unmatched))


def evidence_of(usage: PairUsage) -> dict[str, Any]:
    """What the meters said about a pair, as JSON: integers as strings."""
    requests = usage.reconciliation.requests
    by_meter = {
        "provider_millitokens": [r.provider_millitokens for r in requests if r.provider_millitokens is not None],
        "buyer_millitokens": [r.buyer_millitokens for r in requests if r.buyer_millitokens is not None],
        "gateway_millitokens": [r.gateway_millitokens for r in requests if r.gateway_millitokens is not None],
    }
    return {
        "events": str(usage.events),
        "events_digest": usage.digest,
        "requests": str(len(requests)),
        "refused_requests": str(sum(1 for request in requests if request.refusal)),
        "settled_millitokens": str(usage.reconciliation.settled_millitokens),
        "refused_millitokens": str(sum(request.counted_millitokens for request in requests)),
        "disputed_millitokens": str(sum(request.disputed_millitokens for request in requests)),
        "findings": str(len(usage.reconciliation.findings)),
    } | {name: str(sum(figures)) for name, figures in by_meter.items() if figures}


_NOTHING = hashlib.sha256(b"").hexdigest()


def _read_usage(contract: SettledContract) -> Iterator[PairUsage]:
    """One pair after the other, so that no more than one pair's events are in memory."""
    sides = {meter_id: Side(side) for meter_id, side in Meter.objects.values_list("id", "side")}
    rows = (
        UsageEvent.objects.filter(
            window_start=contract.delivery_start, contract_id=contract.id, status=EventStatus.ACCEPTED
        )
        .order_by("buyer_id", "provider_id", "content_hash")
        .values_list(*_COLUMNS, "refusal_reason", "retry_of", "content_hash")
    )
    for (buyer_id, provider_id), events in groupby(rows.iterator(_FETCH), key=lambda row: (row[0], row[1])):
        records = []
        digest = hashlib.sha256()
        for _, _, meter_id, request_id, accepted_at, millitokens, reason, retry_of, content_hash in events:
            digest.update(content_hash)
            refusal = RefusalReason(reason) if reason else None
            records.append(
                UsageRecord(sides[meter_id], request_id, accepted_at, millitokens, refusal, retry_of or None)
            )
        reconciliation = reconcile(records, tolerance=TOLERANCE)
        yield PairUsage(buyer_id, provider_id, len(records), digest.hexdigest(), reconciliation)


def _position_input(position: Position, usage: PairUsage, reference_price_micros: int) -> PositionInput:
    return PositionInput(
        tokens=position.tokens,
        notional_micros=position.notional_micros,
        provider_fee_picos=position.provider_fee_picos,
        minutes=usage.reconciliation.minutes,
        reference_price_micros=reference_price_micros,
        bond_micros=position.bond_micros,
        overage_cap_tokens=position.overage_tokens,
        overage_hold_micros=position.overage_hold_micros,
        force_majeure=position.ended is not None and position.ended.by is Ending.CANCELLATION,
        ended_at=None if position.ended is None else position.ended.at,
    )


def _digest(contract: SettledContract, found: list[Finding], unmatched: tuple[PairUsage, ...]) -> bytes:
    """SHA-256 over everything the figures follow from; names and hashes only, so it is the same on any database."""
    parties = load_parties({party for pair in unmatched for party in (pair.buyer_id, pair.provider_id)})
    return canonical_digest(
        {
            "rules_version": RULES_VERSION,
            "contract": contract.symbol,
            "terms_hash": contract.terms_hash.hex(),
            "obligations_hash": contract.obligations_hash.hex(),
            "reference_price_micros": str(contract.reference_price_micros or 0),
            "reference_step": contract.reference_step,
            "positions": [
                {
                    "buyer": finding.position.buyer.code,
                    "provider": finding.position.provider.code,
                    "tokens": str(finding.position.tokens),
                    "notional_micros": str(finding.position.notional_micros),
                    "provider_fee_picos": str(finding.position.provider_fee_picos),
                    "bond_micros": str(finding.position.bond_micros),
                    "overage_tokens": str(finding.position.overage_tokens),
                    "overage_hold_micros": str(finding.position.overage_hold_micros),
                    "shares": _shares(finding.schedule),
                    "usage": _usage(finding.usage),
                }
                | ended_record(finding.position)
                for finding in found
            ],
            "unmatched": [
                {
                    "buyer": parties[pair.buyer_id].code,
                    "provider": parties[pair.provider_id].code,
                    "usage": _usage(pair),
                }
                for pair in sorted(unmatched, key=lambda pair: _codes(pair, parties))
            ],
        }
    )


def ended_record(position: Position) -> dict[str, str]:
    """What ended a position before its window did, and when; empty for all others."""
    ended = position.ended
    return {} if ended is None else {"ended_at": ended.at.astimezone(UTC).isoformat(), "ended_by": ended.by.value}


def _codes(pair: PairUsage, parties: Mapping[int, PartyRef]) -> tuple[str, str]:
    return parties[pair.buyer_id].code, parties[pair.provider_id].code


def _shares(schedule: ShareSchedule) -> dict[str, Any]:
    parties = load_parties({share.party_id for share in schedule.shares if share.party_id is not None})
    return {
        "version": schedule.version,
        "shares": [
            {
                "beneficiary": share.beneficiary,
                "ppm": share.weight_ppm,
                "recipient": share.recipient.value,
                "party": "" if share.party_id is None else parties[share.party_id].code,
            }
            for share in schedule.shares
        ],
    }


def _usage(usage: PairUsage) -> dict[str, str]:
    return {"events": str(usage.events), "digest": usage.digest}
