"""Reading payments, payout accounts and invoice rows."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q, QuerySet

from settlement.models import InvoiceRow, PaymentFile, PaymentInstruction, PayoutAccount
from settlement.payments.errors import InstructionNotFound


def list_instructions(party_ids: Collection[int] | None = None) -> QuerySet[PaymentInstruction]:
    """Payments to some parties, or to all (None), the latest first."""
    rows = PaymentInstruction.objects.select_related("netting__currency", "party", "payout_account", "file")
    return _own(rows.defer("file__content").order_by("-id"), party_ids)


def get_instruction(instruction_id: int, party_ids: Collection[int] | None = None) -> PaymentInstruction:
    """A payment that one of these parties may see; None: whoever's it is. Raises `InstructionNotFound`."""
    found = list_instructions(party_ids).filter(id=instruction_id).first()
    if found is None:
        raise InstructionNotFound(f"There is no payment {instruction_id}.", instruction=str(instruction_id))
    return found


def list_payout_accounts(party_ids: Collection[int] | None = None) -> QuerySet[PayoutAccount]:
    """All versions of where parties are paid, the latest first."""
    return _own(PayoutAccount.objects.select_related("party", "currency").order_by("-id"), party_ids)


def list_payment_files() -> QuerySet[PaymentFile]:
    """Files for the bank, the latest first, without their content."""
    return PaymentFile.objects.select_related("netting__currency").defer("content").order_by("-id")


def list_invoice_rows(party_ids: Collection[int] | None = None) -> QuerySet[InvoiceRow]:
    """Rows that some parties, or all (None), supply or receive, the latest first."""
    related = ("run__currency", "run__product", "supplier", "recipient", "reverses")
    rows = InvoiceRow.objects.select_related(*related).order_by("-id")
    if party_ids is None:
        return rows
    own = list(party_ids)
    return rows.filter(Q(supplier_id__in=own) | Q(recipient_id__in=own))


def _own(rows: QuerySet, party_ids: Collection[int] | None) -> QuerySet:  # type: ignore[type-arg]  # of whatever it is
    return rows if party_ids is None else rows.filter(party_id__in=list(party_ids))
