"""Statements of the second form with real lines, in a log of their own, signed with fixed keys."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from ledger.log.note import verifier_key
from settlement.calculation import PositionOutcome, calculate, exact_figures
from settlement.statements.canonical import canonical_bytes, canonical_digest
from settlement.statements.compose import (
    Annex,
    LogProof,
    RunInputs,
    StatedRun,
    StatementInput,
    compose_core,
    statement_payload,
)
from settlement.statements.document import Balances, ChainLink, Movement
from settlement.statements.party_lines import LineTerms, PartyLine, PositionSplit, position_lines, position_splits
from settlement.statements.records import RecordsFold, line_seed, write_records
from settlement.statements.signing import Signer
from tests.unit.ledger.sample_log import ORIGIN, SampleLog
from tests.unit.settlement.sample_statements import AUDITOR, EXCHANGE, EXCHANGE_KEY, published
from tests.unit.settlement.worked_examples import (
    ACCOUNTS,
    COMPUTE_PARTY,
    EXAMPLE_1,
    MODEL_PARTY,
    POWER_PARTY,
    TERMS,
    WINDOW_START,
)

RUN_KEY = "20261201T1400Z/60/initial"
REFERENCE = f"{RUN_KEY}/{ACCOUNTS.contract}/0001"
SIGNED_AT = WINDOW_START + timedelta(hours=20)
SEED = line_seed("a secret of tests", f"provider-p/CNY/{RUN_KEY}")
CODES = {COMPUTE_PARTY: "grid-c", MODEL_PARTY: "lab-m", POWER_PARTY: "grid-p"}
LINE_TERMS = LineTerms(
    contract=ACCOUNTS.contract,
    window_start=WINDOW_START,
    window_end=WINDOW_START + timedelta(hours=1),
    buyer="buyer-a",
    provider="provider-p",
    house="house",
    tokens=EXAMPLE_1.tokens,
    notional_micros=EXAMPLE_1.notional_micros,
    reference_price_micros=EXAMPLE_1.reference_price_micros,
    tax_category="S",
    tax_rate_ppm=60_000,
)
METERING = {
    "contract": ACCOUNTS.contract,
    "buyer": "buyer-a",
    "provider": "provider-p",
    "settled_millitokens": "80000000",
    "provider_millitokens": "80000000",
    "refused_millitokens": "5000000",
    "reference": {"price": "4.200000", "step": "window_trades"},
    "buckets": {
        "input_uncached": {
            "provider": "60010",
            "buyer": "60000",
            "difference": "10",
            "settled": "60000",
            "tolerance": "290",
            "trust": "recomputable",
        }
    },
    "verdicts": {"matched": "57", "conflict": "1"},
    "open_cases": [{"kind": "figures_differ", "requests": "1"}],
}
EXCHANGE_PUBLISHED = {"vkey": "", "status": "current", "nbf": int(SIGNED_AT.timestamp()) - 1000, "log_since": 1}


def exchange_jwk(signer: Signer = EXCHANGE, **changed: Any) -> dict[str, Any]:
    """A key of the exchange as its key set has it; a change to None leaves the member out."""
    vkey = verifier_key(ORIGIN, signer.public_key.public_bytes_raw())
    jwk = published(signer, **EXCHANGE_PUBLISHED | {"vkey": vkey}) | changed
    return {name: value for name, value in jwk.items() if value is not None}


def jwks(*keys: dict[str, Any]) -> bytes:
    """A key set: the exchange's and an auditor's key unless others are given."""
    return json.dumps({"keys": keys or [exchange_jwk(), published(AUDITOR, auditor="Audit & Co")]}).encode()


def outcome() -> PositionOutcome:
    return calculate(TERMS, EXAMPLE_1)


def lines_of(party: str, *, reference: str = REFERENCE) -> list[PartyLine]:
    """A party's lines of the first worked example."""
    exact = exact_figures(TERMS, EXAMPLE_1)
    lines = position_lines(LINE_TERMS, outcome(), None, exact, reference=reference, codes=CODES)
    return [line for line in lines if line.party == party]


def splits() -> list[PositionSplit]:
    return position_splits((ACCOUNTS.contract, "buyer-a", "provider-p"), outcome(), None, schedule_version=1)


