"""Small statements, signed with fixed keys, for the tests of signing and verifying."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settlement.calculation import calculate
from settlement.statements.document import (
    Annex,
    Balances,
    ChainLink,
    MeteringFigure,
    Movement,
    RunInfo,
    StatementCore,
    StatementLine,
    core_digest,
    statement_core,
    statement_payload,
)
from settlement.statements.lines import LineContext, buyer_lines
from settlement.statements.signing import Signer
from tests.unit.settlement.worked_examples import ACCOUNTS, EXAMPLE_1, TERMS, WINDOW_START

ISSUED_AT = datetime(2026, 12, 2, 9, tzinfo=UTC)
EXCHANGE_KEY = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))
EXCHANGE = Signer(EXCHANGE_KEY)
AUDITOR = Signer(Ed25519PrivateKey.from_private_bytes(bytes([2] * 32)))
STRANGER = Signer(Ed25519PrivateKey.from_private_bytes(bytes([3] * 32)))


def published(signer: Signer, **validity: Any) -> dict[str, Any]:
    """A key as the key set has it; `validity` are members such as `exp`."""
    x = base64.urlsafe_b64encode(signer.public_key.public_bytes_raw()).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": signer.kid, "alg": "Ed25519", "use": "sig", **validity}


def key_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


KEYS = key_set(published(EXCHANGE), published(AUDITOR))

CONTEXT = LineContext(
    accounts=ACCOUNTS,
    run_key="initial-2026-12-01",
    window_start=WINDOW_START,
    window_end=WINDOW_START + timedelta(hours=1),
    tokens=EXAMPLE_1.tokens,
    notional_micros=EXAMPLE_1.notional_micros,
    reference_price_micros=EXAMPLE_1.reference_price_micros,
    tax_category="S",
    tax_rate_ppm=60_000,
)
LINES = buyer_lines(calculate(TERMS, EXAMPLE_1), CONTEXT)
FIRST_BALANCES = Balances(
    opening_micros=0,
    opening_seq=0,
    movements=(
        Movement("refund_unused", 1, 25_200),
        Movement("refund_short", 1, 21_000),
        Movement("damages", 1, 10_500),
        Movement("deposit", 1, 1_000_000),
        Movement("fill", 1, -420_840),
    ),
    closing_micros=635_860,
    closing_seq=5,
    held_micros=100_000,
)
SECOND_BALANCES = Balances(635_860, 5, (Movement("withdrawal", 1, -35_860),), 600_000, 6)
METERING = MeteringFigure(
    ACCOUNTS.contract, "provider-p", 80_000_000, provider_millitokens=80_000_000, refused_millitokens=5_000_000
)


def run_info(kind: str = "initial", number: int = 1) -> RunInfo:
    start = datetime(2026, 12, 1, tzinfo=UTC)
    return RunInfo(f"{kind}-2026-12-0{number}", kind, number, start, start + timedelta(days=1), bytes(32), "1")


def core(
    *,
    run: RunInfo | None = None,
    chain: ChainLink | None = ChainLink(1),  # noqa: B008 - a frozen value
    balances: Balances = FIRST_BALANCES,
    lines: list[StatementLine] = LINES,
) -> dict[str, Any]:
    return statement_core(
        StatementCore("buyer-a", "CNY", run or run_info(), chain, balances, lines, metering=[METERING])
    )


def second_core(first: dict[str, Any]) -> dict[str, Any]:
    link = ChainLink(2, core_digest(first))
    return core(run=run_info("final", 2), chain=link, balances=SECOND_BALANCES, lines=[])


def signed(content: dict[str, Any], signer: Signer = EXCHANGE, issued_at: datetime = ISSUED_AT) -> bytes:
    payload = statement_payload(content, Annex(issued_at, transactions=[("settlement", LINES[0].reference or "", 7)]))
    return signer.sign(payload, signed_at=issued_at)
