"""The line of commands. Whatever changes a book is put here first, and gets its number.

The sequencer reads the line by number and never looks back, so numbers must become visible in order. They would not
if two transactions took numbers and committed the other way round; so each holds one advisory lock from before it takes
a number until it has committed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q, QuerySet
from msgspec.json import decode as _from_json
from psycopg.types.numeric import Int2, Int8

from exchange.errors import ClientOrderIdConflict
from exchange.models import OPEN_STATES, Contract, Intake, IntakeKind, SequencerState
from exchange.order_stamps import asked_difference
from ledger.packing import (
    pack_documents,
    pack_int4,
    pack_int8_or_null,
    pack_texts,
    pack_texts_or_null,
    packed_cursor,
)

INTAKE_LOCK = 0x544F_4B49  # any number that nothing else in this database locks
INTAKE_CHANNEL = "exchange_intake"
_KINDS = {kind.value: kind for kind in IntakeKind}
MAX_BUNDLE = 1_000


@dataclass(frozen=True, slots=True)
class Submission:
    """A validated command on its way into the line. `payload` is JSON-safe.

    It goes to the shard of its contract; `shard` is for a command that names none.
    """

    kind: IntakeKind
    contract_id: int | None
    actor: str
    payload: Mapping[str, Any]
    party_id: int | None = None
    client_order_id: str | None = None
    shard: int = 1


@dataclass(frozen=True, slots=True)
class Submitted:
    """The number of a command in the line (for an order: also its id). `repeated`: it had been there before."""

    seq: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class WaitingCommand:
    """A command as the sequencer takes it from the line; `bundle_left` more of its bundle follow."""

    seq: int
    kind: IntakeKind
    contract_id: int | None
    party_id: int | None
    actor: str
    client_order_id: str | None
    payload: Mapping[str, Any]
    bundle_left: int = 0


@dataclass(frozen=True, slots=True)
class _Claim:
    """The first use of a client_order_id."""

    contract_id: int | None
    payload: Mapping[str, Any]
    seq: int

    def check_same(self, submission: Submission) -> None:
        """Raises `ClientOrderIdConflict`."""
        if self.contract_id != submission.contract_id:
            raise _conflict(submission, "contract")
        if (field := asked_difference(self.payload, submission.payload)) is not None:
            raise _conflict(submission, field)


def find_repeat(submission: Submission) -> Submitted | None:
    """The earlier use of a client_order_id by its party, if any. Raises `ClientOrderIdConflict` for other content."""
    claim = _claims([submission]).get(_key(submission))
    if claim is None:
        return None
    claim.check_same(submission)
    return Submitted(claim.seq, repeated=True)


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


def submit_bundle(submissions: Sequence[Submission], *, now: datetime) -> list[Submitted | ClientOrderIdConflict]:
    """Put orders, amendments and cancels into the line in one piece; an answer for each, in order.

    At most `MAX_BUNDLE` of them. Each shard decides its part in one transaction. An item whose client_order_id was used
    before, in the line or further up in the bundle, is a repeat or a conflict by itself, and is not put in again.
    """
    if len(submissions) > MAX_BUNDLE:
        raise ValueError(f"A bundle has at most {MAX_BUNDLE} commands, not {len(submissions)}.")
    with transaction.atomic():
        lock_line()
        found = find_repeats(submissions)
        fresh = [place for place, each in enumerate(found) if each == place]
        numbers = dict(zip(fresh, _append([submissions[place] for place in fresh], now, bundled=True), strict=True))
    return [
        Submitted(numbers[each], repeated=each != place) if isinstance(each, int) else each
        for place, each in enumerate(found)
    ]


def find_repeats(submissions: Sequence[Submission]) -> list[int | Submitted | ClientOrderIdConflict]:
    """What each item of a bundle is: the place in it where it first stands (its own if it is new), or where it was
    before in the line, or a conflict with either.
    """
    claims = _claims(submissions)
    found: list[int | Submitted | ClientOrderIdConflict] = []
    places: dict[tuple[int | None, str | None], int] = {}
    for place, submission in enumerate(submissions):
        key = _key(submission)
        claim = claims.get(key)
        try:
            if claim is not None:
                claim.check_same(submission)
        except ClientOrderIdConflict as conflict:
            found.append(conflict)
            continue
        if claim is None:
            found.append(place)
            if submission.client_order_id is not None:
                claims[key], places[key] = _Claim(submission.contract_id, submission.payload, seq=0), place
        else:
            found.append(places[key] if key in places else Submitted(claim.seq, repeated=True))
    return found


def submit_to_shards(submission: Submission, *, now: datetime) -> list[int]:
    """Put a command of a party that names no contract into the line of every shard that is in trade; its numbers."""
    return submit_all([replace(submission, shard=shard) for shard in trading_shards()], now=now)


def trading_shards() -> list[int]:
    """The shards with contracts that may have a book; the first when there is none, so that somebody answers."""
    trading = Contract.objects.filter(state__in=OPEN_STATES).values_list("shard", flat=True).distinct()
    return sorted(trading) or [1]


def waiting_commands() -> QuerySet[Intake]:
    """What no sequencer has decided, as far as each had come a moment ago: never too little."""
    cursors = SequencerState.objects.values_list("shard", "cursor")
    return Intake.objects.filter(reduce(or_, (Q(shard=shard, seq__gt=cursor) for shard, cursor in cursors)))


def lock_line() -> None:
    """Keep everybody else from taking a number until the caller's transaction ends."""
    with packed_cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [INTAKE_LOCK])


