"""Invoice rows out of posted lines: who supplies whom, reversals of what later runs change, and the file."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

import pytest

from settlement.models import InvoiceRow, RunContract, RunKind, RunState, SettlementRun
from settlement.payments.invoicing import invoice_rows, write_invoice_csv
from settlement.runs.errors import RunNotPublished
from tests.conftest import DatabaseUrls
from tests.integration.settlement.line_rows import closed_run, insert_line, published_run
from tests.integration.settlement.payment_day import PaymentDay
from tests.integration.settlement.trading_day import END, NOW, START

Row = tuple[str, str, int, int, int]


@pytest.fixture
def paying(database: DatabaseUrls) -> PaymentDay:
    return PaymentDay()


def lines_of_a_position(paying: PaymentDay, run: SettlementRun, factor: int = 1) -> None:
    """Both sides' lines of example 1 of the design, times a factor."""
    provider, buyer = paying.party("provider-1"), paying.party("buyer-1")
    lab, house = paying.party("model-lab"), paying.party("house")
    told: list[tuple[Any, Any, str, int]] = [
        (buyer, provider, "delivered", 0),
        (buyer, provider, "refund_unused", 25_200),
        (buyer, provider, "damages", 10_500),
        (provider, buyer, "delivered", 336_000),
        (provider, buyer, "take_or_pay", 37_800),
        (provider, buyer, "provider_fee", -1_121),
        (provider, buyer, "share", -74_536),
        (provider, buyer, "damages", -10_500),
        (lab, provider, "share", 74_536),
        (house, provider, "provider_fee", 1_121),
        (buyer, None, "debt", 900),
    ]
    for party, other, kind, micros in told:
        insert_line(run, party, paying.day.contract.id, kind, micros * factor, counterparty=other)


def shown(rows: list[InvoiceRow]) -> list[Row]:
    return [
        (row.supplier.code, row.recipient.code, row.net_minor, row.tax_minor, row.gross_minor)
        for row in sorted(rows, key=lambda row: (row.supplier.code, row.recipient.code, row.number))
    ]


def test_each_supply_is_invoiced_once_to_the_minor_unit(paying: PaymentDay) -> None:
    run = paying.run()
    lines_of_a_position(paying, run, factor=100)
    rows = invoice_rows(run.pk, now=NOW)
    assert shown(rows) == [
        ("house", "provider-1", 10, 1, 11),  # 0.1121 tax-inclusive at 6 %
        ("model-lab", "provider-1", 703, 42, 745),
        ("provider-1", "buyer-1", 3526, 212, 3738),
    ]
    assert [row.number for row in rows] == [f"INV-{run.pk:06d}-{number:05d}" for number in (1, 2, 3)]
    assert invoice_rows(run.pk, now=NOW) == rows


def test_a_later_run_reverses_what_it_changes_and_leaves_the_rest(paying: PaymentDay) -> None:
    initial = paying.run()
    lines_of_a_position(paying, initial, factor=100)
    before = {row.supplier.code: row for row in invoice_rows(initial.pk, now=NOW)}
    final = published_run("CNY", START, END, RunKind.FINAL)
    provider, buyer = paying.party("provider-1"), paying.party("buyer-1")
    insert_line(final, provider, paying.day.contract.id, "delivered", -3_360_000, counterparty=buyer)
    insert_line(final, provider, paying.day.contract.id, "provider_fee", 4, counterparty=buyer)  # less than a fen
    rows = invoice_rows(final.pk, now=NOW)
    assert shown(rows) == [
        ("provider-1", "buyer-1", 3209, 193, 3402),
        ("provider-1", "buyer-1", -3526, -212, -3738),
    ]
    reversal = next(row for row in rows if row.reverses is not None)
    assert (reversal.reverses, reversal.number[-1]) == (before["provider-1"], "R")
    again = published_run("CNY", START, END, RunKind.TRUE_UP)
    insert_line(again, provider, paying.day.contract.id, "delivered", -34_020_000, counterparty=buyer)
    assert shown(invoice_rows(again.pk, now=NOW)) == [("provider-1", "buyer-1", -3209, -193, -3402)]  # nothing is left


def test_a_run_without_rows_stays_without_rows_when_a_later_one_changes_something(paying: PaymentDay) -> None:
    initial = paying.run()
    assert invoice_rows(initial.pk, now=NOW) == []
    final = published_run("CNY", START, END, RunKind.FINAL)
    lines_of_a_position(paying, final, factor=100)
    assert invoice_rows(initial.pk, now=NOW) == []
    assert [row.run_id for row in invoice_rows(final.pk, now=NOW)] == [final.pk] * 3


def test_only_published_runs_that_post_are_invoiced(paying: PaymentDay) -> None:
    indicative = published_run("CNY", START, END, RunKind.INDICATIVE)
    stating = closed_run(
        currency_id=paying.day.currency_id, period_start=START, period_end=END, kind=RunKind.INITIAL,
        state=RunState.STATING, created_at=END,
    )  # fmt: skip
    for run in (indicative, stating):
        with pytest.raises(RunNotPublished):
            invoice_rows(run.pk, now=NOW)


def test_the_fee_of_trading_is_invoiced_by_the_house_once(paying: PaymentDay) -> None:
    day = paying.day
    day.sell("provider-1", 100, 420)
    day.buy("buyer-1", 100, 420)  # a fee of 8,400 micros at 20 bp of 4.20
    found = []
    for kind in (RunKind.INITIAL, RunKind.FINAL):
        run = published_run("CNY", START, END, kind)
        RunContract.objects.create(run=run, contract_id=day.contract.id, shard=day.contract.id, place=1)
        found.append(shown(invoice_rows(run.pk, now=NOW)))
    assert found == [[("house", "buyer-1", 1, 0, 1)], []]


def test_many_runs_come_to_the_same_as_one(paying: PaymentDay) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    provider, buyer = paying.party("provider-1"), paying.party("buyer-1")
    total = 0
    for sequence in range(1, 9):
        run = paying.run(sequence=sequence)
        for _ in range(dice.randint(0, 4)):
            micros = dice.randint(-40_000, 60_000)
            total += micros
            insert_line(run, provider, paying.day.contract.id, "delivered", micros, counterparty=buyer)
        invoice_rows(run.pk, now=NOW)
        gross = sum(InvoiceRow.objects.values_list("gross_minor", flat=True))
        assert abs(2 * (gross * 10_000 - total)) <= 10_000
        assert InvoiceRow.objects.filter(reverses__isnull=True, reversed_by__isnull=True).count() <= 1


def test_the_file_says_the_rows(paying: PaymentDay) -> None:
    run = paying.run()
    provider, buyer = paying.party("provider-1"), paying.party("buyer-1")
    insert_line(
        run, provider, paying.day.contract.id, "delivered", 10_600_000, counterparty=buyer, tax_category="=cmd()"
    )
    rows = invoice_rows(run.pk, now=NOW)
    (told,) = csv.DictReader(io.StringIO(write_invoice_csv(rows).decode(), newline=""))
    assert (told["net"], told["tax"], told["gross"], told["tax_rate_percent"]) == ("10.00", "0.60", "10.60", "6.0000")
    assert (told["supplier"], told["recipient"], told["period_start"]) == (
        "provider-1",
        "buyer-1",
        "2026-12-01T14:00:00Z",
    )
    assert told["tax_category"] == "'=cmd()"
    assert write_invoice_csv(invoice_rows(run.pk, now=NOW)) == write_invoice_csv(rows)
