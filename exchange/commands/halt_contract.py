"""Suspend trading in a contract, and let it go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.errors import InvalidOrder
from exchange.models import IntakeKind
from exchange.rows import find_contract
from exchange.sequencer.intake import Submission, Submitted, submit
from ledger.actions import record_action
from ledger.texts import check_text

MAX_REASON = 200  # it is shown with the contract


@dataclass(frozen=True, slots=True)
class HaltContract:
    """An operator suspends trading, for a reason. Open orders stay, and may be cancelled."""

    symbol: str
    reason: str


@dataclass(frozen=True, slots=True)
class ResumeContract:
    """An operator lets trading go on, for a reason."""

    symbol: str
    reason: str


def halt_contract(command: HaltContract, *, actor: str, now: datetime) -> Submitted:
    """Put a halt into the line; orders behind it are refused.

    Raises `UnknownContract`, `InvalidOrder` without a reason, `InvalidText` for one that is too long.
    """
    return _submit(IntakeKind.HALT, command.symbol, command.reason, actor, now)


def resume_contract(command: ResumeContract, *, actor: str, now: datetime) -> Submitted:
    """Put the end of a halt into the line, one by the price collar too. Raises as `halt_contract`."""
    return _submit(IntakeKind.RESUME, command.symbol, command.reason, actor, now)


@transaction.atomic
def _submit(kind: IntakeKind, symbol: str, reason: str, actor: str, now: datetime) -> Submitted:
    if not reason.strip():
        raise InvalidOrder("A halt and its end need a reason.", field="reason")
    check_text(reason, "reason", MAX_REASON)
    contract = find_contract(symbol)
    record_action(actor=actor, action=kind.value, subject=f"contract:{symbol}", reason=reason, now=now)
    return submit(Submission(kind, contract.id, actor, {"reason": reason}), now=now)
