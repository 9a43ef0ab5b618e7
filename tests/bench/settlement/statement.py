"""Seconds to make and to check a statement of 100,000 lines, beside what is left when all checks and rows are left out.

The statement is a provider's, of positions like the first worked example: eight lines, what the meters said, and three
shares each. Making it means all that two jobs do: read the rows, write the records, post the digest, prove it, sign.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connections, transaction

from ledger import journal
from ledger.chart import Role
from ledger.drafts import TransactionDraft
from ledger.keys.ring import ensure_current_key, public_jwks
from ledger.models import Account, Party, PartyKind
from ledger.selectors.parties import get_currency
from settlement.calculation import calculate, exact_figures
from settlement.models import (
    ClosingBalance,
    PositionSettlement,
    RunContract,
    RunKind,
    RunState,
    SettlementLine,
    SettlementRun,
    Statement,
)
from settlement.outcome_record import outcome_record
from settlement.postings import SETTLE, SOURCE
from settlement.statements.issuing import keep_statement, sign_statement
from settlement.statements.jws import records_file, statement_file
from settlement.statements.party_lines import position_lines
from settlement.statements.records import line_seed
from settlement.statements.stating import state_statement
from settlement.statements.verify import verify
from tests.bench.figures import Figure, measured
from tests.bench.metering.world import ACTOR, World, open_world
from tests.bench.parts import Bench, BenchFailed
from tests.two_operators import deposit
from tests.unit.settlement.stated_samples import CODES, LINE_TERMS, METERING
from tests.unit.settlement.worked_examples import EXAMPLE_1, TERMS

LINES = 100_000
CONTRACTS = 25
ROWS_AT_ONCE = 5_000
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose statement of which run is to be made."""

    run: SettlementRun
    party: Party


def measure_statement(bench: Bench, lines: int = LINES) -> list[Figure]:
    """`settlement.statement_sign_s` and `settlement.statement_verify_s`."""
    with bench.fresh_database(), bench.progress("settlement: one long statement", 3) as advance:
        subject = statement_of(lines)
        advance()
        started = time.perf_counter()
        statement = _make(subject)
        sign_s = time.perf_counter() - started
        advance()
        file, records = statement_file(statement), b"".join(records_file(statement))
        jwks = json.dumps(public_jwks()).encode()
        started = time.perf_counter()
        report = verify(file, jwks, records=records)
        verify_s = time.perf_counter() - started
        advance()
    if not report.ok or report.core is None or report.core["records"]["lines"] != lines:
        raise BenchFailed(f"The statement of {lines} lines does not verify: {report.text()}")
    write_s, read_s = _seconds_to_write(records), _seconds_to_read(records)
    return [
        measured("settlement.statement_sign_s", "s", [sign_s], [write_s], "json.dumps and SHA-256 of its records"),
        measured("settlement.statement_verify_s", "s", [verify_s], [read_s], "json.loads and SHA-256 of its records"),
    ]


