"""A party says that a line of its statement is wrong, by an amount, for a reason, with evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Sum

from exchange.models import Contract
from ledger.actions import record_action
from ledger.errors import ReasonMissing
from ledger.models import Party
from ledger.money import format_micros
from settlement.disputes.entries import PENDING, add_entry, checked_text
from settlement.disputes.errors import DisputeExists, LineNotDisputable
from settlement.disputes.evidence import EvidenceFile, NamedRecord, check_files, find_records, keep_files
from settlement.disputes.lines import bought_micros, find_line
from settlement.disputes.notices import tell_of_dispute
from settlement.disputes.rules import (
    DECISION_TIME,
    DisputedLine,
    check_again,
    check_amount,
    check_deadline,
    check_position,
)
from settlement.disputes.suspending import suspend
from settlement.models import (
    Dispute,
    DisputeEntry,
    DisputeEntryKind,
    DisputeReason,
    DisputeState,
    RunKind,
    RunState,
    Statement,
)
from settlement.payments.lock import lock_payments
from settlement.runs.errors import RunNotPublished
from settlement.selectors.statements import get_statement

_ONCE = "dispute_once_a_line"


@transaction.atomic
def open_dispute(
    statement_id: int,
    line_number: int,
    amount_micros: int,
    reason: str,
    text: str,
    files: Sequence[EvidenceFile],
    *,
    usage_records: Sequence[NamedRecord] = (),
    party_id: int,
    actor: str,
    now: datetime,
) -> Dispute:
    """Open a dispute, put what the payee has free of the amount into suspense, and tell everybody concerned.

    `amount_micros`: how much more the party should have; at most the line. Raises, in this order, `ReasonMissing`,
    `InvalidText`, `NotFound`, `LineNotDisputable`, `RunNotPublished`, `DisputeTooLate`, `InvalidAmount`,
    `DisputeExists`,
    `DisputeWithdrawnTooOften`, `DisputesExceedPosition`, `EvidenceTooLarge` and `EvidenceMismatch`.
    """
    said = checked_text(text, "A dispute")
    if reason not in DisputeReason.values:
        raise ReasonMissing(f"A reason is one of {', '.join(DisputeReason.values)}.", field="reason")
    check_files(files)
    lock_payments()  # before any row: what payments hold may have to go into suspense
    statement = get_statement(statement_id, [party_id])
    _check_statement(statement, now)
    line = find_line(statement, line_number)
    check_amount(amount_micros, line, minimum_micros=settings.SETTLEMENT_DISPUTE_MINIMUM_MICROS)
    dispute = _insert(statement, line_number, line, amount_micros, reason, said, actor, now)
    _check_position(dispute, line)
    records = find_records(dispute, usage_records)
    entry = add_entry(
        dispute,
        DisputeEntryKind.OPENED,
        actor=actor,
        now=now,
        party_id=party_id,
        text=said,
        details={"usage_records": records} if records else {},
    )
    keep_files(entry, files)
    dispute.suspended_micros = suspend(dispute, actor=actor, now=now)
    dispute.save(update_fields=["suspended_micros"])
    _record(dispute, entry, actor, now)
    return dispute


def _check_statement(statement: Statement, now: datetime) -> None:
    run = statement.run
    if run.kind == RunKind.INDICATIVE:
        raise LineNotDisputable("An indicative statement moved no money: dispute the one that does.", field="statement")
    if run.state != RunState.PUBLISHED:
        raise RunNotPublished("The settlement run of this statement is not published yet.", run=str(run.pk))
    check_deadline(run.dispute_until, now)


def _check_position(dispute: Dispute, line: DisputedLine) -> None:
    """Under the lock of payments: no two disputes are opened at a time."""
    same = Dispute.objects.filter(
        party_id=dispute.party_id,
        contract_id=line.contract_id,
        buyer_id=line.buyer_id,
        provider_id=line.provider_id,
        state__in=PENDING,
    )
    check_position(same.aggregate(micros=Sum("disputed_micros"))["micros"] or 0, bought_micros(line), line)


def _insert(
    statement: Statement,
    number: int,
    line: DisputedLine,
    micros: int,
    reason: str,
    text: str,
    actor: str,
    now: datetime,
) -> Dispute:
    """The row. An index has each line once, whatever the order of those who come at the same time."""
    of_line = Dispute.objects.filter(statement=statement, line_number=number)
    same = of_line.exclude(state=DisputeState.WITHDRAWN)
    _refuse_second(same.order_by("-id").first())
    check_again(of_line.filter(state=DisputeState.WITHDRAWN).count())
    try:
        with transaction.atomic():
            return Dispute.objects.create(
                statement=statement,
                line_number=number,
                line_kind=line.kind,
                party_id=statement.party_id,
                payee_id=line.payee_id,
                contract_id=line.contract_id,
                buyer_id=line.buyer_id,
                provider_id=line.provider_id,
                reason=reason,
                text=text,
                disputed_micros=micros,
                opened_at=now,
                opened_by=actor,
                decide_by=now + DECISION_TIME,
            )
    except IntegrityError as error:
        if _ONCE not in str(error):
            raise
        _refuse_second(same.order_by("-id").first())
        raise


def _refuse_second(first: Dispute | None) -> None:
    if first is None:
        return
    told = "was decided" if first.state in (DisputeState.REJECTED, DisputeState.SETTLED) else "is open"
    raise DisputeExists(
        f"Dispute {first.pk} of this line {told}: what there is to say goes there.",
        dispute=str(first.pk),
        state=str(first.state),
    )


def _record(dispute: Dispute, entry: DisputeEntry, actor: str, now: datetime) -> None:
    symbol = Contract.objects.values_list("symbol", flat=True).get(id=dispute.contract_id)
    code = Party.objects.values_list("code", flat=True).get(id=dispute.party_id)
    disputed, suspended = format_micros(dispute.disputed_micros), format_micros(dispute.suspended_micros)
    record_action(
        actor=actor,
        action="open_dispute",
        subject=f"dispute:{dispute.pk}",
        reason=dispute.text,
        now=now,
        details={
            "party": code,
            "contract": symbol,
            "statement": str(dispute.statement_id),
            "line": str(dispute.line_number),
            "disputed": disputed,
            "suspended": suspended,
        },
    )
    told = (
        f"{code} disputes {disputed} of a line for {dispute.line_kind.replace('_', ' ')} in {symbol} (dispute "
        f"{dispute.pk}). {suspended} of it went from the other side's cash into suspense until it is decided."
    )
    tell_of_dispute(dispute, entry, "dispute_opened", told, now=now)
