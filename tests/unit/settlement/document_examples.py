"""The worked examples of SETTLEMENT.md, read from the document itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from importlib import resources
from typing import Any

from settlement.calculation import MinuteUse, PositionInput, PositionTerms
from settlement.make_up import MakeUp
from settlement.share_record import parse_schedule
from settlement.sla import ServiceFigures, SlaRule

PARTIES = {"compute-co": 1, "model-co": 2, "platform-co": 3, "power-co": 4}

Example = dict[str, Any]


def blocks() -> list[Example]:
    """All examples in order; fractions are read exactly."""
    text = resources.files("settlement").joinpath("SETTLEMENT.md").read_text(encoding="utf-8")
    return [json.loads(block, parse_float=Decimal) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def whole(example: Example, named: Mapping[str, Example]) -> Example:
    """An example with what it takes over from the one it is made from."""
    base = whole(named[example["from"]], named) if "from" in example else {"terms": {}, "position": {}}
    return {part: base[part] | example.get(part, {}) for part in ("terms", "position")}


def terms_of(terms: Mapping[str, Any]) -> PositionTerms:
    parts = dict(terms)
    schedule = parse_schedule(1, parts.pop("shares"), "provider", PARTIES)
    sla = parts.pop("sla", None)
    return PositionTerms(**parts, schedule=schedule, sla=None if sla is None else SlaRule(**sla))


def position_of(position: Mapping[str, Any]) -> PositionInput:
    parts = dict(position)
    rate = parts.pop("provider_fee_ppm")
    service = parts.pop("service", None)
    return PositionInput(
        minutes=tuple(MinuteUse(_time(at), *map(_thousandths, use)) for at, *use in parts.pop("minutes")),
        provider_fee_picos=parts.pop("provider_fee_picos", parts["notional_micros"] * rate),
        disputed_millitokens=_thousandths(parts.pop("disputed_tokens", 0)),
        service=None if service is None else ServiceFigures(**service),
        make_up=tuple(MakeUp(**credit) for credit in parts.pop("make_up", [])),
        force_majeure_spans=tuple((_time(a), _time(b)) for a, b in parts.pop("force_majeure_spans", [])),
        ended_at=_time(parts.pop("ended_at")) if "ended_at" in parts else None,
        **parts,
    )


def _thousandths(tokens: int | Decimal) -> int:
    return int(tokens * 1000)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-12-01T{text}").replace(tzinfo=UTC)