def statement_of(lines: int) -> Subject:
    """A run as settled, whose statement for one provider has so many lines; a multiple of eight times the contracts."""
    world = open_world(CONTRACTS, 2)
    provider, now = world.providers[0].party, datetime.now(UTC)
    ensure_current_key(actor=ACTOR, now=now)
    run = _run(world, provider, now)
    reference = f"{run.key}/0001"
    with transaction.atomic():  # what the lines name; who was paid by it is no matter here
        journal.post([TransactionDraft(SETTLE, SOURCE, reference, run.period_end, ())], actor=ACTOR, now=now)
    outcome = calculate(TERMS, EXAMPLE_1)
    told = position_lines(LINE_TERMS, outcome, None, exact_figures(TERMS, EXAMPLE_1), reference=reference, codes=CODES)
    own = [line for line in told if line.party == LINE_TERMS.provider]
    positions = lines // len(own)
    if positions * len(own) != lines or positions % CONTRACTS:
        raise BenchFailed(f"{lines} lines are not whole positions of {CONTRACTS} contracts")
    buyers = _buyers(positions // CONTRACTS, now)
    pairs = [(place, buyer) for place in range(1, CONTRACTS + 1) for buyer in buyers]
    record = outcome_record(outcome)
    _insert(
        PositionSettlement(
            run=run,
            contract_id=world.contracts[place - 1].pk,
            buyer_id=buyer.pk,
            provider_id=provider.pk,
            outcome=record,
            evidence={"schedule_version": "1"},
            metering=_metering(world.contracts[place - 1].symbol, buyer.code, provider.code),
        )
        for place, buyer in pairs
    )
    _insert(
        SettlementLine(
            run_id=run.pk,
            party_id=provider.pk,
            contract_id=world.contracts[place - 1].pk,
            counterparty_id=buyer.pk,
            contract_place=place,
            place=buyer.pk * len(own) + number,
            exact_numerator=line.exact[0],
            exact_denominator=line.exact[1],
            **{name: getattr(line, name) for name in _COPIED},
        )
        for place, buyer in pairs
        for number, line in enumerate(own)
    )
    SettlementRun.objects.filter(pk=run.pk).update(state=RunState.STATING, input_digest=bytes(32))
    run.refresh_from_db()
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")
    return Subject(run, provider)


_COPIED = (
    "tokens", "price_micros", "amount_micros", "value_micros", "cumulative_micros", "tax_rate_ppm", "tax_category",
    "kind", "beneficiary", "reference", "ref",
)  # fmt: skip


def _insert(rows: Iterator[SettlementLine] | Iterator[PositionSettlement]) -> None:
    block: list[SettlementLine | PositionSettlement] = []
    for row in rows:
        block.append(row)
        if len(block) == ROWS_AT_ONCE:
            type(row)._default_manager.bulk_create(block)  # type: ignore[arg-type]
            block = []
    if block:
        type(block[0])._default_manager.bulk_create(block)  # type: ignore[arg-type]


def _run(world: World, provider: Party, now: datetime) -> SettlementRun:
    """An open run over all contracts, with what its statements will close with."""
    currency_id = deposit_to(provider, now)
    start = world.contracts[0].delivery_start
    run = SettlementRun.objects.create(
        currency_id=currency_id,
        period_start=start,
        period_end=start + CONTRACTS * HOUR,
        kind=RunKind.INITIAL,
        usage_through=0,
        rules_version="bench",
        created_at=now,
    )
    RunContract.objects.bulk_create(
        RunContract(run=run, contract_id=contract.pk, shard=1, place=place)
        for place, contract in enumerate(world.contracts, start=1)
    )
    account = Account.objects.get(party=provider, asset_id=currency_id, role=Role.CASH)
    ClosingBalance.objects.create(
        run=run,
        party=provider,
        account_id=account.pk,
        balance=account.balance,
        held=account.held,
        seq=account.seq,
        line_seed=line_seed("bench", f"{provider.code}/CNY/{run.key}"),
    )
    return run


def deposit_to(provider: Party, now: datetime) -> int:
    """Give the provider a cash account with something on it; the currency's id."""
    currency_id = get_currency("CNY").pk
    deposit(provider.pk, currency_id, 1_000_000, reference="bench", now=now)
    return int(currency_id)


def _buyers(count: int, now: datetime) -> list[Party]:
    return Party.objects.bulk_create(
        Party(code=f"bench-buyer-{number}", name="A buyer", kind=PartyKind.BUYER, created_at=now)
        for number in range(count)
    )


def _metering(contract: str, buyer: str, provider: str) -> str:
    body = METERING | {"contract": contract, "buyer": buyer, "provider": provider}
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def _make(subject: Subject) -> Statement:
    """What the two jobs of a statement do."""
    now = datetime.now(UTC)
    with transaction.atomic():
        stated = state_statement(ClosingBalance.objects.get(run=subject.run, party=subject.party), now=now)
    file = sign_statement(stated, now=now)
    with transaction.atomic():
        return keep_statement(stated, file, now=now)


def _seconds_to_write(records: bytes) -> float:
    read = [json.loads(line) for line in records.splitlines()]
    started = time.perf_counter()
    for record in read:
        hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode()).digest()
    return time.perf_counter() - started


def _seconds_to_read(records: bytes) -> float:
    started = time.perf_counter()
    for line in records.splitlines():
        hashlib.sha256(line).digest()
        json.loads(line)
    return time.perf_counter() - started
