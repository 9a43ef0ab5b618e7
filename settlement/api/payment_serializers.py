"""The shapes of nettings, payments and invoice rows outside."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ledger.api.fields import MicrosField
from settlement.minor_units import format_minor
from settlement.models import (
    InstructionState,
    InvoiceRow,
    NettedParty,
    PaymentInstruction,
    PayoutAccount,
    RequestState,
    Withheld,
)
from settlement.netting import ratio_ppm


class NettedPartySerializer(serializers.Serializer[NettedParty]):
    """What a party's posted lines of one currency and value date come to. Netting itself moves nothing."""

    id = serializers.CharField()
    netting_set = serializers.CharField(source="netting_id")
    currency = serializers.CharField(source="netting.currency.code")
    value_date = serializers.DateField(source="netting.value_date")
    sequence = serializers.IntegerField(source="netting.sequence", help_text="1, and more for runs published later.")
    party = serializers.CharField(source="party.code")
    credits = MicrosField(source="credits_micros", read_only=True, help_text="What the party receives by its lines.")
    debits = MicrosField(source="debits_micros", read_only=True, help_text="What it pays by its lines.")
    net = MicrosField(source="net_micros", read_only=True, help_text="Credits less debits.")
    ratio_ppm = serializers.SerializerMethodField(
        help_text="The part of credits and debits together that need not be paid, in parts per million."
    )

    def get_ratio_ppm(self, row: NettedParty) -> int:
        return ratio_ppm(row.credits_micros + row.debits_micros, abs(row.net_micros))


class PayoutAccountSerializer(serializers.Serializer[PayoutAccount]):
    """A version of where a party is paid; of the confirmed ones the one decided last counts."""

    id = serializers.CharField()
    party = serializers.CharField(source="party.code")
    currency = serializers.CharField(source="currency.code")
    holder = serializers.CharField()
    iban = serializers.CharField()
    bic = serializers.CharField(help_text="Empty when the IBAN alone names the bank.")
    state = serializers.ChoiceField(choices=RequestState.choices)
    requested_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)


class InstructionSerializer(serializers.Serializer[PaymentInstruction]):
    """A payment out of the market: created (its amount is held), exported, then confirmed or returned."""

    id = serializers.CharField()
    end_to_end_id = serializers.CharField(help_text="What the bank knows it by.")
    netting_set = serializers.CharField(source="netting_id")
    party = serializers.CharField(source="party.code")
    currency = serializers.CharField(source="netting.currency.code")
    value_date = serializers.DateField(source="netting.value_date")
    amount = MicrosField(source="micros", read_only=True, help_text="In whole minor units of the currency.")
    iban = serializers.CharField(source="payout_account.iban")
    state = serializers.ChoiceField(choices=InstructionState.choices)
    bank_reference = serializers.CharField()
    return_reason = serializers.CharField()
    withheld = serializers.ChoiceField(
        choices=Withheld.choices,
        allow_blank=True,
        help_text="Why it was taken back before it was sent; it may be made again. Empty for none.",
    )
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    hold_transaction_id = serializers.CharField()
    paid_transaction_id = serializers.CharField(allow_null=True)
    returned_transaction_id = serializers.CharField(allow_null=True)


class InvoiceRowSerializer(serializers.Serializer[InvoiceRow]):
    """What a supplier invoices a recipient for a period, by tax category and rate; a later run's row may reverse it."""

    id = serializers.CharField()
    number = serializers.CharField()
    reverses = serializers.SerializerMethodField(help_text="Number of the row that this one takes back; null for none.")
    run = serializers.CharField(source="run_id")
    period_start = serializers.DateTimeField(source="run.period_start")
    period_end = serializers.DateTimeField(source="run.period_end")
    supplier = serializers.CharField(source="supplier.code")
    recipient = serializers.CharField(source="recipient.code")
    currency = serializers.CharField(source="run.currency.code")
    tax_category = serializers.CharField()
    tax_rate_ppm = serializers.IntegerField()
    net = serializers.SerializerMethodField(help_text="Without tax, with the decimals of the currency.")
    tax = serializers.SerializerMethodField()
    gross = serializers.SerializerMethodField()

    def get_reverses(self, row: InvoiceRow) -> str | None:
        return row.reverses.number if row.reverses else None

    def get_net(self, row: InvoiceRow) -> str:
        return _amount(row, row.net_minor)

    def get_tax(self, row: InvoiceRow) -> str:
        return _amount(row, row.tax_minor)

    def get_gross(self, row: InvoiceRow) -> str:
        return _amount(row, row.gross_minor)


def _amount(row: Any, minor: int) -> str:
    return format_minor(minor, row.run.currency.code)
