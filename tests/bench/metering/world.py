"""Whom the metering's benchmarks report for: providers and buyers with a meter each, contracts of the last day.

Events are those of an ordinary gateway: ids at random, usage objects of three families, all of it inside the windows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.db import connections

from exchange.commands.list_contract import ListContract, list_contract
from exchange.commands.list_product import ListProduct, list_product
from exchange.models import Contract
from ledger.models import Party, PartyKind
from ledger.parties.commands import register_currency, register_party
from ledger.parties.keys import Scope, issue_key
from settlement.commands.register_meter import RegisterMeter, register_meter
from settlement.metering.events import COMPLETED_TYPE
from settlement.metering.weights import plain_weights
from settlement.models import Meter, MeterSide
from tests.product_terms import TERMS

ACTOR = "bench"
CODE = "BENCH-MODEL.CN-EAST.STD"
HOUR = timedelta(hours=1)
WEIGHTS = plain_weights(input_milli=1_000, cache_read_milli=100, output_milli=4_000).as_dict()


@dataclass(frozen=True, slots=True)
class Reporter:
    """A party that reports: its meter and an API key for it."""

    party: Party
    meter: Meter
    key: str


@dataclass(frozen=True, slots=True)
class World:
    """What is there. Windows of the contracts are over, so that every hour is a good one to measure in."""

    contracts: list[Contract]
    buyers: list[Reporter]
    providers: list[Reporter]


def open_world(contracts: int = 24, parties: int = 16) -> World:
    """Half of the parties buy, the other half provide."""
    now = datetime.now(UTC)
    register_currency("CNY", actor=ACTOR, now=now)
    register_party("house", "House", PartyKind.HOUSE, actor=ACTOR, now=now)
    list_product(ListProduct(CODE, "Benchmark", replace(TERMS, weights=WEIGHTS)), actor=ACTOR, now=now)
    ended = now.replace(minute=0, second=0, microsecond=0)
    listed = [_list_contract(ended - n * HOUR) for n in range(contracts, 0, -1)]
    buyers = [_reporter(f"buyer-{n}", PartyKind.BUYER, MeterSide.BUYER, now) for n in range(parties // 2)]
    providers = [_reporter(f"provider-{n}", PartyKind.PROVIDER, MeterSide.PROVIDER, now) for n in range(parties // 2)]
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")
    return World(listed, buyers, providers)


def draw_events(draw: random.Random, world: World, reporter: Reporter, count: int) -> list[bytes]:
    """So many completed requests of a reporter, with any of those on the other side."""
    is_buyer = reporter in world.buyers
    others = world.providers if is_buyer else world.buyers
    events = []
    for _ in range(count):
        contract, other = draw.choice(world.contracts), draw.choice(others).party.code
        accepted_at = contract.delivery_start + timedelta(microseconds=draw.randrange(3_600_000_000))
        request_id = f"{draw.getrandbits(128):032x}"
        family, usage = draw.choice(_FAMILIES)
        event = {
            "specversion": "1.0",
            "type": COMPLETED_TYPE,
            "source": reporter.meter.code,
            "id": f"{request_id}-{draw.getrandbits(16):04x}",
            "time": _text(accepted_at + timedelta(milliseconds=draw.randint(500, 30_000))),
            "datacontenttype": "application/json",
            "data": {
                "contract": contract.symbol,
                "buyer": reporter.party.code if is_buyer else other,
                "provider": other if is_buyer else reporter.party.code,
                "request_id": request_id,
                "accepted_at": _text(accepted_at),
                "family": family,
                "usage": usage(draw),
            },
        }
        events.append(msgspec.json.encode(event))
    return events


def body_of(events: list[bytes]) -> bytes:
    """A call's body."""
    return b"[" + b",".join(events) + b"]"


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _openai_chat(draw: random.Random) -> dict[str, Any]:
    prompt, completion = draw.randint(200, 6_000), draw.randint(20, 1_500)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": prompt // 128 * 64, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": completion // 3, "audio_tokens": 0},
    }


def _anthropic_messages(draw: random.Random) -> dict[str, Any]:
    return {
        "input_tokens": draw.randint(5, 4_000),
        "cache_read_input_tokens": draw.randint(0, 20_000),
        "cache_creation_input_tokens": 0,
        "output_tokens": draw.randint(20, 1_500),
    }


def _gemini(draw: random.Random) -> dict[str, Any]:
    prompt, visible, thoughts = draw.randint(200, 6_000), draw.randint(20, 1_500), draw.randint(0, 500)
    return {
        "promptTokenCount": prompt,
        "candidatesTokenCount": visible,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": prompt + visible + thoughts,
    }


_FAMILIES: tuple[tuple[str, Callable[[random.Random], dict[str, Any]]], ...] = (
    ("openai_chat", _openai_chat),
    ("openai_chat", _openai_chat),
    ("anthropic_messages", _anthropic_messages),
    ("gemini", _gemini),
)


def _list_contract(start: datetime) -> Contract:
    command = ListContract(
        product_code=CODE,
        delivery_start=start,
        window_seconds=3_600,
        gate_open=start - 2 * HOUR,
        gate_close=start,
        listing_price_ticks=500,
        band_low_ticks=1,
        band_high_ticks=1_000,
    )
    return list_contract(command, actor=ACTOR, now=start - 3 * HOUR)


def _reporter(code: str, kind: PartyKind, side: MeterSide, now: datetime) -> Reporter:
    party = register_party(code, code, kind, actor=ACTOR, now=now)
    meter = register_meter(RegisterMeter(party.pk, f"meter/{code}", side), actor=ACTOR, now=now)
    return Reporter(party, meter, issue_key(party, "bench", [Scope.METER], actor=ACTOR, now=now).text)
