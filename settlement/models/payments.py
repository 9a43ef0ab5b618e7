"""Netting, payments out of the market, and what goes into invoices."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from settlement.models.calendars import RequestState


class NettingSet(models.Model):
    """The posted lines of one currency and value date, grouped. Append-only. Moves nothing between parties.

    Micros: `gross` is the sum of what parties receive by their lines, `net` of what is left per party.
    """

    currency = models.ForeignKey("ledger.Asset", on_delete=models.PROTECT)
    value_date = models.DateField()
    sequence = models.IntegerField(default=1)  # of runs that were published after the first set was made
    gross_micros = models.BigIntegerField()
    net_micros = models.BigIntegerField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=80)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="netting_once", fields=["currency", "value_date", "sequence"]),
            models.CheckConstraint(
                name="netting_figures_fit", condition=Q(net_micros__gte=0) & Q(net_micros__lte=F("gross_micros"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.currency} {self.value_date}"


class NettedRun(models.Model):
    """A run whose lines a netting set groups; each is in one. Append-only."""

    run = models.OneToOneField("settlement.SettlementRun", on_delete=models.PROTECT, primary_key=True)
    netting = models.ForeignKey(NettingSet, on_delete=models.PROTECT, related_name="runs")

    def __str__(self) -> str:
        return str(self.run_id)


class NettedParty(models.Model):
    """What a party's lines in a netting set come to. Append-only. Micros; net = credits - debits."""

    netting = models.ForeignKey(NettingSet, on_delete=models.PROTECT, related_name="parties")
    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="+")
    credits_micros = models.BigIntegerField()
    debits_micros = models.BigIntegerField()
    net_micros = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "netted parties"
        constraints: ClassVar = [
            models.UniqueConstraint(name="netted_party_once", fields=["netting", "party"]),
            models.CheckConstraint(
                name="netted_figures_fit",
                condition=Q(credits_micros__gte=0, debits_micros__gte=0)
                & Q(net_micros=F("credits_micros") - F("debits_micros")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.party}: {self.net_micros}"


class PayoutAccount(models.Model):
    """A version of where a party is paid; the latest confirmed one counts. Takes two operators."""

    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="+")
    currency = models.ForeignKey("ledger.Asset", on_delete=models.PROTECT)
    holder = models.CharField(max_length=70)
    iban = models.CharField(max_length=34)
    bic = models.CharField(max_length=11, default="", blank=True)
    state = models.CharField(max_length=12, choices=RequestState, default=RequestState.REQUESTED)
    requested_by = models.CharField(max_length=80)
    requested_at = models.DateTimeField()
    decided_by = models.CharField(max_length=80, default="", blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="payout_account_decided_by_another",
                condition=Q(state="requested", decided_by="", decided_at__isnull=True)
                | (
                    Q(state__in=["confirmed", "refused"])
                    & ~Q(decided_by="")
                    & ~Q(decided_by=F("requested_by"))
                    & Q(decided_at__isnull=False)
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.party} {self.iban}"


class PaymentFile(models.Model):
    """A file for the bank with the instructions it holds. Append-only."""

    netting = models.ForeignKey(NettingSet, on_delete=models.PROTECT, related_name="files")
    message_id = models.CharField(max_length=35, unique=True)
    form = models.CharField(max_length=8, choices=[("pain.001", "pain.001"), ("csv", "csv")])
    content = models.BinaryField()
    digest = models.BinaryField(max_length=32)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=80)

    def __str__(self) -> str:
        return self.message_id


class InstructionState(models.TextChoices):
    CREATED = "created"  # its amount is held
    EXPORTED = "exported"
    CONFIRMED = "confirmed"  # paid: cash to external
    RETURNED = "returned"  # not paid: the hold is released, or the payment reversed


class Withheld(models.TextChoices):
    """Why a payment was taken back before it was sent. It can be made again, under another name."""

    CASH_FROZEN = "cash_frozen"
    CASH_CLOSED = "cash_closed"
    OPEN_DEBT = "open_debt"
    OTHER_ACCOUNT = "other_account"  # another payout account was confirmed since
    DISPUTE = "dispute"  # its amount went into suspense


class PaymentInstruction(models.Model):
    """A payment to one party out of a netting set, at most one each that was not withheld. Only its life moves on; see
    the guard in SQL.

    `hold_transaction_id`, `paid_transaction_id` and `returned_transaction_id` name the ledger's transactions.
    """

    netting = models.ForeignKey(NettingSet, on_delete=models.PROTECT, related_name="instructions")
    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="+")
    payout_account = models.ForeignKey(PayoutAccount, on_delete=models.PROTECT, related_name="+")
    micros = models.BigIntegerField()
    end_to_end_id = models.CharField(max_length=35, unique=True)
    state = models.CharField(max_length=12, choices=InstructionState, default=InstructionState.CREATED)
    file = models.ForeignKey(PaymentFile, on_delete=models.PROTECT, null=True, related_name="instructions")
    hold_transaction_id = models.BigIntegerField()
    paid_transaction_id = models.BigIntegerField(null=True)
    returned_transaction_id = models.BigIntegerField(null=True)
    bank_reference = models.CharField(max_length=120, default="", blank=True)
    return_reason = models.CharField(max_length=200, default="", blank=True)
    withheld = models.CharField(max_length=24, choices=Withheld, default="", blank=True)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=80)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="instruction_once_a_party", fields=["netting", "party"], condition=Q(withheld="")
            ),
            models.CheckConstraint(
                name="instruction_withheld_was_not_sent",
                condition=Q(withheld="") | Q(withheld__in=Withheld.values, state="returned", file__isnull=True),
            ),
            models.CheckConstraint(name="instruction_amount_positive", condition=Q(micros__gt=0)),
            models.CheckConstraint(
                name="instruction_state_complete",
                condition=Q(state="created", file__isnull=True, paid_transaction_id__isnull=True)
                | Q(state="exported", file__isnull=False, paid_transaction_id__isnull=True)
                | Q(state="confirmed", file__isnull=False, paid_transaction_id__isnull=False)
                | (Q(state="returned", returned_transaction_id__isnull=False) & ~Q(return_reason="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.end_to_end_id}: {self.state}"


class ConfirmationImport(models.Model):
    """A file of the bank that said what became of payments. Append-only; the same file is taken once."""

    digest = models.BinaryField(max_length=32, unique=True)
    content = models.BinaryField()
    confirmed = models.IntegerField()
    returned = models.IntegerField()
    imported_at = models.DateTimeField()
    imported_by = models.CharField(max_length=80)

    def __str__(self) -> str:
        return f"{self.imported_at}: {self.confirmed} confirmed, {self.returned} returned"


class PaymentReturn(models.Model):
    """What a bank's file says came back of a payment that it had confirmed; a second operator credits the party.

    Neither who took the file in nor who exported the payment decides it; see the guard in SQL.
    """

    instruction = models.ForeignKey(PaymentInstruction, on_delete=models.PROTECT, related_name="returns")
    confirmation = models.ForeignKey(ConfirmationImport, on_delete=models.PROTECT, related_name="returns")
    bank_reference = models.CharField(max_length=120, default="", blank=True)
    reason = models.CharField(max_length=200)
    state = models.CharField(max_length=12, choices=RequestState, default=RequestState.REQUESTED)
    requested_by = models.CharField(max_length=80)
    requested_at = models.DateTimeField()
    decided_by = models.CharField(max_length=80, default="", blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="payment_return_once", fields=["instruction"], condition=~Q(state=RequestState.REFUSED)
            ),
            models.CheckConstraint(
                name="payment_return_decided_by_another",
                condition=Q(state="requested", decided_by="", decided_at__isnull=True)
                | (
                    Q(state__in=["confirmed", "refused"])
                    & ~Q(decided_by="")
                    & ~Q(decided_by=F("requested_by"))
                    & Q(decided_at__isnull=False)
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instruction_id}: {self.state}"


class InvoicedRun(models.Model):
    """A run whose invoice rows are written, also when there were none to write. Append-only."""

    run = models.OneToOneField("settlement.SettlementRun", on_delete=models.PROTECT, primary_key=True)
    invoiced_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.run_id)


class InvoiceRow(models.Model):
    """What a supplier invoices a recipient for a period, in minor units of the currency. Append-only.

    Cumulative: a later run that changes it adds a row that `reverses` the last one, and a new one. gross = net + tax.
    """

    run = models.ForeignKey("settlement.SettlementRun", on_delete=models.PROTECT, related_name="invoice_rows")
    supplier = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="+")
    recipient = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="+")
    number = models.CharField(max_length=60, unique=True)
    tax_category = models.CharField(max_length=120)
    tax_rate_ppm = models.IntegerField()
    gross_minor = models.BigIntegerField()
    net_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField()
    reverses = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="reversed_by")
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="invoice_gross_is_net_and_tax", condition=Q(gross_minor=F("net_minor") + F("tax_minor"))
            ),
            models.UniqueConstraint(
                name="invoice_row_once_a_run",
                fields=["run", "supplier", "recipient", "tax_category", "tax_rate_ppm"],
                condition=Q(reverses__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.number
