"""Taking in what a bank says about payments: each once, each by itself, and nothing that was never sent."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from django.db import transaction

from ledger import journal
from ledger.actions import record_action
from ledger.drafts import TransactionDraft
from ledger.errors import AccountClosed, DomainError
from ledger.models import ActionLog
from ledger.money import parse_micros
from ledger.selectors.parties import get_house_id
from ledger.texts import is_storable
from settlement.models import (
    ConfirmationImport,
    InstructionState,
    PaymentInstruction,
    PaymentReturn,
    PayoutAccount,
    RequestState,
)
from settlement.payments.advice import Advice, Told
from settlement.payments.bank_xml import read_bank_xml
from settlement.payments.errors import InstructionNotFound, InvalidConfirmation, WrongInstructionState
from settlement.payments.instructions import MAX_RETURN_REASON, POSTED_AT_ONCE, payment_of
from settlement.payments.lock import lock_payments
from settlement.payments.payment_csv import read_confirmation_csv

MAX_BYTES = 5_000_000
MAX_ITEMS = 5_000  # posted in one transaction
MAX_BANK_REFERENCE = 120
NO_REASON = "no reason given"
ACTION = "import_confirmation"
RETURN_REQUESTED = "return_requested"
_REFUSALS = {error.code: error for error in (InstructionNotFound, WrongInstructionState)}


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one thing that the file says. `code` is `confirmed`, `returned`, `return_requested`, `pending` or
    a refusal's."""

    end_to_end_id: str
    code: str
    message: str = ""

    @property
    def changed(self) -> bool:
        return self.code in (Told.CONFIRMED, Told.RETURNED, RETURN_REQUESTED)


@transaction.atomic
def import_confirmation(content: bytes, *, actor: str, now: datetime) -> ConfirmationImport:
    """Take a bank's file: camt.054 or pain.002, or CSV. The same file again gives the first import.

    A return of a payment that was confirmed waits for another person (`accept_return`): it would credit the party with
    money that had left. An item that names no payment of ours, another amount, or a payment that is not where the item
    wants it, is refused and changes nothing; the others count. `results_of` tells all. A file without any item that
    counts is refused as a whole and may come again: `InvalidConfirmation`, or the refusal itself
    (`InstructionNotFound`, `WrongInstructionState`) when all its items fail by it.
    """
    if len(content) > MAX_BYTES:
        raise InvalidConfirmation(f"A confirmation has at most {MAX_BYTES} bytes.", maximum_bytes=MAX_BYTES)
    advices = read_advices(content)
    lock_payments()
    digest = hashlib.sha256(content).digest()
    known = ConfirmationImport.objects.filter(digest=digest).first()
    if known is not None:
        return known
    named = _each_payment(advices)
    payments = _Payments(named, actor=actor, now=now)
    results = [payments.take(advice) for advice in named]
    payments.post()
    if not any(result.changed for result in results):
        raise _refusal_of(results)
    imported = ConfirmationImport.objects.create(
        digest=digest,
        content=content,
        confirmed=sum(result.code == Told.CONFIRMED for result in results),
        returned=sum(result.code == Told.RETURNED for result in results),
        imported_at=now,
        imported_by=actor,
    )
    payments.ask_for_returns(imported)
    record_action(
        actor=actor,
        action=ACTION,
        subject=f"confirmation:{imported.pk}",
        now=now,
        details={"items": [asdict(result) for result in results]},
    )
    return imported


def read_advices(content: bytes) -> list[Advice]:
    """What a file says, whatever its form. Raises `InvalidConfirmation`."""
    is_xml = content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    advices = read_bank_xml(content) if is_xml else read_confirmation_csv(content)
    if not advices or len(advices) > MAX_ITEMS:
        raise InvalidConfirmation(f"A confirmation is about 1 to {MAX_ITEMS} payments; this one about {len(advices)}.")
    return advices


