"""The line of commands. Whatever changes a book is put here first, and gets its number.

The sequencer reads the line by number and never looks back, so numbers must become visible in order. They would not
if two transactions took numbers and committed the other way round; so each holds one advisory lock from before it takes
a number until it has committed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from exchange.errors import ClientOrderIdConflict
from exchange.models import Intake, IntakeKind

INTAKE_LOCK = 0x544F_4B49  # any number that nothing else in this database locks
INTAKE_CHANNEL = "exchange_intake"


@dataclass(frozen=True, slots=True)
class Submission:
    """A validated command on its way into the line. `payload` is JSON-safe."""

    kind: IntakeKind
    contract_id: int
    actor: str
    payload: Mapping[str, Any]
    party_id: int | None = None
    client_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The number of a command in the line (for an order: also its id). `repeated`: it had been there before."""

    seq: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class WaitingCommand:
    """A command as the sequencer takes it from the line."""

    seq: int
    kind: IntakeKind
    contract_id: int
    party_id: int | None
    actor: str
    client_order_id: str | None
    payload: Mapping[str, Any]


def find_repeat(submission: Submission) -> Submitted | None:
    """The earlier use of a client_order_id by its party, if any. Raises `ClientOrderIdConflict` for other content."""
    if submission.client_order_id is None:
        return None
    first = Intake.objects.filter(party_id=submission.party_id, client_order_id=submission.client_order_id).first()
    if first is None:
        return None
    if first.contract_id != submission.contract_id:
        raise _conflict(submission, "contract")
    for field in sorted(first.payload.keys() | submission.payload.keys()):
        if first.payload.get(field) != submission.payload.get(field):
            raise _conflict(submission, field)
    return Submitted(first.seq, repeated=True)


def submit(submission: Submission, *, now: datetime) -> Submitted:
    """Put one command into the line, or find it there under its client_order_id."""
    with transaction.atomic():
        lock_line()
        repeat = find_repeat(submission)
        return repeat or Submitted(_append([submission], now)[0])


def submit_all(submissions: Sequence[Submission], *, now: datetime) -> list[int]:
    """Put commands into the line one behind the other, all or none. None of them carries a client_order_id."""
    if not submissions:
        return []
    with transaction.atomic():
        lock_line()
        return _append(submissions, now)


def lock_line() -> None:
    """Keep everybody else from taking a number until the caller's transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [INTAKE_LOCK])


def fetch_waiting(limit: int) -> list[WaitingCommand]:
    """The next commands the sequencer has not decided, in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT seq, kind, contract_id, party_id, actor, client_order_id, payload::text
              FROM exchange_intake
             WHERE seq > (SELECT cursor FROM exchange_sequencerstate WHERE shard = 1)
             ORDER BY seq LIMIT %s
            """,
            [limit],
        )
        return [
            WaitingCommand(seq, IntakeKind(kind), contract_id, party_id, actor, client_order_id, json.loads(payload))
            for seq, kind, contract_id, party_id, actor, client_order_id, payload in cursor.fetchall()
        ]


def _append(submissions: Sequence[Submission], now: datetime) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO exchange_intake (kind, contract_id, party_id, actor, client_order_id, payload, received_at)
            SELECT kind, contract_id, party_id, actor, client_order_id, payload::jsonb, %s
              FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[])
                   WITH ORDINALITY AS new(kind, contract_id, party_id, actor, client_order_id, payload, place)
             ORDER BY place
            RETURNING seq
            """,
            [
                now,
                [submission.kind.value for submission in submissions],
                [submission.contract_id for submission in submissions],
                [submission.party_id for submission in submissions],
                [submission.actor for submission in submissions],
                [submission.client_order_id for submission in submissions],
                [json.dumps(dict(submission.payload)) for submission in submissions],
            ],
        )
        numbers = [seq for (seq,) in cursor.fetchall()]
        cursor.execute("SELECT pg_notify(%s, '')", [INTAKE_CHANNEL])
    return numbers


def _conflict(submission: Submission, field: str) -> ClientOrderIdConflict:
    return ClientOrderIdConflict(
        f"client_order_id {submission.client_order_id!r} was used before with another {field}. Use a new one.",
        field=field,
        client_order_id=submission.client_order_id,
    )
