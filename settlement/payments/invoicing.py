"""The rows of invoices that a run gives rise to, and the file of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from django.db import connection, transaction
from django.db.models import Sum

from exchange.rows import standing_fills
from ledger.errors import NotFound
from ledger.models import Party, PartyKind
from ledger.selectors.parties import get_house_id
from settlement.invoices import Change, InvoiceFigures, InvoiceKey, InvoiceLine, SideOfLine, changes, group_lines
from settlement.market import load_contracts
from settlement.minor_units import format_minor
from settlement.models import InvoicedRun, InvoiceRow, RunContract, RunKind, RunState, SettlementRun
from settlement.payments.lock import lock_payments
from settlement.runs.errors import RunNotPublished

# What each kind of line of a party came to over the runs of a period. A decided dispute is about a line of a kind.
_SUMS = """
    SELECT line.party_id, line.counterparty_id,
           CASE line.kind WHEN 'dispute' THEN coalesce(dispute.line_kind, line.kind) ELSE line.kind END AS kind,
           line.tax_category, line.tax_rate_ppm, sum(line.amount_micros)::bigint
      FROM settlement_settlementline AS line
      JOIN settlement_settlementrun AS run ON run.id = line.run_id
      LEFT JOIN settlement_dispute AS dispute ON dispute.id = run.dispute_id
     WHERE line.run_id = ANY(%s)
     GROUP BY 1, 2, 3, 4, 5
"""
COLUMNS = (
    "number", "reverses", "period_start", "period_end", "run", "supplier", "recipient", "currency", "tax_category",
    "tax_rate_percent", "net", "tax", "gross",
)  # fmt: skip


@transaction.atomic
def invoice_rows(run_id: int, *, now: datetime) -> list[InvoiceRow]:
    """Write the invoice rows of a published run, once: what its period comes to by now, less what stands already.

    A row is reversed and stated anew when its figures changed. A repeat returns the rows of the first time,
    also if there were none. Raises
    `NotFound`, and `RunNotPublished` for a run that is not published or posts nothing.
    """
    run = SettlementRun.objects.select_related("currency", "product").filter(pk=run_id).first()
    if run is None:
        raise NotFound(f"There is no settlement run {run_id}.", run=str(run_id))
    if run.state != RunState.PUBLISHED or run.kind == RunKind.INDICATIVE:
        raise RunNotPublished(f"Run {run_id} is {run.kind} and {run.state}; invoices follow published runs that post.")
    lock_payments()
    if InvoicedRun.objects.filter(run=run).exists():
        return list(_rows_of(run))
    InvoicedRun.objects.create(run=run, invoiced_at=now)
    standing = _standing(run)
    figures = {key: InvoiceFigures(row.gross_minor, row.net_minor, row.tax_minor) for key, row in standing.items()}
    gross = group_lines(_lines(_runs_of_period(run)), house_id=get_house_id())
    found = enumerate(changes(gross, figures, run.currency.code), start=1)
    InvoiceRow.objects.bulk_create(
        row
        for number, change in found
        for row in _changed(run, change, standing.get(change.key), f"INV-{run.pk:06d}-{number:05d}", now)
    )
    return list(_rows_of(run))


def write_invoice_csv(rows: Iterable[InvoiceRow]) -> bytes:
    """Rows as CSV (RFC 4180): amounts in the currency's own decimals, tax-exclusive, tax and tax-inclusive."""
    text = io.StringIO()
    file = csv.writer(text)
    file.writerow(COLUMNS)
    for row in rows:
        file.writerow(_cells(row))
    return text.getvalue().encode()