def results_of(imported: ConfirmationImport) -> list[ItemResult]:
    """What became of each item of an import, in the order of the file."""
    action = ActionLog.objects.filter(action=ACTION, subject=f"confirmation:{imported.pk}").order_by("id").first()
    return [ItemResult(**item) for item in action.details["items"]] if action else []


def _refusal_of(results: list[ItemResult]) -> DomainError:
    """Why a file counts for nothing, with what is wrong with each of its items."""
    codes = {result.code for result in results}
    told = "Nothing in this file changes a payment. " + "; ".join(
        f"{result.end_to_end_id[:40]}: {result.message or result.code}" for result in results[:5]
    )
    error = _REFUSALS.get(codes.pop(), InvalidConfirmation) if len(codes) == 1 else InvalidConfirmation
    return error(told, items=[asdict(result) for result in results[:100]])


class _Payments:
    """The payments that a file names, locked, and what is to be posted for them."""

    def __init__(self, advices: Sequence[Advice], *, actor: str, now: datetime) -> None:
        self.actor, self.now = actor, now
        names = [advice.end_to_end_id for advice in advices if is_storable(advice.end_to_end_id)]
        rows = PaymentInstruction.objects.select_for_update(of=("self",)).select_related(
            "netting__currency", "payout_account"
        )
        self._known = {row.end_to_end_id: row for row in rows.filter(end_to_end_id__in=names).order_by("id")}
        cash = {name: payment_of(row).cash for name, row in self._known.items()}
        accounts = journal.load_accounts(cash.values())
        self._house = _house_accounts()
        self._closed = {name for name, key in cash.items() if key in accounts and accounts[key].closed}
        asked = PaymentReturn.objects.filter(instruction__in=list(self._known.values()), state=RequestState.REQUESTED)
        self._asked = set(asked.values_list("instruction__end_to_end_id", flat=True))
        self._returns: list[Advice] = []
        self._waiting: dict[str, tuple[Advice, TransactionDraft]] = {}

    def take(self, advice: Advice) -> ItemResult:
        """Judge one item; what it does is posted at the next `post`."""
        name = advice.end_to_end_id
        if name in self._waiting or len(self._waiting) >= POSTED_AT_ONCE:
            self.post()
        shown = (name or advice.message_id)[:80].replace("\0", "")
        try:
            if advice.told is Told.RETURNED and self._is_paid(advice):
                self._ask(advice)
                return ItemResult(shown, RETURN_REQUESTED, "It was paid: another operator accepts its return.")
            if advice.told is not Told.PENDING:
                self._waiting[name] = (advice, self._draft(advice))
        except DomainError as refusal:
            return ItemResult(shown, refusal.code, refusal.message)
        return ItemResult(shown, advice.told.value)

    def post(self) -> None:
        """Post what was taken, and move the payments on."""
        if not self._waiting:
            return
        posted = journal.post([draft for _, draft in self._waiting.values()], actor=self.actor, now=self.now)
        for (name, (advice, _)), done in zip(self._waiting.items(), posted, strict=True):
            self._move(self._known[name], advice, done.transaction_id)
        self._waiting.clear()

    def _draft(self, advice: Advice) -> TransactionDraft:
        instruction = self._known.get(advice.end_to_end_id)
        if instruction is None:
            raise InstructionNotFound("No payment of ours has this end-to-end id.")
        self._check_fits(advice, instruction)
        if advice.end_to_end_id in self._closed:
            raise AccountClosed(f"The cash account of {instruction.end_to_end_id} is closed.")
        if instruction.state == InstructionState.EXPORTED:
            payment = payment_of(instruction)
            return payment.pay(self.now) if advice.told is Told.CONFIRMED else payment.release(self.now)
        raise WrongInstructionState(
            f"Payment {instruction.end_to_end_id} is {instruction.state} and cannot be {advice.told}: a payment is "
            "exported, then confirmed or returned, each once.",
            state=instruction.state,
        )

    def _check_fits(self, advice: Advice, instruction: PaymentInstruction) -> None:
        """Whether a bank tells of what was sent: the amount, out of an account of the house, to the party's.

        A pain.002 need not tell any of it, and no message tells whom it paid unless it wants to.
        """
        name, currency = instruction.end_to_end_id, instruction.netting.currency
        if advice.amount is not None and (
            parse_micros(advice.amount) != instruction.micros or advice.currency != currency.code
        ):
            raise InvalidConfirmation(f"Another amount was sent for {name}.")
        if advice.account is not None and advice.account not in self._house[currency.pk]:
            raise InvalidConfirmation(f"Payment {name} went out of an account of the house, not out of this one.")
        if advice.told is Told.CONFIRMED and advice.creditor not in ("", instruction.payout_account.iban):
            raise InvalidConfirmation(f"Payment {name} was sent to another account.")

    def _is_paid(self, advice: Advice) -> bool:
        instruction = self._known.get(advice.end_to_end_id)
        return instruction is not None and instruction.state == InstructionState.CONFIRMED

    def _ask(self, advice: Advice) -> None:
        instruction = self._known[advice.end_to_end_id]
        self._check_fits(advice, instruction)
        if advice.end_to_end_id in self._asked:
            raise WrongInstructionState(
                f"The return of payment {instruction.end_to_end_id} waits for another operator already.",
                state=instruction.state,
            )
        self._asked.add(advice.end_to_end_id)
        self._returns.append(advice)

    def ask_for_returns(self, imported: ConfirmationImport) -> None:
        """Write down the returns that another person has to accept."""
        PaymentReturn.objects.bulk_create(
            PaymentReturn(
                instruction=self._known[advice.end_to_end_id],
                confirmation=imported,
                bank_reference=_text(advice.bank_reference, MAX_BANK_REFERENCE),
                reason=_text(advice.reason, MAX_RETURN_REASON) or NO_REASON,
                requested_by=self.actor,
                requested_at=self.now,
            )
            for advice in self._returns
        )

    def _move(self, instruction: PaymentInstruction, advice: Advice, transaction_id: int) -> None:
        if advice.told is Told.CONFIRMED:
            instruction.state, instruction.paid_transaction_id = InstructionState.CONFIRMED, transaction_id
            instruction.bank_reference = _text(advice.bank_reference, MAX_BANK_REFERENCE)
        else:
            instruction.state, instruction.returned_transaction_id = InstructionState.RETURNED, transaction_id
            instruction.return_reason = _text(advice.reason, MAX_RETURN_REASON) or NO_REASON
        instruction.changed_at, instruction.changed_by = self.now, self.actor
        instruction.save(
            update_fields=[
                "state", "paid_transaction_id", "returned_transaction_id", "bank_reference", "return_reason",
                "changed_at", "changed_by",
            ]
        )  # fmt: skip


def _each_payment(advices: Sequence[Advice]) -> list[Advice]:
    """What is said of a whole file of ours, said of each of its payments that the bank has."""
    said = []
    for advice in advices:
        names: list[str] = []
        if advice.message_id and is_storable(advice.message_id) and not advice.end_to_end_id:
            of_file = PaymentInstruction.objects.filter(
                file__message_id=advice.message_id, state=InstructionState.EXPORTED
            )
            names = list(of_file.order_by("id").values_list("end_to_end_id", flat=True))
        said += [replace(advice, end_to_end_id=name) for name in names] or [advice]
    return said


def _house_accounts() -> dict[int, set[str]]:
    """The IBANs of the house by currency, also those of before: a payment may have gone out of one."""
    found: dict[int, set[str]] = defaultdict(set)
    own = PayoutAccount.objects.filter(party_id=get_house_id(), state=RequestState.CONFIRMED)
    for currency_id, iban in own.values_list("currency_id", "iban"):
        found[currency_id].add(iban)
    return found


def _text(text: str, longest: int) -> str:
    """Foreign text as it can be kept and shown."""
    kept = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(kept.split())[:longest]
