"""What the clock does to contracts: gates open and close, delivery starts and ends."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from exchange.models import OPEN_STATES, Contract, ContractState, IntakeKind
from exchange.sequencer.intake import Submission, lock_line, submit_all, waiting_commands
from exchange.sequencer.switches import switches_for
from exchange.unqualified_orders import cancel_unqualified_orders
from ledger.actions import record_action

ACTOR = "clock"


@transaction.atomic
def sweep_contract_life(now: datetime) -> list[int]:
    """Put every gate that is due into the line and move contracts into and out of delivery.

    Sell orders of providers whose qualification is over are cancelled. Returns the numbers of the commands. It may run
    at any time: what waits in the line already is not repeated.
    """
    due = _due_gates(now)
    seqs: list[int] = []
    if due:
        lock_line()
        gates = [each for each in _due_gates(now) if not _waits(each)]
        seqs = submit_all([*_switches(gates, now), *gates], now=now)
    seqs += cancel_unqualified_orders(actor=ACTOR, now=now)
    _move(Q(state=ContractState.CLOSED, delivery_start__lte=now), ContractState.DELIVERING, now)
    _move(Q(state=ContractState.DELIVERING, delivery_end__lte=now), ContractState.DELIVERED, now)
    return seqs


def _due_gates(now: datetime) -> list[Submission]:
    closing = Contract.objects.filter(state__in=OPEN_STATES, gate_close__lte=now)
    opening = Contract.objects.filter(state=ContractState.LISTED, gate_open__lte=now, gate_close__gt=now)
    return _submissions(IntakeKind.CLOSE_GATE, closing) + _submissions(IntakeKind.OPEN_GATE, opening)


def _switches(gates: list[Submission], now: datetime) -> list[Submission]:
    """The dead-man switches of parties that may place orders once these gates have opened."""
    opening = [each.contract_id for each in gates if each.kind is IntakeKind.OPEN_GATE and each.contract_id]
    shards = Contract.objects.filter(id__in=opening).values_list("shard", flat=True)
    return switches_for(shards, actor=ACTOR, now=now) if opening else []


def _submissions(kind: IntakeKind, contracts: QuerySet[Contract]) -> list[Submission]:
    ids = contracts.order_by("delivery_start", "id").values_list("id", flat=True)
    return [Submission(kind, contract_id, ACTOR, {}) for contract_id in ids]


def _waits(submission: Submission) -> bool:
    return waiting_commands().filter(kind=submission.kind, contract_id=submission.contract_id).exists()


def _move(due: Q, state: ContractState, now: datetime) -> None:
    """Trading is over here, so these steps need no place in the line."""
    for contract in Contract.objects.select_for_update().filter(due).order_by("id"):
        Contract.objects.filter(id=contract.id).update(state=state)
        record_action(actor=ACTOR, action=f"contract_{state.value}", subject=f"contract:{contract.symbol}", now=now)