def _cells(row: InvoiceRow) -> list[str]:
    run = row.run
    currency = run.currency.code
    whole, rest = divmod(row.tax_rate_ppm, 10_000)
    return [
        row.number,
        row.reverses.number if row.reverses else "",
        f"{run.period_start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        f"{run.period_end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        run.key,
        row.supplier.code,
        row.recipient.code,
        currency,
        f"'{row.tax_category}" if row.tax_category[:1] in "=+-@\t\r" else row.tax_category,  # no formula for anybody
        f"{whole}.{rest:04d}",
        format_minor(row.net_minor, currency),
        format_minor(row.tax_minor, currency),
        format_minor(row.gross_minor, currency),
    ]


def _rows_of(run: SettlementRun) -> Iterator[InvoiceRow]:
    related = ("run__currency", "run__product", "supplier", "recipient", "reverses")
    return InvoiceRow.objects.filter(run=run).select_related(*related).order_by("id").iterator()


def _runs_of_period(run: SettlementRun) -> list[int]:
    """All published runs that post, of the same currency, calendar and period."""
    same = SettlementRun.objects.filter(
        currency_id=run.currency_id,
        product=run.product,
        period_start=run.period_start,
        period_end=run.period_end,
        state=RunState.PUBLISHED,
    )
    return list(same.exclude(kind=RunKind.INDICATIVE).order_by("id").values_list("id", flat=True))


def _standing(run: SettlementRun) -> dict[InvoiceKey, InvoiceRow]:
    rows = InvoiceRow.objects.filter(run_id__in=_runs_of_period(run), reverses__isnull=True, reversed_by__isnull=True)
    return {InvoiceKey(row.supplier_id, row.recipient_id, row.tax_category, row.tax_rate_ppm): row for row in rows}


def _lines(run_ids: Sequence[int]) -> Iterator[InvoiceLine]:
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, [list(run_ids)])
        sums = cursor.fetchall()
    kinds = dict(Party.objects.values_list("id", "kind"))
    for party_id, counterparty_id, kind, tax_category, tax_rate_ppm, micros in sums:
        side = _side(kinds[party_id], kinds.get(counterparty_id), kind)
        yield InvoiceLine(party_id, side, counterparty_id, kind, micros, tax_category, tax_rate_ppm)
    yield from _trading_fees(run_ids)


def _side(party: str, counterparty: str | None, kind: str) -> SideOfLine:
    """As what a party has a line. A share is received from a provider, whoever receives it."""
    if party == PartyKind.HOUSE:
        return SideOfLine.HOUSE
    if kind == "share" and counterparty == PartyKind.PROVIDER:
        return SideOfLine.BENEFICIARY
    return SideOfLine.BUYER if party == PartyKind.BUYER else SideOfLine.PROVIDER


def _trading_fees(run_ids: Sequence[int]) -> Iterator[InvoiceLine]:
    """What buyers paid the house at the fills of the period's contracts, which no run posts."""
    covered = RunContract.objects.filter(run_id__in=run_ids).values("contract_id")
    fees = standing_fills().filter(contract_id__in=covered).values("contract_id", "buyer_id")
    paid = list(fees.annotate(fee=Sum("buyer_fee")).order_by("contract_id", "buyer_id"))
    contracts = load_contracts({row["contract_id"] for row in paid})
    for row in paid:
        contract = contracts[row["contract_id"]]
        yield InvoiceLine(
            row["buyer_id"],
            SideOfLine.BUYER,
            None,
            "trading_fee",
            -int(row["fee"]),
            contract.terms.tax_category,
            contract.tax_rate_ppm,
        )


def _changed(
    run: SettlementRun, change: Change, standing: InvoiceRow | None, number: str, now: datetime
) -> Iterator[InvoiceRow]:
    if change.reverses is not None:
        yield _row(run, change.key, change.reverses.reversed(), f"{number}R", now, standing)
    if change.states is not None:
        yield _row(run, change.key, change.states, number, now, None)


def _row(
    run: SettlementRun,
    key: InvoiceKey,
    figures: InvoiceFigures,
    number: str,
    now: datetime,
    reverses: InvoiceRow | None,
) -> InvoiceRow:
    return InvoiceRow(
        run=run,
        supplier_id=key.supplier_id,
        recipient_id=key.recipient_id,
        number=number,
        tax_category=key.tax_category,
        tax_rate_ppm=key.tax_rate_ppm,
        gross_minor=figures.gross_minor,
        net_minor=figures.net_minor,
        tax_minor=figures.tax_minor,
        reverses=reverses,
        created_at=now,
    )
