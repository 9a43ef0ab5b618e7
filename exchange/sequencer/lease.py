"""Who may write a shard: whoever holds its advisory lock and has its latest epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from psycopg.types.numeric import Int2

from exchange.sequencer.intake import INTAKE_CHANNEL, WaitingCommand
from ledger.packing import packed_cursor

SEQUENCER_LOCK = 0x544F_4B53  # with the shard's number: any pair that nothing else in this database locks


class Superseded(Exception):
    """Another sequencer has taken over the shard."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Where the shard and the exchange stand, locked."""

    epoch: int
    cursor: int
    last_batch: int
    last_fill: int
    last_ran_at: datetime | None


def try_to_take(shard: int) -> int | None:
    """Lock a shard for as long as the connection lives, begin a new epoch and listen to the line.

    None when another connection has the lock.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [SEQUENCER_LOCK, shard])
        (locked,) = cursor.fetchone()
        if not locked:
            return None
        cursor.execute("UPDATE exchange_sequencerstate SET epoch = epoch + 1 WHERE shard = %s RETURNING epoch", [shard])
        (epoch,) = cursor.fetchone()
        cursor.execute(f"LISTEN {INTAKE_CHANNEL}")
    return int(epoch)


def held_shards() -> set[int]:
    """The shards whose lock a living connection holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT objid::int FROM pg_locks
             WHERE locktype = 'advisory' AND classid = %s AND objsubid = 2 AND granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """,
            [SEQUENCER_LOCK],
        )
        return {shard for (shard,) in cursor.fetchall()}


def lock_state(shard: int, epoch: int, commands: Sequence[WaitingCommand]) -> Counters:
    """Lock where things stand. Raises `Superseded` when that is not where the caller left them."""
    with packed_cursor() as cursor:
        cursor.execute(
            """
            SELECT epoch, cursor, last_batch, last_fill, head.last_ran_at
              FROM exchange_sequencerstate AS state CROSS JOIN exchange_exchangehead AS head
             WHERE state.shard = %s::smallint FOR UPDATE
            """,
            [Int2(shard)],
            binary=True,
        )
        counters = Counters(*cursor.fetchall()[0])
    if counters.epoch != epoch or (commands and counters.cursor >= commands[0].seq):
        raise Superseded(f"epoch {counters.epoch} at {counters.cursor} instead of {epoch}")
    return counters
