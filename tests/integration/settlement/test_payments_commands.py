"""Payments from the command line, and debts that follow when paid-out money is claimed back."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from ledger.chart import Role
from ledger.models import Account
from settlement.models import PaymentInstruction, RunKind, RunState
from settlement.payments.confirmations import import_confirmation
from settlement.payments.instructions import Unpaid
from tests.audits import findings
from tests.conftest import DatabaseUrls
from tests.integration.settlement.line_rows import audit_but_lines, insert_line
from tests.integration.settlement.payment_day import VALUE_DATE, PaymentDay
from tests.integration.settlement.trading_day import NOW, requests
from tests.two_operators import FIRST, deposit
from tests.unit.settlement.bank_files import camt054, entry


@pytest.fixture
def paying(database: DatabaseUrls) -> PaymentDay:
    return PaymentDay()


def run(name: str, *arguments: object, **options: object) -> str:
    output = io.StringIO()
    call_command(name, *map(str, arguments), stdout=output, stderr=output, **options)
    return output.getvalue()


def test_a_day_of_payments_from_the_command_line(paying: PaymentDay, tmp_path: Path) -> None:
    paying.accounts()
    made = paying.run(("provider-1", 5_120_000), ("buyer-3", 1_000_000))
    insert_line(
        made, paying.party("provider-2"), paying.day.contract.id, "delivered", 2_000_000,
        counterparty=paying.party("buyer-1"),
    )  # fmt: skip
    told = run("net_payments", "CNY", VALUE_DATE)
    assert "2 payments" in told
    assert "buyer-3: no payment (no_payout_account)" in told
    assert run("net_payments", "CNY", VALUE_DATE) == told  # again: nothing new
    number = PaymentInstruction.objects.latest("id").netting_id
    file = tmp_path / "out.xml"
    with pytest.raises(CommandError, match="another operator"):
        run("export_payments", number, "--out", file, "--actor", "command line")
    assert "2 payments written" in run("export_payments", number, "--out", file, "--actor", "treasurer")
    first = file.read_bytes()
    run("export_payments", number, "--out", file, "--actor", "treasurer")
    assert file.read_bytes() == first
    confirmation = tmp_path / "camt.xml"
    payment = PaymentInstruction.objects.get(party=paying.party("provider-1"))
    confirmation.write_bytes(camt054(entry((payment.end_to_end_id, "5.12"), ("nobody", "1.00"))))
    told = run("import_confirmation", confirmation)
    assert "nobody instruction_not_found" in told
    assert "1 confirmed, 0 returned" in told
    invoices = tmp_path / "invoices.csv"
    assert "1 rows written" in run("export_invoices", made.pk, "--out", invoices)
    written = invoices.read_bytes()
    run("export_invoices", made.pk, "--out", invoices)
    assert invoices.read_bytes() == written
    assert findings(audit_but_lines()) == {}


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("net_payments", ("CNY", "tomorrow"), "value date"),
        ("net_payments", ("XXX", "2026-12-02"), "no currency"),
        ("net_payments", ("CNY", "2026-12-02"), "still to be netted"),
        ("export_payments", ("7", "--out", "x", "--actor", "a"), "no netting set"),
        ("import_confirmation", ("nowhere.xml",), "cannot be read"),
        ("export_invoices", ("7", "--out", "x"), "no settlement run"),
    ],
)
def test_what_cannot_be_done_is_said(paying: PaymentDay, name: str, arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        run(name, *arguments)


def test_money_that_was_paid_out_and_is_claimed_back_becomes_debt_and_claims(paying: PaymentDay) -> None:
    """A later run cannot take from a bank account: what cash does not cover is owed, and comes out of later money."""
    day = paying.day
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    assert day.settle().state == RunState.PUBLISHED  # no usage in time: 40 % comes back to the buyer
    refund = 420_000 * 4 // 10
    paying.accounts()
    paying.run(("buyer-1", 10**12), sequence=9)
    netting = paying.net()
    paying.instruct(netting)
    paying.export(netting)
    (payment,) = PaymentInstruction.objects.filter(party=paying.party("buyer-1"))
    told = f"{payment.micros // 1_000_000}.{payment.micros % 1_000_000 // 10_000:02d}"
    import_confirmation(camt054(entry((payment.end_to_end_id, told))), actor=FIRST, now=NOW)
    left = day.balance("buyer-1")
    assert left < 10_000  # less than a fen

    day.report_both("buyer-1", "provider-1", requests(100_000))
    assert day.settle(RunKind.FINAL).state == RunState.PUBLISHED
    assert (day.balance("buyer-1"), day.balance("buyer-1", Role.DEBT)) == (0, left - refund)
    claims = Account.objects.filter(role=Role.CLAIM, qualifier__startswith="buyer-1")
    assert sum(claim.balance for claim in claims) == refund - left
    assert sum(Account.objects.filter(asset_id=day.currency_id).values_list("balance", flat=True)) == 0
    assert findings(audit_but_lines()) == {}

    deposit(paying.party("buyer-1").pk, day.currency_id, 500_000, reference="more", now=day.clock.at)
    paying.run(("buyer-1", 10**12), sequence=10)
    assert paying.instruct(paying.net()).unpaid["buyer-1"] == Unpaid.OPEN_DEBT  # its creditors come first
