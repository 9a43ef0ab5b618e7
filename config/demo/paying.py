"""After the final run: what is owed is netted by value date, paid out, and confirmed by a bank that says yes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.db.models import Sum

from config.catalogue import CURRENCY
from config.demo.disputing import SECOND_OPERATOR
from config.demo.report import Payments
from config.demo.trading import OPERATOR
from ledger.models import Party, PartyKind
from ledger.money import format_micros
from ledger.selectors.parties import get_currency
from settlement.models import InstructionState, NettedParty, NettingSet, PaymentInstruction
from settlement.netting import ratio_ppm
from settlement.payments.accounts import confirm_payout_account, request_payout_account
from settlement.payments.confirmations import import_confirmation
from settlement.payments.export import export_payments
from settlement.payments.instructions import create_instructions
from settlement.payments.netting_sets import make_netting_set, unnetted_runs
from settlement.payments.payment_csv import CONFIRMATION_COLUMNS

FORM = "pain.001"
BANK = "DE", "50010517"  # an account of this bank has ten digits
_CHECK_MODULUS = 97


def pay_out(out: Path, *, now: datetime) -> Payments:
    """Net, instruct, export, confirm; leaves the payment files in `out`."""
    _open_accounts(now)
    sets = []
    for value_date in sorted({run.value_date for run in unnetted_runs() if run.value_date is not None}):
        netting = make_netting_set(CURRENCY, value_date, actor=OPERATOR, now=now)
        sets.append(netting)
        if create_instructions(netting.pk, actor=OPERATOR, now=now).instructions:
            file = export_payments(netting.pk, FORM, actor=SECOND_OPERATOR, now=now)
            (out / f"payments-{value_date:%Y%m%d}.xml").write_bytes(bytes(file.content))
            import_confirmation(_bank_says_yes(netting), actor=OPERATOR, now=now)
    return _figures(sets)


def _open_accounts(now: datetime) -> None:
    """One for each party that may be paid, and the house's own that payments come from."""
    currency = get_currency(CURRENCY)
    for party in Party.objects.exclude(kind=PartyKind.AUDITOR).order_by("id"):
        asked = request_payout_account(
            party.pk, currency.pk, holder=party.name, iban=_iban(party.pk), actor=OPERATOR, now=now
        )
        confirm_payout_account(asked.pk, actor=SECOND_OPERATOR, now=now)


def _iban(number: int) -> str:
    """An IBAN with right check digits (ISO 7064, MOD 97-10) for an account of this number."""
    country, bank = BANK
    account = f"{bank}{number:010d}"
    digits = "".join(str(int(character, 36)) for character in f"{account}{country}00")
    return f"{country}{_CHECK_MODULUS + 1 - int(digits) % _CHECK_MODULUS:02d}{account}"


def _bank_says_yes(netting: NettingSet) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(CONFIRMATION_COLUMNS)
    rows.writerows(_advices(netting))
    return text.getvalue().encode()


def _advices(netting: NettingSet) -> Iterator[tuple[str, ...]]:
    waiting = PaymentInstruction.objects.filter(netting=netting, state=InstructionState.EXPORTED)
    for payment in waiting.order_by("id"):
        name = payment.end_to_end_id
        yield name, "confirmed", format_micros(payment.micros), CURRENCY, f"bank-{name}", ""


def _figures(sets: list[NettingSet]) -> Payments:
    netted = NettedParty.objects.filter(netting__in=sets)
    gross = sum(netting.gross_micros for netting in sets)
    net = sum(netting.net_micros for netting in sets)
    made = PaymentInstruction.objects.filter(netting__in=sets)
    confirmed = made.filter(state=InstructionState.CONFIRMED)
    return Payments(
        netting_sets=len(sets),
        parties=netted.values("party_id").distinct().count(),
        gross_micros=gross,
        net_micros=net,
        saved_ppm=ratio_ppm(gross, net),
        instructed=made.count(),
        confirmed=confirmed.count(),
        paid_micros=confirmed.aggregate(whole=Sum("micros"))["whole"] or 0,
    )
