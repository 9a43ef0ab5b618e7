"""What a run keeps and tells of the meters' figures of a position. Pure: integers as strings, no member for a side that
said nothing, and no case numbers, which would tell when somebody else's job ran."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from ledger.money import format_micros
from settlement.calculation import PositionOutcome
from settlement.metering.buckets import SETTLED_BUCKETS, Bucket
from settlement.metering.pair_figures import PairFigures
from settlement.metering.records import Side
from settlement.metering.rules_of_pair import PairRules
from settlement.metering.trust import PARTIES, trust_of
from settlement.runs.frozen import FrozenContract, FrozenPosition, FrozenUnmatched

# Reading a member's value takes longer than looking it up, and every position is told in many words.
_NAMES = {side: side.value for side in Side}
_MILLITOKENS = {side: f"{side.value}_millitokens" for side in Side}
_BUCKETS = tuple((bucket, bucket.value) for bucket in SETTLED_BUCKETS)


def position_evidence(
    frozen: FrozenContract, position: FrozenPosition, used: PairFigures, meters: dict[str, Any]
) -> dict[str, Any]:
    """What `PositionSettlement.evidence` holds: the meters' figures, and the terms that the outcome rests on."""
    value = pair_evidence(used, meters) | {
        "tokens": str(position.tokens),
        "notional_micros": str(position.notional_micros),
        "provider_fee_picos": str(position.provider_fee_picos),
        "bond_micros": str(position.bond_micros),
        "overage_tokens": str(position.overage_tokens),
        "overage_hold_micros": str(position.overage_hold_micros),
        "reference_price_micros": str(frozen.reference_price_micros),
        "schedule_version": str(position.schedule.version),
    }
    if position.ended is not None:
        value |= {"ended_at": position.ended[0].isoformat(), "ended_by": position.ended[1]}
    return value


def pair_evidence(used: PairFigures, meters: dict[str, Any]) -> dict[str, Any]:
    """The meters' figures of a pair; `meters` as `meters_of` gives them."""
    return {
        "events": str(used.events),
        "events_digest": used.digest,
        "requests": str(used.requests),
        "refused_requests": str(used.refused_requests),
        "settled_millitokens": str(used.settled_millitokens),
        "refused_millitokens": str(used.refused_millitokens),
        "disputed_millitokens": str(used.disputed_millitokens),
        "findings": str(used.findings),
        "meters": meters,
    } | {_MILLITOKENS[side]: str(millitokens) for side, millitokens in used.said.items()}


def metering_text(
    frozen: FrozenContract,
    position: FrozenPosition,
    used: PairFigures,
    outcome: PositionOutcome,
    meters: dict[str, Any],
) -> str:
    """What the statements of both sides say the meters said of a position: canonical JSON."""
    body = {
        "contract": frozen.symbol,
        "buyer": position.buyer,
        "provider": position.provider,
        "settled_millitokens": str(used.settled_millitokens),
        "refused_millitokens": str(used.refused_millitokens),
        "disputed_millitokens": str(used.disputed_millitokens),
        "reference": {"price": format_micros(frozen.reference_price_micros), "step": frozen.reference_step},
        "events": str(used.events),
        "events_digest": used.digest,
        **{_MILLITOKENS[side]: str(millitokens) for side, millitokens in used.said.items()},
        **meters,
    }
    service = used.service
    if service is not None:
        body["service"] = {
            "timed_requests": str(service.timed_requests),
            "output_tokens": str(service.output_tokens),
            "output_ms": str(service.output_ms),
            "served": str(service.served),
            "failed": str(service.failed),
            "missed": list(outcome.missed),
        }
        if service.ttft_p95_ms is not None:
            body["service"]["ttft_p95_ms"] = str(service.ttft_p95_ms)
    return msgspec.json.encode(body, order="sorted").decode()


def meters_of(frozen: FrozenContract, pair: FrozenPosition | FrozenUnmatched, used: PairFigures) -> dict[str, Any]:
    """How the requests of a pair compare. The cases are those that this very reconciliation finds and no ruling
    decides."""
    rules, completeness = pair.rules, pair.completeness
    return {
        "buckets": _buckets(frozen, rules, used),
        "verdicts": _texts(used.verdicts),
        "lost_ends": _texts(used.lost_ends),
        "tolerance": "zero" if rules.tolerance_zero else "standard",
        "open_cases": [
            {"kind": kind.value, "requests": str(requests)}
            for kind, requests in used.discrepancies.items()
            if kind not in rules.rulings
        ],
        "rulings": {kind.value: decided.ruling.value for kind, decided in sorted(rules.rulings.items())},
        "completeness": {side.value: state.value for side, state in completeness.items()},
        "signed_events": _texts(used.signed),
        "corrections": str(used.corrections),
    }


def _buckets(frozen: FrozenContract, rules: PairRules, used: PairFigures) -> dict[str, Any]:
    """Raw tokens by bucket; those that nobody counted anything in are left out."""
    sides = frozenset(used.said)
    public = bool(frozen.terms.model.tokenizer)  # terms name the tokenizer that both sides count with
    found = {}
    for (bucket, name), figure in zip(_BUCKETS, used.buckets, strict=True):
        if not (figure.provider or figure.buyer or figure.gateway or figure.settled):
            continue
        said = {_NAMES[side]: str(getattr(figure, _NAMES[side])) for side in sides}
        if sides >= PARTIES:
            said["difference"] = str(figure.provider - figure.buyer)
        said["settled"] = str(figure.settled)
        said["tolerance"] = "0" if rules.tolerance_zero else str(figure.tolerance)
        said["trust"] = _trust(bucket, sides, public)
        found[name] = said
    return found


@lru_cache(maxsize=256)
def _trust(bucket: Bucket, sides: frozenset[Side], public_tokenizer: bool) -> str:
    return trust_of(bucket, sides, public_tokenizer=public_tokenizer).value


def _texts(counts: Mapping[Any, int]) -> dict[str, str]:
    return {word.value: str(count) for word, count in counts.items()}
