"""Contracts in line for reconciliation: put there by whoever changed what it follows from, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from exchange.models import Contract
from settlement.models import ReconcileQueue, RunContract, RunKind
from settlement.runs.calendars import contracts_ended_by

LAG = timedelta(minutes=2)  # after the window's end, for the meters to send what they have


def enqueue(contract_ids: Iterable[int], *, now: datetime) -> None:
    """Put contracts in line; those that wait already keep their place."""
    ids = sorted(set(contract_ids))  # one order, so that two writers wait for each other and never in a circle
    if not ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO settlement_reconcilequeue AS waiting (contract_id, since, turn)
            SELECT id, %s, 1 FROM unnest(%s::bigint[]) AS id ORDER BY id
                ON CONFLICT (contract_id) DO UPDATE SET turn = waiting.turn + 1
            """,
            [now, ids],
        )


def turn_of(contract_id: int) -> int | None:
    """How often a contract was put in line since it was last done; None: it is not in line."""
    return ReconcileQueue.objects.filter(contract_id=contract_id).values_list("turn", flat=True).first()


def leave(contract_id: int, *, turn: int) -> None:
    """Take a contract out of the line, unless it was put there again after `turn` was read."""
    ReconcileQueue.objects.filter(contract_id=contract_id, turn=turn).delete()


def postpone(contract_id: int, *, now: datetime) -> None:
    """Send a contract to the end of the line, so that those behind it get their turn."""
    ReconcileQueue.objects.filter(contract_id=contract_id).update(since=now)


def due_contracts(*, now: datetime, limit: int) -> list[int]:
    """Contracts to reconcile, the longest waiting first: delivery is over, and its last run has not begun."""
    over = Contract.objects.filter(id=OuterRef("contract_id"), delivery_end__lte=now - LAG)
    waiting = ReconcileQueue.objects.filter(Exists(over)).exclude(Exists(_last_run()))
    return list(waiting.order_by("since", "contract_id").values_list("contract_id", flat=True)[:limit])


def forget_finished() -> None:
    """Take out the contracts whose last scheduled run has begun: what they came to is fixed by it."""
    ReconcileQueue.objects.filter(Exists(_last_run())).delete()


def _last_run() -> QuerySet[RunContract]:
    final_is_last = contracts_ended_by(RunKind.FINAL).filter(id=OuterRef("contract_id"))
    last = Q(run__kind=RunKind.TRUE_UP) | Q(run__kind=RunKind.FINAL) & Exists(final_is_last)
    return RunContract.objects.filter(last, contract_id=OuterRef("contract_id"))
