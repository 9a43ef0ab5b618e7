"""Money in and out, as an operator books it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import reverse

from ledger import transfers
from ledger.admin.command_forms import CommandForm, Done, choice_field, decimal_field, text_field
from ledger.chart import AssetKind, Role
from ledger.errors import InsufficientFunds
from ledger.models import Account, Asset, Party
from ledger.money import format_micros, parse_micros
from ledger.templatetags.amounts import group_digits


class _TransferForm(CommandForm):
    """A transfer between the outside world and a party's cash."""

    kind: ClassVar[str]

    currency = choice_field("Currency")
    amount = decimal_field("Amount", help_text="A decimal amount with at most six fraction digits, such as 50000.00.")
    reference = text_field(
        "Payment reference", help_text="The bank's. The same reference posts once, however often it is sent."
    )

    def __init__(self, *arguments: Any, party: Party, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.party = party
        currencies = Asset.objects.filter(kind=AssetKind.CURRENCY).order_by("code")
        self.codes = {str(asset.pk): asset.code for asset in currencies}
        self.choose_from("currency", list(self.codes.items()))

    def act(self) -> Done:
        currency, micros = self.cleaned_data["currency"], parse_micros(self.cleaned_data["amount"])
        transfer = transfers.deposit if self.kind == "deposit" else transfers.withdraw
        try:
            posted = transfer(
                self.party.pk,
                int(currency),
                micros,
                reference=self.cleaned_data["reference"],
                actor=self.access.actor,
                now=self.now,
            )
        except InsufficientFunds as short:  # the door does not know which field of a form is at fault
            free = _amount(self._free_micros(int(currency)))
            raise InsufficientFunds(f"No more than {free} {self.codes[currency]} is free.", field="amount") from short
        told = "was booked before; nothing changed" if posted.repeated else "is booked"
        return Done(
            f"The {self.kind} of {_amount(micros)} {self.codes[currency]} for {self.party} {told}.",
            reverse("admin:ledger_party_change", args=(self.party.pk,)),
        )

    def _free_micros(self, currency_id: int) -> int:
        cash = Account.objects.filter(party=self.party, asset=currency_id, role=Role.CASH).first()
        return 0 if cash is None else cash.balance - cash.held - (cash.floor or 0)


def _amount(micros: int) -> str:
    return group_digits(format_micros(micros))


class DepositForm(_TransferForm):
    title = "Book a deposit"
    intro = "Money that has arrived from outside. It is credited to the party's cash at once."
    submit = "Book the deposit"
    kind = "deposit"


class WithdrawForm(_TransferForm):
    title = "Book a withdrawal"
    intro = "Free cash that is paid out. What orders and bonds hold cannot be withdrawn."
    submit = "Book the withdrawal"
    kind = "withdrawal"
