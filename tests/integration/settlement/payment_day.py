"""A trading day with something to pay: lines of a published run, confirmed payout accounts, and a bank."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from ledger.models import Party
from settlement.models import NettingSet, PaymentFile, PaymentInstruction, PayoutAccount, SettlementRun
from settlement.payments.accounts import confirm_payout_account, request_payout_account
from settlement.payments.export import export_payments
from settlement.payments.instructions import Instructed, create_instructions
from settlement.payments.netting_sets import make_netting_set
from tests.integration.settlement.line_rows import insert_line, published_run
from tests.integration.settlement.trading_day import END, START, TradingDay
from tests.two_operators import FIRST, SECOND

VALUE_DATE = date(2026, 12, 2)
IBANS = {
    "house": "DE75512108001245126199",
    "provider-1": "GB82WEST12345698765432",
    "provider-2": "FR1420041010050500013M02606",
    "grid-compute": "NL91ABNA0417164300",
    "buyer-1": "BE68539007547034",
    "buyer-2": "AT611904300234573201",
}


@dataclass(slots=True)
class PaymentDay:
    """The day, and what is done with its money, each act by the person who may."""

    day: TradingDay = field(default_factory=TradingDay)

    def party(self, code: str) -> Party:
        return self.day.parties[code]

    def account(self, code: str, iban: str = "") -> PayoutAccount:
        """A confirmed payout account."""
        asked = request_payout_account(
            self.party(code).pk,
            self.day.currency_id,
            holder=code,
            iban=iban or IBANS[code],
            actor=FIRST,
            now=self.day.clock.at,
        )
        return confirm_payout_account(asked.pk, actor=SECOND, now=self.day.clock.at)

    def accounts(self) -> None:
        for code in IBANS:
            self.account(code)

    def run(self, *amounts: tuple[str, int], sequence: int = 1) -> SettlementRun:
        """A published run with a line each."""
        made = published_run("CNY", START, END, value_date=VALUE_DATE, sequence=sequence)
        for code, micros in amounts:
            insert_line(made, self.party(code), self.day.contract.id, "delivered", micros)
        return made

    def net(self) -> NettingSet:
        return make_netting_set("CNY", VALUE_DATE, actor=FIRST, now=self.day.clock.at)

    def instruct(self, netting: NettingSet) -> Instructed:
        return create_instructions(netting.pk, actor=FIRST, now=self.day.clock.at)

    def export(self, netting: NettingSet, form: str = "pain.001") -> PaymentFile:
        return export_payments(netting.pk, form, actor=SECOND, now=self.day.clock.at)

    def sent(self, *amounts: tuple[str, int]) -> dict[str, PaymentInstruction]:
        """Payments of a run's lines, by party, as the bank has them."""
        self.accounts()
        self.run(*amounts)
        netting = self.net()
        self.instruct(netting)
        self.export(netting)
        made = PaymentInstruction.objects.filter(netting=netting).select_related("party")
        return {payment.party.code: payment for payment in made}
