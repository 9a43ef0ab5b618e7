"""Asking for a deposit, a withdrawal or a reversal. Nothing but a hold is posted before another person approves it.

A payment counts once: asked for again with the same content, the first transfer is returned, unless that was refused.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from ledger import journal
from ledger.actions import record_action
from ledger.chart import AssetKind
from ledger.errors import InvalidAmount, NotFound, NotReversible, ReasonMissing, ReferenceConflict
from ledger.models import Asset, Party, Transfer, TransferKind, TransferState
from ledger.money import MAX_AMOUNT, format_micros
from ledger.texts import MAX_REF
from ledger.transfers.postings import draft_hold
from ledger.transfers.rows import movement_of


def request_deposit(
    party_id: int, currency_id: int, micros: int, *, reference: str, actor: str, now: datetime, note: str = ""
) -> Transfer:
    """Ask to credit a party's cash with money that arrived from outside; `reference` is the payment's.

    Raises `InvalidAmount`, `NotFound`, and `ReferenceConflict` when the payment was given with another amount before.
    """
    return _request_payment(TransferKind.DEPOSIT, party_id, currency_id, micros, reference, note, actor, now)


def request_withdrawal(
    party_id: int, currency_id: int, micros: int, *, reference: str, actor: str, now: datetime, note: str = ""
) -> Transfer:
    """Ask to pay free cash out; it is held from now on.

    Raises what `request_deposit` does, `InsufficientFunds` when not so much is free, and `AccountFrozen`.
    """
    return _request_payment(TransferKind.WITHDRAWAL, party_id, currency_id, micros, reference, note, actor, now)


@transaction.atomic
def request_reversal(transfer_id: int, note: str, *, actor: str, now: datetime) -> Transfer:
    """Ask to take a posted deposit or withdrawal back, once; `note` says why. The cash must be there when approved.

    Raises `NotFound`, `NotReversible`, `ReasonMissing`.
    """
    if not note.strip():
        raise ReasonMissing("A reversal needs a reason.", field="note")
    original = _find(transfer_id)
    if original.state != TransferState.POSTED or original.kind == TransferKind.REVERSAL:
        raise NotReversible(
            f"Transfer {transfer_id} is a {original.kind} that is {original.state}. Only a deposit or a withdrawal "
            "that is posted can be reversed; to correct a reversal, book the payment again under a new reference.",
            kind=original.kind,
            state=original.state,
        )
    return _request(
        {"kind": TransferKind.REVERSAL, "reverses": original},
        {
            "party_id": original.party_id,
            "currency_id": original.currency_id,
            "micros": original.micros,
            "payment_reference": original.payment_reference,
            "note": note,
        },
        actor,
        now,
    )


@transaction.atomic
def _request_payment(
    kind: TransferKind,
    party_id: int,
    currency_id: int,
    micros: int,
    reference: str,
    note: str,
    actor: str,
    now: datetime,
) -> Transfer:
    if not 0 < micros <= MAX_AMOUNT:
        raise InvalidAmount(f"A {kind} must be more than 0.", field="amount")
    if not 0 < len(reference) <= MAX_REF:
        raise InvalidAmount(f"A payment reference has 1 to {MAX_REF} characters.", field="reference")
    if not Asset.objects.filter(pk=currency_id, kind=AssetKind.CURRENCY).exists():
        raise NotFound("There is no such currency.", field="currency")
    if not Party.objects.filter(pk=party_id).exists():
        raise NotFound("There is no such party.", field="party")
    return _request(
        {"kind": kind, "party_id": party_id, "payment_reference": reference},
        {"currency_id": currency_id, "micros": micros, "note": note},
        actor,
        now,
    )


def _request(payment: dict[str, Any], content: dict[str, Any], actor: str, now: datetime) -> Transfer:
    """Write the transfer down, or return the one there is for this payment."""
    standing = Transfer.objects.exclude(state=TransferState.REFUSED)
    transfer, created = standing.get_or_create(
        **payment, defaults=content | {"requested_by": actor, "requested_at": now}
    )
    if not created:
        _refuse_other_content(transfer, content)
        return transfer
    if transfer.kind == TransferKind.WITHDRAWAL:
        journal.post([draft_hold(movement_of(transfer))], actor=actor, now=now)
    record_action(
        actor=actor,
        action=f"request_{transfer.kind}",
        subject=f"transfer:{transfer.pk}",
        reason=transfer.note,
        now=now,
        details={
            "party": transfer.party.code,
            "amount": format_micros(transfer.micros),
            "currency": transfer.currency.code,
            "reference": transfer.payment_reference,
        },
    )
    return transfer


def _refuse_other_content(transfer: Transfer, content: dict[str, Any]) -> None:
    for column, field in (("currency_id", "currency"), ("micros", "amount")):
        if getattr(transfer, column) != content[column]:
            raise ReferenceConflict(
                f"There is a {transfer.kind} with this payment reference and another {field} ({transfer.state}). "
                "Check it, or use a new reference.",
                field=field,
                transfer=transfer.pk,
            )


def _find(transfer_id: int) -> Transfer:
    found = Transfer.objects.filter(pk=transfer_id).first()
    if found is None:
        raise NotFound(f"There is no transfer {transfer_id}.", transfer=transfer_id)
    return found
