"""The forms behind which operators net, pay, export and import, each with a second person where money leaves."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.urls import reverse

from ledger.admin.command_forms import (
    CommandForm,
    Done,
    ReasonForm,
    choice_field,
    decimal_field,
    file_field,
    radio_field,
    text_field,
)
from ledger.chart import AssetKind
from ledger.errors import InvalidAmount
from ledger.models import ActionLog, Asset, Party, PartyKind
from ledger.money import format_micros, parse_micros
from settlement.models import NettingSet, PaymentInstruction, PayoutAccount
from settlement.payments.accounts import confirm_payout_account, refuse_payout_account, request_payout_account
from settlement.payments.confirmations import import_confirmation
from settlement.payments.default import WALK_WATERFALL, ask_to_walk, walk_waterfall
from settlement.payments.export import FORMS, export_payments
from settlement.payments.instructions import cancel_instruction, create_instructions
from settlement.payments.netting_sets import make_netting_set, unnetted_runs
from settlement.payments.pots import FUND_WATERFALL, Pot, ask_to_fund, fund_waterfall
from settlement.payments.requests import ASK

POTS = {
    Pot.FUND: "Mutual fund, out of fees",
    Pot.CAPITAL: "The operator's own capital, out of the house's cash",
    Pot.MEMBER: "A member's contribution, out of its cash",
}


def currency_choices() -> list[tuple[str, str]]:
    """Currencies by code."""
    codes = Asset.objects.filter(kind=AssetKind.CURRENCY).order_by("code").values_list("code", flat=True)
    return [(code, code) for code in codes]


class MakeNettingForm(CommandForm):
    title = "Net a value date"
    intro = (
        "All published runs of the currency and value date that are not netted yet come to one figure a party. "
        "Netting moves nothing."
    )
    submit = "Net"

    waiting = choice_field("Currency and value date")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        found = unnetted_runs().order_by("value_date").values_list("currency__code", "value_date")
        names = sorted({f"{code} {value_date}" for code, value_date in found})
        self.choose_from("waiting", [(name, name) for name in names])

    def act(self) -> Done:
        code, _, day = self.cleaned_data["waiting"].partition(" ")
        made = make_netting_set(code, date.fromisoformat(day), actor=self.access.actor, now=self.now)
        told = f"Gross {format_micros(made.gross_micros)}, net {format_micros(made.net_micros)} {code}."
        return Done(told, reverse("netting", args=(made.pk,)))


class _NettingForm(CommandForm):
    def __init__(self, *arguments: Any, netting: NettingSet, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.netting = netting

    def done(self, message: str) -> Done:
        return Done(message, reverse("netting", args=(self.netting.pk,)))


class CreatePaymentsForm(_NettingForm):
    title = "Make the payments"
    intro = (
        "Each party with a positive net and a confirmed payout account gets one payment: its net, or what is free of "
        "it. The amounts are held from now on. Another person than you sends them to the bank. Payments that were "
        "withheld are made again if nothing stands against it any more; who owes is not paid."
    )
    submit = "Make the payments"

    def act(self) -> Done:
        made = create_instructions(self.netting.pk, actor=self.access.actor, now=self.now)
        left = "".join(f" {party}: {why.value.replace('_', ' ')}." for party, why in made.unpaid.items())
        return self.done(f"{len(made.instructions)} payments.{left}")


class ExportPaymentsForm(_NettingForm):
    title = "Export for the bank"
    intro = (
        "What was not exported yet goes into one file. Payments to who is frozen, owes or has another "
        "account by now are taken back instead, and say so. With nothing new you get the last file again."
    )
    submit = "Export"

    form = radio_field("Form", [(form, form) for form in FORMS], initial="pain.001")

    def act(self) -> Done:
        form = self.cleaned_data["form"]
        file = export_payments(self.netting.pk, form, actor=self.access.actor, now=self.now)
        return self.done(f"{file.message_id} is ready below.")


class CancelPaymentForm(ReasonForm):
    title = "Cancel a payment"
    intro = "Its amount is free again on the party's cash. The payment cannot be made again out of this netting set."
    submit = "Cancel the payment"
    dangerous = True

    def __init__(self, *arguments: Any, instruction: PaymentInstruction, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.instruction = instruction

    def act(self) -> Done:
        reason = self.cleaned_data["reason"]
        cancel_instruction(self.instruction.pk, reason, actor=self.access.actor, now=self.now)
        url = reverse("admin:settlement_paymentinstruction_change", args=(self.instruction.pk,))
        return Done("The payment is cancelled.", url)


class ImportConfirmationForm(CommandForm):
    title = "Take in a bank's file"
    intro = (
        "A camt.054, a pain.002 or a CSV. Each item counts by itself and once; the same file again changes nothing. "
        "Returns of payments that were confirmed wait for another operator, who did not export them either."
    )
    submit = "Take it in"

    file = file_field("File")

    def act(self) -> Done:
        content = self.cleaned_data["file"].read()
        imported = import_confirmation(content, actor=self.access.actor, now=self.now)
        asked = imported.returns.count()
        waiting = f" {asked} returns of paid payments wait for another operator." if asked else ""
        told = f"{imported.confirmed} confirmed, {imported.returned} returned.{waiting}"
        return Done(told, reverse("confirmation", args=(imported.pk,)))


class RequestAccountForm(CommandForm):
    title = "Enter a payout account"
    intro = "Nothing is paid to it before another operator confirms it. The house's own is where payments come from."
    submit = "Enter the account"

    party = choice_field("Party")
    currency = choice_field("Currency")
    holder = text_field("Holder", max_length=70)
    iban = text_field("IBAN", max_length=42)
    bic = text_field("BIC", required=False, max_length=11)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        parties = Party.objects.exclude(kind=PartyKind.AUDITOR).order_by("name")
        self.choose_from("party", [(str(party.pk), party.name) for party in parties])
        self.choose_from("currency", currency_choices())

    def act(self) -> Done:
        data = self.cleaned_data
        account = request_payout_account(
            int(data["party"]),
            Asset.objects.get(code=data["currency"]).pk,
            holder=data["holder"],
            iban=data["iban"],
            bic=data["bic"],
            actor=self.access.actor,
            now=self.now,
        )
        return Done("It waits for another operator.", _account_page(account))


class ConfirmAccountForm(CommandForm):
    title = "Confirm a payout account"
    intro = "Compare the IBAN with what the party itself told you. From now on it is paid there."
    submit = "Confirm"

    def __init__(self, *arguments: Any, account: PayoutAccount, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.account = account

    def act(self) -> Done:
        account = confirm_payout_account(self.account.pk, actor=self.access.actor, now=self.now)
        return Done(f"{account.party} is paid to {account.iban} from now on.", _account_page(account))


class RefuseAccountForm(ReasonForm):
    title = "Refuse a payout account"
    submit = "Refuse"
    dangerous = True

    def __init__(self, *arguments: Any, account: PayoutAccount, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.account = account

    def act(self) -> Done:
        reason = self.cleaned_data["reason"]
        account = refuse_payout_account(self.account.pk, reason, actor=self.access.actor, now=self.now)
        return Done("The account is refused.", _account_page(account))


class FundWaterfallForm(ReasonForm):
    title = "Fill or empty the default waterfall"
    intro = "Nothing moves before another operator agrees. A negative amount gives money back."
    submit = "Ask for it"

    pot = choice_field("Account", [(pot.value, told) for pot, told in POTS.items()])
    party = choice_field("Member", required=False, help_text="Of a member's contribution.")
    currency = choice_field("Currency")
    amount = decimal_field("Amount")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.choose_from("party", _member_choices())
        self.choose_from("currency", currency_choices())

    def act(self) -> Done:
        data = self.cleaned_data
        pot = Pot(data["pot"])
        if pot is Pot.MEMBER and not data["party"]:
            raise InvalidAmount("Say whose contribution it is.", field="party")
        ask_to_fund(
            pot,
            data["currency"],
            parse_micros(data["amount"]),
            data["reason"],
            party=data["party"] if pot is Pot.MEMBER else "",
            actor=self.access.actor,
            now=self.now,
        )
        return Done("It waits for another operator.", reverse("admin:settlement_nettingset_waterfall"))


class WalkWaterfallForm(ReasonForm):
    title = "Walk a debt through the default waterfall"
    intro = "What the party owes and cannot pay is borne layer by layer, once another operator agrees."
    submit = "Ask for it"
    dangerous = True

    party = choice_field("Party")
    currency = choice_field("Currency")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.choose_from("party", _member_choices())
        self.choose_from("currency", currency_choices())

    def act(self) -> Done:
        data = self.cleaned_data
        ask_to_walk(data["party"], data["currency"], data["reason"], actor=self.access.actor, now=self.now)
        return Done("It waits for another operator.", reverse("admin:settlement_nettingset_waterfall"))


class DecideWaterfallForm(CommandForm):
    title = "Agree to what another operator asked for"
    intro = "It is posted at once."
    submit = "Agree"
    dangerous = True

    def __init__(self, *arguments: Any, asked: ActionLog, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.asked = asked

    def act(self) -> Done:
        url = reverse("admin:settlement_nettingset_waterfall")
        act = self.asked.action.removeprefix(ASK)
        if act == FUND_WATERFALL:
            number = fund_waterfall(self.asked.pk, actor=self.access.actor, now=self.now)
            return Done(f"Posted as transaction {number}.", url)
        if act != WALK_WATERFALL:
            raise InvalidAmount("That is no request of the waterfall.")
        steps = walk_waterfall(self.asked.pk, actor=self.access.actor, now=self.now)
        told = ", ".join(f"{step.layer.value} {format_micros(step.micros)}" for step in steps)
        return Done(f"Borne by: {told}.", url)


def _member_choices() -> list[tuple[str, str]]:
    members = Party.objects.filter(kind__in=[PartyKind.PROVIDER, PartyKind.BUYER]).order_by("name")
    return [("", "–"), *((party.code, party.name) for party in members)]


def _account_page(account: PayoutAccount) -> str:
    return reverse("admin:settlement_payoutaccount_change", args=(account.pk,))
