"""Ask for an act that takes two operators: cancel a contract, declare a provider's default, bust a trade."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from exchange.errors import DecisionPending, FillNotFound, FillReversed, ProviderInDefault, WrongContractState
from exchange.models import (
    OPEN_STATES,
    UNDELIVERED_STATES,
    Contract,
    ContractState,
    DecisionKind,
    DecisionState,
    Fill,
    FillReversal,
    OperatorDecision,
    ProviderDefault,
)
from exchange.rows import find_contract
from ledger.actions import record_action
from ledger.errors import InvalidAmount, InvalidText, NotFound, ReasonMissing
from ledger.models import Party, PartyKind
from ledger.money import parse_count
from ledger.texts import check_text

MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class RequestDecision:
    """`subject` is a contract's symbol, a provider's code or a fill's number, as the kind wants it."""

    kind: DecisionKind
    subject: str
    reason: str


@transaction.atomic
def request_decision(command: RequestDecision, *, actor: str, now: datetime) -> OperatorDecision:
    """Write the request down; nothing else happens before another operator approves it.

    Raises `ReasonMissing`, `InvalidText`, `DecisionPending`, and when it could not be carried out now:
    `UnknownContract`, `NotFound` for a provider, `FillNotFound`, `FillReversed`, `ProviderInDefault`,
    `WrongContractState`.
    """
    reason = command.reason.strip()
    if not reason:
        raise ReasonMissing("Such an act needs a reason.", field="reason")
    check_text(reason, "reason", MAX_REASON)
    subject = command.subject.strip()
    payload = check_decision(command.kind, subject)
    subject = str(payload.get("fill_id", subject))  # as it is written by everybody
    if OperatorDecision.objects.filter(kind=command.kind, subject=subject, state=DecisionState.REQUESTED).exists():
        raise DecisionPending("That was asked for already, and waits for another operator.", field="subject")
    decision = OperatorDecision.objects.create(
        kind=command.kind, subject=subject, payload=payload, reason=reason, requested_by=actor, requested_at=now
    )
    record_action(
        actor=actor,
        action=f"request_{command.kind.value}",
        subject=f"decision:{decision.pk}",
        reason=reason,
        now=now,
        details={"subject": subject},
    )
    return decision


def check_decision(kind: DecisionKind, subject: str) -> dict[str, Any]:
    """Whom or what it is about, by number, if it can be done as things stand. The sequencer has the last word."""
    match kind:
        case DecisionKind.CANCEL_CONTRACT:
            contract = find_contract(subject)
            _require_state(contract, UNDELIVERED_STATES, "Only a contract that is not delivered yet can be cancelled.")
            return {"contract_id": contract.id}
        case DecisionKind.DEFAULT_PROVIDER:
            return {"provider_id": _find_provider(subject).id}
        case DecisionKind.BUST_FILL:
            fill = _find_fill(subject)
            contract = Contract.objects.get(id=fill.contract_id)
            _require_state(contract, OPEN_STATES, "A trade can be busted until the gate closes.")
            return {"fill_id": fill.id, "contract_id": contract.id}


def _require_state(contract: Contract, states: tuple[ContractState, ...], told: str) -> None:
    if contract.state not in states:
        raise WrongContractState(
            f"{contract.symbol} is {contract.state}. {told}",
            field="subject",
            contract=contract.symbol,
            state=contract.state,
        )


def _find_provider(code: str) -> Party:
    party = Party.objects.filter(code=code, kind=PartyKind.PROVIDER).first()
    if party is None:
        raise NotFound(f"There is no provider {code!r}.", field="subject", provider=code)
    if ProviderDefault.objects.filter(provider=party).exists():
        raise ProviderInDefault(f"The default of {code} was declared already.", field="subject", provider=code)
    return party


def _find_fill(number: str) -> Fill:
    try:
        fill = Fill.objects.filter(id=parse_count(number, field="subject")).first()
    except (InvalidAmount, InvalidText):
        fill = None
    if fill is None:
        raise FillNotFound(f"There is no fill {number!r}.", field="subject", fill=number)
    if FillReversal.objects.filter(fill_id=fill.id).exists():
        raise FillReversed(f"Fill {number} was taken back already.", field="subject", fill=number)
    return fill
