"""What the posting door sends: one statement a table, columns as packed arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from psycopg.types.numeric import Int8

from ledger.drafts import TransactionDraft
from ledger.merkle import tree_root
from ledger.packing import Outbox, PackedArray, pack_digests, pack_instants, pack_int4, pack_int8, pack_texts
from ledger.posting import Digests, Movements

Packer = Callable[[Sequence[Any]], PackedArray]
_ENTRY_PACKERS: tuple[Packer, ...] = (
    pack_int8, pack_int8, pack_int8, pack_int4, pack_int8, pack_int8, pack_int8, pack_texts,
)  # fmt: skip
# Elements are taken by their place: of several arrays, `unnest` would first write each one out.
_INSERT_ENTRIES = (
    "INSERT INTO ledger_entry (account_id, account_seq, transaction_id, leg, asset_id, amount, balance_after, ref)"
    " SELECT (%s::bigint[])[n], (%s::bigint[])[n], (%s::bigint[])[n], (%s::int[])[n], (%s::bigint[])[n],"
    " (%s::bigint[])[n], (%s::bigint[])[n], ref FROM unnest(%s::text[]) WITH ORDINALITY AS entry(ref, n)"
)
_HOLD_PACKERS: tuple[Packer, ...] = (
    pack_int8, pack_int8, pack_int8, pack_int4, pack_int8, pack_int8, pack_texts,
)  # fmt: skip
_INSERT_HOLDS = (
    "INSERT INTO ledger_holdentry (account_id, hold_seq, transaction_id, position, delta, held_after, ref)"
    " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::bigint[], %s::bigint[],"
    " %s::text[])"
)


def enter(outbox: Outbox, made: Movements) -> None:
    """Entries and hold changes; the database applies them to the accounts and checks them."""
    before, after = made.split_holds() if made.holds else ([], [])
    _insert(outbox, _INSERT_HOLDS, _HOLD_PACKERS, before)
    _insert(outbox, _INSERT_ENTRIES, _ENTRY_PACKERS, sorted(made.entries))  # neighbours in the index come together
    _insert(outbox, _INSERT_HOLDS, _HOLD_PACKERS, after)


def _insert(outbox: Outbox, statement: str, packers: Sequence[Packer], rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        outbox.execute(statement, [pack(column) for pack, column in zip(packers, zip(*rows, strict=True), strict=True)])


def seal(
    outbox: Outbox,
    drafts: Sequence[TransactionDraft],
    digests: Sequence[Digests],
    head_version: int,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Close what was entered as one batch: its transactions, its place in the chain, the head."""
    leaves = [each.leaf for each in digests]
    parameters: list[Any] = [
        Int8(head_version),
        actor,
        now,
        tree_root(leaves),
        pack_texts([draft.kind for draft in drafts]),
        pack_texts([draft.source for draft in drafts]),
        pack_texts([draft.reference for draft in drafts]),
        pack_digests([each.request_hash for each in digests]),
        pack_instants([draft.effective_at for draft in drafts]),
        pack_int4([len(draft.legs) for draft in drafts]),
        pack_int8([draft.reverses or 0 for draft in drafts]),
        pack_digests(leaves),
    ]
    outbox.execute("SELECT ledger_seal(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", parameters)
