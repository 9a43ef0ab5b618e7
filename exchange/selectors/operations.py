"""The exchange at work, for operators and auditors: the sequencer, its batches, and every command with its result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exchange.models import Fill, Intake, IntakeResult, Order, SequencerBatch, SequencerState


@dataclass(frozen=True, slots=True)
class SequencerView:
    """Where the sequencer stands; `waiting` commands are taken in and not decided."""

    epoch: int
    cursor: int
    last_batch: int
    last_fill: int
    waiting: int
    oldest_waiting_at: datetime | None


@dataclass(frozen=True, slots=True)
class CommandView:
    """A command and what became of it; `result` is None as long as it waits."""

    seq: int
    kind: str
    contract_id: int
    party_id: int | None
    actor: str
    client_order_id: str | None
    payload: dict[str, Any]
    received_at: datetime
    result: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class BatchView:
    """One batch: its commands, the clock it ran under, and the ledger transaction it posted."""

    no: int
    epoch: int
    first_seq: int
    last_seq: int
    ran_at: datetime
    ledger_version: int
    ledger_transaction: int | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over everything so far."""

    orders: int
    fills: int


def get_sequencer() -> SequencerView:
    state = SequencerState.objects.get(shard=1)
    waiting = Intake.objects.filter(seq__gt=state.cursor).order_by("seq")
    return SequencerView(
        epoch=state.epoch,
        cursor=state.cursor,
        last_batch=state.last_batch,
        last_fill=state.last_fill,
        waiting=waiting.count(),
        oldest_waiting_at=waiting.values_list("received_at", flat=True).first(),
    )


def get_totals() -> Totals:
    return Totals(orders=Order.objects.count(), fills=Fill.objects.count())


def list_commands(
    *, contract_id: int | None = None, party_id: int | None = None, before: int | None = None, limit: int = 100
) -> list[CommandView]:
    """Commands, newest first; `before` a number, to page on."""
    wanted = {"contract_id": contract_id, "party_id": party_id, "seq__lt": before}
    rows = Intake.objects.filter(**{name: value for name, value in wanted.items() if value is not None})
    found = list(rows.order_by("-seq")[:limit])
    results = dict(IntakeResult.objects.filter(seq__in=[row.seq for row in found]).values_list("seq", "result"))
    return [
        CommandView(
            seq=row.seq,
            kind=row.kind,
            contract_id=row.contract_id,
            party_id=row.party_id,
            actor=row.actor,
            client_order_id=row.client_order_id,
            payload=row.payload,
            received_at=row.received_at,
            result=results.get(row.seq),
        )
        for row in found
    ]


def list_batches(*, before: int | None = None, limit: int = 100) -> list[BatchView]:
    """Batches, newest first; `before` a batch number, to page on."""
    rows = SequencerBatch.objects.order_by("-no")
    if before is not None:
        rows = rows.filter(no__lt=before)
    return [
        BatchView(
            no=row.no,
            epoch=row.epoch,
            first_seq=row.first_seq,
            last_seq=row.last_seq,
            ran_at=row.ran_at,
            ledger_version=row.ledger_version,
            ledger_transaction=row.ledger_transaction,
        )
        for row in rows[:limit]
    ]
