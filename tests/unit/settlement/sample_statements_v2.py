"""Statements of the second form, of any length, for the tests of their forms and pages."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settlement.statements.canonical import canonical_bytes
from settlement.statements.compose import (
    Annex,
    RunInputs,
    StatedRun,
    StatementInput,
    compose_core,
    statement_payload,
)
from settlement.statements.document import Balances, ChainLink, Movement
from settlement.statements.party_line import PartyLine, PositionSplit
from settlement.statements.records import RecordsFold, line_seed, write_records
from settlement.statements.signing import Signer

START = datetime(2026, 12, 1, 14, tzinfo=UTC)
ISSUED_AT = START + timedelta(days=1, hours=4)
RUN_KEY = "20261201T1400Z/60/initial"
SYMBOL = "QWEN3-235B.CN-EAST.STD@20261201T{:02d}/1H"
DEPOSIT = 1_000_000_007
OPENING = 604_360
EXCHANGE = Signer(Ed25519PrivateKey.from_private_bytes(bytes([1] * 32)))
SEED = line_seed("a secret of tests", f"provider-1/CNY/{RUN_KEY}")


@dataclass(frozen=True, slots=True)
class Sample:
    """A statement: its core, its records as they stand in the file, and its signed file."""

    core: dict[str, Any]
    records: list[bytes]

    @property
    def file(self) -> str:
        annex = Annex(issued_at=ISSUED_AT, transactions=[("settlement", f"{RUN_KEY}/{SYMBOL.format(14)}/0001", 7)])
        return EXCHANGE.sign(statement_payload(self.core, annex), signed_at=ISSUED_AT).decode()


def line(place: int, kind: str, micros: int, **more: Any) -> PartyLine:
    """A line of provider-1 whose whole value moved, unless `more` says otherwise."""
    hour = 14 + place // 50_000
    fixed: dict[str, Any] = {
        "party": "provider-1",
        "contract": SYMBOL.format(hour),
        "window_start": START + timedelta(hours=hour - 14),
        "window_end": START + timedelta(hours=hour - 13),
        "kind": kind,
        "amount_micros": micros,
        "value_micros": micros,
        "cumulative_micros": micros,
        "tax_category": "standard",
        "tax_rate_ppm": 60_000,
        "counterparty": f"buyer-{place % 977}",
        "reference": f"{RUN_KEY}/{SYMBOL.format(hour)}/0001",
        "ref": "pay_provider",
        "place": place,
    }
    told = fixed | more
    return PartyLine(**{"exact": (told["cumulative_micros"] * 3 + 1, 3)} | told)


def lines_of(count: int) -> Iterator[PartyLine]:
    """So many lines, of several kinds and with amounts that no minor unit fits."""
    for place in range(count):
        if place % 4 == 3:
            yield line(place, "share", -(place * 37 + 11), beneficiary="grid-compute")
        elif place % 4 == 2:
            yield line(place, "provider_fee", -(place * 3 + 1))
        elif place % 4 == 1:
            yield line(place, "short", 0, value_micros=-21_000, cumulative_micros=-21_000, tokens=5_000, ref="short")
        else:
            yield line(place, "delivered", place * 101 + 336_003, tokens=80_000 + place, price_micros=4_200_000)


def metering_of(count: int) -> Iterator[str]:
    """What the meters said about so many positions."""
    buckets = {
        "input_uncached": {
            "provider": "60010",
            "buyer": "60000",
            "difference": "10",
            "settled": "60000",
            "tolerance": "290",
            "trust": "recomputable",
        },
        "output_reasoning": {"provider": "5000", "settled": "5000", "tolerance": "0", "trust": "asserted"},
    }
    for place in range(count):
        body = {
            "contract": SYMBOL.format(14),
            "buyer": f"buyer-{place}",
            "provider": "provider-1",
            "settled_millitokens": "80000500",
            "provider_millitokens": "80001500",
            "buyer_millitokens": "80000500",
            "refused_millitokens": "5000000",
            "disputed_millitokens": "1000",
            "reference": {"price": "4.200000", "step": "window_trades"},
            "buckets": buckets,
            "verdicts": {"matched": "58", "conflict": "1", "provider_only": "2"},
            "lost_ends": {"buyer": "2"},
            "tolerance": "standard",
            "open_cases": [{"kind": "figures_differ", "requests": "1"}],
            "rulings": {},
            "completeness": {"provider": "complete", "buyer": "open"},
            "signed_events": {"provider": "61"},
            "corrections": "3",
            "service": {
                "timed_requests": "58",
                "ttft_p95_ms": "812",
                "output_tokens": "12000",
                "output_ms": "400000",
                "served": "58",
                "failed": "2",
                "missed": ["availability"],
            },
        }
        yield canonical_bytes(body).decode()


def splits_of(count: int) -> Iterator[PositionSplit]:
    """How so many positions were shared out, two shares each."""
    for place in range(count):
        pair = SYMBOL.format(14), f"buyer-{place}", "provider-1", "pay_provider", 3
        yield PositionSplit(*pair, "grid-compute", 125_000, 46_584)
        yield PositionSplit(*pair, "provider-1", 875_000, 326_095)


def sample(
    lines: int | Iterable[PartyLine] = 8,
    *,
    metering: int = 1,
    splits: int = 1,
    kind: str = "initial",
    deposit: int = DEPOSIT,
) -> Sample:
    """A statement of these lines, of what the meters said about so many positions, and of so many shared out.

    Of an indicative run nothing is posted.
    """
    told = list(lines_of(lines) if isinstance(lines, int) else lines)
    if kind == "indicative":
        told = [PartyLine(**{**_members(each), "reference": "", "ref": ""}) for each in told]
    fold = RecordsFold()
    records = list(write_records(told, metering_of(metering), splits_of(splits), SEED, fold))
    indicative = kind == "indicative"
    balances = _balances([] if indicative else told, deposit)
    source = StatementInput(
        party="provider-1",
        currency="CNY",
        minor_unit=2,
        run=StatedRun(
            key=RUN_KEY.replace("initial", kind),
            kind=kind,
            sequence=1,
            period_start=START,
            period_end=START + timedelta(hours=1),
            input_digest=bytes(range(32)),
            rules_version="4",
            code_version="0123456789abcdef",
            value_date=date(2026, 12, 2),
            dispute_until=START + timedelta(days=10),
        ),
        chain=None if indicative else ChainLink(2, bytes(range(32))),
        balances=balances,
        inputs=RunInputs(usage_through=41, contracts=2),
        contact="settlement@example.com",
        key_set="/.well-known/jwks.json",
    )
    return Sample(compose_core(source, fold.summary()), records)


def _members(line: PartyLine) -> dict[str, Any]:
    return {name: getattr(line, name) for name in line.__struct_fields__}


def _balances(lines: list[PartyLine], deposit: int) -> Balances:
    sums: dict[str, int] = defaultdict(int)
    for each in lines:
        sums[each.ref] += each.amount_micros
    entries = Counter(each.ref for each in lines)
    movements = [Movement(ref, entries[ref], micros) for ref, micros in sums.items() if micros]
    if deposit:
        movements.append(Movement("deposit", 1, deposit))
    closing = OPENING + deposit + sum(sums.values())
    count = sum(movement.entries for movement in movements)
    return Balances(OPENING, 4, tuple(movements), closing, 4 + count, held_micros=4_360)


def bodies(sample: Sample) -> list[dict[str, Any]]:
    """The records, read."""
    return [json.loads(record) for record in sample.records]
