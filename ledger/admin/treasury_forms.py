"""The forms behind which transfers are asked for and decided."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import reverse

from ledger.admin.command_forms import (
    CommandForm,
    Done,
    ReasonForm,
    choice_field,
    decimal_field,
    paragraph_field,
    text_field,
)
from ledger.chart import AssetKind, Role
from ledger.errors import InsufficientFunds
from ledger.models import Account, Asset, Party, Transfer, TransferKind, TransferState
from ledger.money import format_micros, parse_micros
from ledger.templatetags.amounts import group_digits
from ledger.transfers import approve_transfer, refuse_transfer, request_deposit, request_reversal, request_withdrawal


def describe_amount(transfer: Transfer) -> str:
    """An amount with its currency, such as 12.500000 CNY."""
    return f"{_amount(transfer.micros)} {transfer.currency.code}"


class _PaymentForm(CommandForm):
    """A payment between the outside world and a party's cash."""

    kind: ClassVar[TransferKind]

    currency = choice_field("Currency")
    amount = decimal_field("Amount", help_text="A decimal amount with at most six fraction digits, such as 50000.00.")
    reference = text_field(
        "Payment reference", help_text="It counts once for each party, however often it is sent.", max_length=120
    )
    note = paragraph_field("Note", help_text="Whoever approves reads it.", required=False, rows=2)

    def __init__(self, *arguments: Any, party: Party, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.party = party
        currencies = Asset.objects.filter(kind=AssetKind.CURRENCY).order_by("code")
        self.codes = {str(asset.pk): asset.code for asset in currencies}
        self.choose_from("currency", list(self.codes.items()))

    def act(self) -> Done:
        data = self.cleaned_data
        request = request_deposit if self.kind is TransferKind.DEPOSIT else request_withdrawal
        try:
            transfer = request(
                self.party.pk,
                int(data["currency"]),
                parse_micros(data["amount"]),
                reference=data["reference"],
                note=data["note"],
                actor=self.access.actor,
                now=self.now,
            )
        except InsufficientFunds as short:  # the door does not know which field of a form is at fault
            free = _amount(self._free_micros(int(data["currency"])))
            code = self.codes[data["currency"]]
            raise InsufficientFunds(f"No more than {free} {code} is free.", field="amount", **short.fields) from short
        return _asked(transfer)

    def _free_micros(self, currency_id: int) -> int:
        cash = Account.objects.filter(party=self.party, asset=currency_id, role=Role.CASH).first()
        return 0 if cash is None else cash.balance - cash.held - (cash.floor or 0)


class DepositForm(_PaymentForm):
    title = "Request a deposit"
    intro = (
        "Money that has arrived from outside. It is credited to the party's cash as soon as an operator approves it "
        "who is not the one asking."
    )
    submit = "Request the deposit"
    kind = TransferKind.DEPOSIT


class WithdrawForm(_PaymentForm):
    title = "Request a withdrawal"
    intro = (
        "Free cash that is to be paid out; what orders and bonds hold cannot be. The amount is held from now on, and "
        "leaves as soon as an operator approves it who is not the one asking."
    )
    submit = "Request the withdrawal"
    kind = TransferKind.WITHDRAWAL


class ReverseForm(CommandForm):
    title = "Request a reversal"
    intro = (
        "The whole amount goes back where it came from as soon as another operator approves it. For a deposit, the "
        "cash must still be free then. It can be done once."
    )
    submit = "Request the reversal"
    dangerous = True

    note = paragraph_field("Reason", help_text="Whoever approves reads it.", rows=3)

    def __init__(self, *arguments: Any, transfer: Transfer, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.transfer = transfer

    def act(self) -> Done:
        note = self.cleaned_data["note"]
        return _asked(request_reversal(self.transfer.pk, note, actor=self.access.actor, now=self.now))


class ApproveForm(CommandForm):
    title = "Approve and post"
    intro = "You confirm what another person asked for. It is posted at once and cannot be edited, only reversed."
    submit = "Approve and post"

    def __init__(self, *arguments: Any, transfer: Transfer, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.transfer = transfer

    def act(self) -> Done:
        transfer = approve_transfer(self.transfer.pk, actor=self.access.actor, now=self.now)
        told = f"The {transfer.kind} of {describe_amount(transfer)} is posted as transaction {transfer.transaction_id}."
        return Done(told, _page(transfer))


class RefuseForm(ReasonForm):
    title = "Refuse"
    intro = "Nothing is posted, and what was held for it is free again. The reason is shown to the party."
    submit = "Refuse the request"
    dangerous = True

    def __init__(self, *arguments: Any, transfer: Transfer, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.transfer = transfer

    def act(self) -> Done:
        reason = self.cleaned_data["reason"]
        transfer = refuse_transfer(self.transfer.pk, reason, actor=self.access.actor, now=self.now)
        return Done(f"The {transfer.kind} of {describe_amount(transfer)} is refused.", _page(transfer))


def _asked(transfer: Transfer) -> Done:
    """What became of a request, which may be the repeat of one that is decided by now."""
    became = "waits for another operator" if transfer.state == TransferState.REQUESTED else "was posted before"
    what = f"The {transfer.kind} of {describe_amount(transfer)} for {transfer.party}"
    return Done(f"{what} {became}.", _page(transfer))


def _page(transfer: Transfer) -> str:
    return reverse("admin:ledger_transfer_change", args=(transfer.pk,))


def _amount(micros: int) -> str:
    return group_digits(format_micros(micros))