def source(kind: str = "initial", sequence: int | None = 1, **changed: Any) -> StatementInput:
    """What the sample statement says besides its records: provider-p's, whose account opened at 0."""
    told = lines_of("provider-p")
    moved = sum(line.amount_micros for line in told)
    damages = sum(line.amount_micros for line in told if line.ref == "damages")
    movements = (
        Movement("damages", 1, damages),
        Movement("deposit", 1, 1_000_000),
        Movement("pay_provider", 1, moved - damages),
    )
    statement = StatementInput(
        party="provider-p",
        currency="CNY",
        minor_unit=2,
        run=StatedRun(
            key=RUN_KEY.replace("initial", kind),
            kind=kind,
            sequence=1,
            period_start=WINDOW_START,
            period_end=WINDOW_START + timedelta(hours=1),
            input_digest=bytes(range(32)),
            rules_version="4",
            code_version="0123456789abcdef",
            value_date=date(2026, 12, 2),
            dispute_until=WINDOW_START + timedelta(days=10),
        ),
        chain=None if sequence is None else ChainLink(sequence),
        balances=Balances(0, 0, movements, 1_000_000 + moved, 3, held_micros=100_000),
        inputs=RunInputs(usage_through=41, contracts=1),
        contact="settlement@example.com",
        key_set="/.well-known/jwks.json",
    )
    return replace(statement, **changed)


@dataclass
class Sample:
    """A statement in the making: change `core` or `records`, then sign."""

    core: dict[str, Any]
    records: list[bytes]
    log: SampleLog = field(default_factory=lambda: SampleLog(EXCHANGE_KEY))
    logged: int = 0  # the number of its transaction

    @property
    def file_of_records(self) -> bytes:
        return b"".join(record + b"\n" for record in self.records)

    @property
    def digest(self) -> str:
        return canonical_digest(self.core).hex()

    def put_into_log(self, others: int = 3) -> Sample:
        """Post the digest, between batches of others."""
        for number in range(others):
            self.log.post(*[("deposit", "treasury", f"transfer/{len(self.log.records)}-{number}")] * 1)
        reference = f"{self.core['statement_id']}/{self.digest}"
        self.log.post(("fill", "exchange", "f/1"), ("statement", "statement", reference), legs=0, holds=0)
        self.logged = len(self.log.transactions)
        self.log.post(("deposit", "treasury", "later"))
        return self

    def annex(self, signed_at: datetime = SIGNED_AT) -> Annex:
        log = None
        if self.logged:
            proof = self.log.transaction_proof(self.logged)
            log = LogProof(json.dumps(proof, sort_keys=True), proof["checkpoint"])
        posted = [("settlement", REFERENCE, 7)] if REFERENCE.encode() in self.file_of_records else []
        return Annex(signed_at, posted, log, "/.well-known/jwks.json")

    def payload(
        self, change: Callable[[dict[str, Any]], object] | None = None, signed_at: datetime = SIGNED_AT
    ) -> dict[str, Any]:
        payload: dict[str, Any] = json.loads(canonical_bytes(statement_payload(self.core, self.annex(signed_at))))
        if change is not None:
            change(payload)
        return payload

    def file(
        self,
        signer: Signer = EXCHANGE,
        change: Callable[[dict[str, Any]], object] | None = None,
        signed_at: datetime = SIGNED_AT,
    ) -> bytes:
        """The signed file; `change` is made to the payload before it is signed."""
        return signer.sign(self.payload(change, signed_at), signed_at=signed_at)


def sample(
    statement: StatementInput | None = None,
    *,
    lines: Sequence[PartyLine] | None = None,
    metering: Sequence[dict[str, Any]] = (METERING,),
    logged: bool = True,
) -> Sample:
    """provider-p's statement of the first worked example, in the log."""
    statement = source() if statement is None else statement
    fold = RecordsFold()
    texts = [canonical_bytes(each).decode() for each in metering]
    told = lines_of("provider-p") if lines is None else lines
    records = list(write_records(told, texts, splits() if metering else [], SEED, fold))
    made = Sample(compose_core(statement, fold.summary()), records)
    return made.put_into_log() if logged else made


def indicative() -> Sample:
    """The same of an indicative run: nothing posted, nothing in the log."""
    return sample(source("indicative", None), lines=lines_of("provider-p", reference=""), logged=False)


def header_of(statement: bytes, index: int = 0) -> dict[str, Any]:
    protected = json.loads(statement)["signatures"][index]["protected"]
    value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4)))
    return value
