"""Posted lines for tests that need nothing but lines: runs as if published, and what a party's statement would say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, connections
from django.db.models import Max

from ledger.audit.findings import AuditReport
from ledger.audit.registry import all_checks
from ledger.chart import AccountKey, Role
from ledger.models import Party
from ledger.selectors.parties import get_currency, get_house_id
from settlement.models import RunKind, RunState, SettlementJob, SettlementLine, SettlementRun
from tests.audits import audit

MINUTE = timedelta(minutes=1)


@contextmanager
def unguarded(table: str, trigger: str) -> Iterator[None]:
    """Rows that came to be in a life that the test leaves out: written without that guard."""
    with connections["owner"].cursor() as owner:
        owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
        yield
        owner.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")


def closed_run(**values: Any) -> SettlementRun:
    """A run that is no longer open, without contracts."""
    state = {name: values.pop(name) for name in ("state", "published_at") if name in values}
    run = SettlementRun.objects.create(**{"usage_through": 0, "rules_version": "test"} | values)
    SettlementRun.objects.filter(pk=run.pk).update(input_digest=hashlib.sha256().digest(), **state)
    run.refresh_from_db()
    return run


def insert_job(run: SettlementRun, **values: Any) -> SettlementJob:
    """A job of a run wherever it stands in its life."""
    with unguarded("settlement_settlementjob", "born_right"):
        return SettlementJob.objects.create(run=run, **values)


def published_run(
    currency: str,
    start: datetime,
    end: datetime,
    kind: RunKind = RunKind.INITIAL,
    *,
    value_date: date | None = None,
    sequence: int = 1,
) -> SettlementRun:
    """A run that is published and has no contracts; its value date is the day after its period unless told."""
    return closed_run(
        currency=get_currency(currency),
        period_start=start,
        period_end=end,
        kind=kind,
        sequence=sequence,
        state=RunState.PUBLISHED,
        value_date=value_date or (end + timedelta(days=1)).date(),
        dispute_until=end + timedelta(days=10),
        created_at=end,
        published_at=end + MINUTE,
    )


def insert_line(
    run: SettlementRun,
    party: Party,
    contract_id: int,
    kind: str,
    amount_micros: int,
    *,
    counterparty: Party | None = None,
    value_micros: int | None = None,
    cumulative_micros: int | None = None,
    tokens: int | None = None,
    price_micros: int | None = None,
    tax_category: str = "standard",
    tax_rate_ppm: int = 60_000,
    beneficiary: str = "",
    reference: str = "",
    ref: str = "",
) -> SettlementLine:
    """The next line of a party in a run; exact as posted unless told otherwise."""
    last = SettlementLine.objects.filter(run_id=run.pk, party_id=party.pk).aggregate(last=Max("place"))["last"]
    cumulative = amount_micros if cumulative_micros is None else cumulative_micros
    row = SettlementLine(
        run_id=run.pk,
        party_id=party.pk,
        contract_id=contract_id,
        counterparty_id=None if counterparty is None else counterparty.pk,
        tokens=tokens,
        price_micros=price_micros,
        amount_micros=amount_micros,
        value_micros=amount_micros if value_micros is None else value_micros,
        cumulative_micros=cumulative,
        exact_numerator=cumulative,
        exact_denominator=1,
        contract_place=1,
        place=(last or 0) + 1,
        tax_rate_ppm=tax_rate_ppm,
        tax_category=tax_category,
        kind=kind,
        beneficiary=beneficiary,
        reference=reference,
        ref=ref,
    )
    with unguarded("settlement_settlementline", "run_is_open"):
        row.save(force_insert=True)
    return row


def audit_but_lines() -> AuditReport:
    """All checks but the one that wants each line posted: those of `insert_line` never were."""
    return audit(*(check.name for check in all_checks() if check.name != "settlement.lines"))


def lines_from_ledger(run: SettlementRun, contract_id: int) -> int:
    """Lines made of what a run posted on cash and fees, a line a leg; nothing when the run wrote its own.

    Returns how many lines the run has. Good for figures: whose the other side is, postings do not say.
    """
    written = SettlementLine.objects.filter(run_id=run.pk).count()
    if written:
        return written
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT account.party_id, posted.kind, entry.amount, posted.reference, entry.ref
              FROM ledger_transaction AS posted JOIN ledger_entry AS entry ON entry.transaction_id = posted.id
              JOIN ledger_account AS account ON account.id = entry.account_id
             WHERE posted.source = 'settlement' AND posted.reference LIKE %s
               AND account.role = ANY(%s) ORDER BY posted.id, entry.leg
            """,
            [f"{run.key}/%", [Role.CASH.value, Role.FEES.value]],
        )
        legs = cursor.fetchall()
    parties = Party.objects.in_bulk()
    for party_id, kind, amount, reference, ref in legs:
        insert_line(run, parties[party_id], contract_id, kind, amount, reference=reference, ref=ref)
    return len(legs)


def cash_of(party: Party, currency: str = "CNY") -> AccountKey:
    """A party's cash account."""
    return AccountKey(party.pk, get_currency(currency).pk, Role.CASH)


def external(currency: str = "CNY") -> AccountKey:
    """The outside world."""
    return AccountKey(get_house_id(), get_currency(currency).pk, Role.EXTERNAL)