def fetch_waiting(
    limit: int, shard: int = 1, *, after: int | None = None, own: BaseDatabaseWrapper | None = None
) -> list[WaitingCommand]:
    """The next commands the shard's sequencer has not decided, or those behind command `after`, in order.

    `own` is a connection of the caller's own to read through.
    """
    with packed_cursor(own) as cursor:
        cursor.execute(
            """
            SELECT seq, kind, contract_id, party_id, actor, client_order_id, payload::text, bundle_left
              FROM exchange_intake
             WHERE shard = %s::smallint
               AND seq > coalesce(%s::bigint, (SELECT cursor FROM exchange_sequencerstate WHERE shard = %s::smallint))
             ORDER BY seq LIMIT %s::bigint
            """,
            [Int2(shard), None if after is None else Int8(after), Int2(shard), Int8(limit)],
            binary=True,
        )
        rows = cursor.fetchall()
    # All payloads as one document: the parser's start costs as much as a small payload.
    payloads = _from_json(f"[{','.join([row[6] for row in rows])}]")
    return [
        WaitingCommand(seq, _KINDS[kind], contract_id, party_id, actor, client_id, payload, left)
        for (seq, kind, contract_id, party_id, actor, client_id, _, left), payload in zip(rows, payloads, strict=True)
    ]


def _key(submission: Submission) -> tuple[int | None, str | None]:
    return submission.party_id, submission.client_order_id


def _claims(submissions: Sequence[Submission]) -> dict[tuple[int | None, str | None], _Claim]:
    """The first uses of the client_order_ids that these commands carry, as far as they are in the line."""
    wanted = [each for each in submissions if each.client_order_id is not None]
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT line.party_id, line.client_order_id, line.contract_id, line.payload::text, line.seq
              FROM unnest(%s::bigint[], %s::text[]) AS asked(party_id, client_order_id)
              JOIN exchange_intake AS line USING (party_id, client_order_id)
            """,
            [[each.party_id for each in wanted], [each.client_order_id for each in wanted]],
        )
        return {
            (party_id, client_order_id): _Claim(contract_id, json.loads(payload), seq)
            for party_id, client_order_id, contract_id, payload, seq in cursor.fetchall()
        }


def _append(submissions: Sequence[Submission], now: datetime, *, bundled: bool = False) -> list[int]:
    """Commands follow each other within their shard in the order given."""
    if not submissions:
        return []
    with packed_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO exchange_intake (received_at, shard, bundle_left, kind, contract_id, party_id, actor,
                                         client_order_id, payload)
            SELECT %s::timestamptz, shard,
                   CASE WHEN %s::boolean THEN count(*) OVER (PARTITION BY shard ORDER BY place DESC) - 1 ELSE 0 END,
                   kind, contract_id, party_id, actor, client_order_id, payload
              FROM (SELECT new.*, coalesce(contract.shard, new.chosen) AS shard
                      FROM unnest(%s::int[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::text[],
                                  %s::jsonb[]) WITH ORDINALITY
                           AS new(chosen, kind, contract_id, party_id, actor, client_order_id, payload, place)
                      LEFT JOIN exchange_contract AS contract ON contract.id = new.contract_id) AS placed
             ORDER BY place
            RETURNING seq
            """,
            [
                now,
                bundled,
                pack_int4([submission.shard for submission in submissions]),
                pack_texts([submission.kind.value for submission in submissions]),
                pack_int8_or_null([submission.contract_id for submission in submissions]),
                pack_int8_or_null([submission.party_id for submission in submissions]),
                pack_texts([submission.actor for submission in submissions]),
                pack_texts_or_null([submission.client_order_id for submission in submissions]),
                pack_documents([json.dumps(dict(submission.payload)).encode() for submission in submissions]),
            ],
        )
        numbers = [seq for (seq,) in cursor.fetchall()]
        cursor.execute(f"SELECT pg_notify('{INTAKE_CHANNEL}', '')")
    return numbers


def _conflict(submission: Submission, field: str) -> ClientOrderIdConflict:
    return ClientOrderIdConflict(
        f"client_order_id {submission.client_order_id!r} was used before with another {field}. Use a new one.",
        field=field,
        client_order_id=submission.client_order_id,
    )
