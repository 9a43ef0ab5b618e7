"""Small statements, signed with fixed keys, for the tests of signing and verifying."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settlement.statements.document import Balances, ChainLink, Movement
from settlement.statements.signing import Signer
from tests.unit.settlement.first_form import (
    Annex,
    MeteringFigure,
    RunInfo,
    StatementCore,
    StatementLine,
    core_digest,
    statement_core,
    statement_payload,
)
from tests.unit.settlement.worked_examples import ACCOUNTS, WINDOW_START

ISSUED_AT = datetime(2026, 12, 2, 9, tzinfo=UTC)
EXCHANGE_KEY = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))
EXCHANGE = Signer(EXCHANGE_KEY)
AUDITOR = Signer(Ed25519PrivateKey.from_private_bytes(bytes([2] * 32)))
STRANGER_KEY = Ed25519PrivateKey.from_private_bytes(bytes([3] * 32))
STRANGER = Signer(STRANGER_KEY)


def published(signer: Signer, **validity: Any) -> dict[str, Any]:
    """A key as the key set has it; `validity` are members such as `exp`."""
    x = base64.urlsafe_b64encode(signer.public_key.public_bytes_raw()).rstrip(b"=").decode()
    status = "revoked" if "revoked" in validity else "current"
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": signer.kid, "alg": "Ed25519", "use": "sig", "status": status}
    return jwk | validity


def key_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


KEYS = key_set(published(EXCHANGE), published(AUDITOR, auditor="Audit & Co"))

RUN_KEY = "initial-2026-12-01"


def line(kind: str, posting: str, amount: int, value: int, tokens: int, price: int | None = None) -> StatementLine:
    """A line of the buyer of the first worked example."""
    return StatementLine(
        contract=ACCOUNTS.contract,
        window_start=WINDOW_START,
        window_end=WINDOW_START + timedelta(hours=1),
        kind=kind,
        amount_micros=amount,
        value_micros=value,
        tax_category="S",
        tax_rate_ppm=60_000,
        counterparty="provider-p",
        tokens=tokens,
        price_micros=price,
        source="settlement",
        reference=f"{RUN_KEY}/{ACCOUNTS.contract}/buyer-a/provider-p/{posting}",
    )


LINES = [
    line("delivered", "pay_provider", 0, 336_000, 80_000, 4_200_000),
    line("take_or_pay", "pay_provider", 0, 37_800, 15_000, 4_200_000),
    line("refund_unused", "refund_unused", 25_200, 25_200, 15_000),
    line("refund_short", "refund_short", 21_000, 21_000, 5_000),
    line("damages", "damages", 10_500, 10_500, 5_000),
]
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
METERS = {
    "buckets": {
        "input_uncached": {
            "provider": "60010",
            "buyer": "60000",
            "difference": "10",
            "settled": "60000",
            "tolerance": "290",
            "trust": "recomputable",
        },
        "output_reasoning": {"provider": "5000", "settled": "5000", "tolerance": "0", "trust": "asserted"},
    },
    "verdicts": {"matched": "58", "conflict": "1", "provider_only": "2"},
    "lost_ends": {"buyer": "2"},
    "tolerance": "standard",
    "open_cases": [{"kind": "figures_differ", "requests": "1"}],
    "rulings": {},
    "completeness": {"provider": "complete", "buyer": "open"},
    "signed_events": {"provider": "61"},
    "corrections": "3",
}


def run_info(kind: str = "initial", number: int = 1) -> RunInfo:
    start = datetime(2026, 12, 1, tzinfo=UTC)
    return RunInfo(f"{kind}-2026-12-0{number}", kind, number, start, start + timedelta(days=1), bytes(32), "1")


def core(
    *,
    run: RunInfo | None = None,
    chain: ChainLink | None = ChainLink(1),  # noqa: B008 - a frozen value
    balances: Balances = FIRST_BALANCES,
    lines: list[StatementLine] = LINES,
    metering: MeteringFigure = METERING,
) -> dict[str, Any]:
    return statement_core(
        StatementCore("buyer-a", "CNY", run or run_info(), chain, balances, lines, metering=[metering])
    )


def second_core(first: dict[str, Any]) -> dict[str, Any]:
    link = ChainLink(2, core_digest(first))
    return core(run=run_info("final", 2), chain=link, balances=SECOND_BALANCES, lines=[])


def signed(content: dict[str, Any], signer: Signer = EXCHANGE, issued_at: datetime = ISSUED_AT) -> bytes:
    payload = statement_payload(content, Annex(issued_at, transactions=[("settlement", LINES[0].reference or "", 7)]))
    return signer.sign(payload, signed_at=issued_at)
