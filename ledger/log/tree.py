"""The log's tree in the database: leaf n (from 0) is batch n + 1, complete subtrees above it are rows of their own.

The publisher alone extends it, never the posting door: nothing of the log is done under the ledger head.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.db import IntegrityError, connection

from ledger.leaf import GENESIS, batch_record
from ledger.log.errors import LogInconsistent
from ledger.merkle import Read, complete_nodes, leaf_hash
from ledger.models import Batch
from ledger.packing import pack_digests, pack_int4, pack_int8, packed_cursor

LOG_LOCK = 0x4C4F47  # "LOG"; advisory, to the end of the transaction
CHUNK_BATCHES = 16_384

T = TypeVar("T")


def lock_log() -> None:
    """Keep other publishers and changes of the signing key out until the caller's transaction ends.

    Taken before the ledger head by those who need both.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("The log is locked inside a database transaction only.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOG_LOCK])


def with_nodes(compute: Callable[[Read], T]) -> T:
    """What `compute` makes of the log's nodes, read in one query.

    It is called twice, since which nodes it needs does not depend on what they hold: once to ask, once to work.
    """
    wanted: dict[tuple[int, int], None] = {}

    def ask(level: int, position: int) -> bytes:
        wanted[level, position] = None
        return bytes(32)

    compute(ask)
    found = _load(list(wanted))
    return compute(lambda level, position: found[level, position])


def extend_tree(old_size: int, new_size: int, progress: Callable[[int, int], None] | None = None) -> None:
    """Add the subtrees that the batches after `old_size` complete, up to `new_size`.

    Raises `LogInconsistent` when a batch does not follow from the one before it, or a subtree is there already.
    """
    done, previous = old_size, _last_of(old_size)
    while done < new_size:
        through = min(done + CHUNK_BATCHES, new_size)
        hashes, previous = _check_links(done, through, previous)
        _store(with_nodes(partial(complete_nodes, done, hashes)))
        done = through
        if progress is not None:
            progress(done, new_size)


Link = tuple[bytes, int]
"""What a batch is followed by: its hash, and its last transaction."""


def _last_of(size: int) -> Link:
    if size == 0:
        return GENESIS, 0
    found, last = Batch.objects.values_list("hash", "last_transaction").get(no=size)
    return bytes(found), last


def _check_links(after: int, through: int, previous: Link) -> tuple[list[bytes], Link]:
    """The hashes of the batches (`after`, `through`], each made again from its record, and what follows the last."""
    rows = Batch.objects.filter(no__gt=after, no__lte=through).order_by("no")
    hashes: list[bytes] = []
    no = after
    for batch in rows.values_list(
        "no", "first_transaction", "last_transaction", "root", "previous", "hash", "posted_at"
    ):
        number, first, last, root, named, stored, posted_at = batch
        no += 1
        made = leaf_hash(
            batch_record(
                no=number,
                first_transaction=first,
                last_transaction=last,
                posted_at=posted_at,
                root=bytes(root),
                previous=bytes(named),
            )
        )
        if (number, bytes(named), first) != (no, previous[0], previous[1] + 1) or made != bytes(stored):
            raise LogInconsistent(f"Batch {no} does not follow from batch {no - 1}.", batch=str(no))
        hashes.append(made)
        previous = (made, last)
    if no != through:
        raise LogInconsistent(f"Batch {no + 1} is missing.", batch=str(no + 1))
    return hashes, previous


def _load(wanted: list[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    if not wanted:
        return {}
    with packed_cursor() as cursor:
        cursor.execute(
            """
            SELECT 0, batch.no - 1, batch.hash
              FROM unnest(%s::bigint[]) AS wanted(no) JOIN ledger_batch batch USING (no)
             UNION ALL
            SELECT node.level::int, node.position, node.hash
              FROM unnest(%s::int[], %s::bigint[]) AS wanted(level, position)
              JOIN ledger_lognode node ON node.level = wanted.level AND node.position = wanted.position
            """,
            [
                pack_int8([position + 1 for level, position in wanted if level == 0]),
                pack_int4([level for level, _ in wanted if level]),
                pack_int8([position for level, position in wanted if level]),
            ],
        )
        found: dict[tuple[int, int], Any] = {(level, position): bytes(node) for level, position, node in cursor}
    for level, position in wanted:
        if (level, position) not in found:
            raise LogInconsistent(
                f"The log's tree has no node {position} of level {level}.", level=str(level), position=str(position)
            )
    return found


def _store(made: list[tuple[int, int, bytes]]) -> None:
    if not made:
        return
    levels, positions, hashes = zip(*made, strict=True)
    try:
        with packed_cursor() as cursor:
            cursor.execute(
                "INSERT INTO ledger_lognode (level, position, hash)"
                " SELECT * FROM unnest(%s::int[], %s::bigint[], %s::bytea[])",
                [pack_int4(levels), pack_int8(positions), pack_digests(hashes)],
            )
    except IntegrityError as error:
        raise LogInconsistent("The log's tree holds subtrees of batches that are not in it yet.") from error
