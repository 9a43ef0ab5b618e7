"""The bytes of evidence: items, leaves and batch records. Pure, versioned, described byte by byte in LEAF_FORMAT.md.

A transaction's leaf is its header and the Merkle root over its items (legs, then hold changes), so that a party can be
shown its own items and nothing of the others'. A batch record is hashed as a leaf of the ledger's log.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from functools import lru_cache

VERSION = 2
GENESIS = bytes(32)  # what the first batch names as `previous`
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_LEG = struct.Struct(">BIQQqQqH").pack
_HOLD = struct.Struct(">BIQqQqH").pack
_FIRST = struct.Struct(">BQ").pack
_TIMES_AND_COUNTS = struct.Struct(">qqQII").pack
_LENGTH = struct.Struct(">H").pack
_BATCH = struct.Struct(">BQQQq").pack


@lru_cache(maxsize=1024)  # a batch names few instants, many times
def microseconds(instant: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (instant - _EPOCH) // _MICROSECOND


def format_instant(instant: datetime) -> str:
    """The same in words: 2026-12-01T10:00:00.000000Z"""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def encode_leg(
    leg: int, account_id: int, asset_id: int, amount: int, account_seq: int, balance_after: int, ref: str
) -> bytes:
    """The item of one leg; `leg` counts from 1."""
    text = ref.encode()
    return _LEG(1, leg, account_id, asset_id, amount, account_seq, balance_after, len(text)) + text


def encode_hold(position: int, account_id: int, delta: int, hold_seq: int, held_after: int, ref: str) -> bytes:
    """The item of one hold change; `position` counts from 1."""
    text = ref.encode()
    return _HOLD(2, position, account_id, delta, hold_seq, held_after, len(text)) + text


def encode_leaf(
    *,
    transaction_id: int,
    kind: str,
    source: str,
    reference: str,
    actor: str,
    request_hash: bytes,
    effective_at: datetime,
    posted_at: datetime,
    reverses: int | None,
    legs: int,
    holds: int,
    items_root: bytes,
) -> bytes:
    """The bytes of one transaction, with `legs` legs and `holds` hold changes under `items_root`."""
    counts = _TIMES_AND_COUNTS(microseconds(effective_at), microseconds(posted_at), reverses or 0, legs, holds)
    reference_bytes = reference.encode()
    return b"".join(
        (
            _FIRST(VERSION, transaction_id),
            _label(kind),
            _label(source),
            _LENGTH(len(reference_bytes)),
            reference_bytes,
            _label(actor),
            request_hash,
            counts,
            items_root,
        )
    )


@lru_cache(maxsize=1024)
def _label(text: str) -> bytes:
    """A text of which there are few: its length and its bytes."""
    data = text.encode()
    return _LENGTH(len(data)) + data


def batch_record(
    *, no: int, first_transaction: int, last_transaction: int, posted_at: datetime, root: bytes, previous: bytes
) -> bytes:
    """The bytes of a batch: which transactions, under which root, after which batch.

    Their leaf hash (`merkle.leaf_hash`) is what the next batch names as `previous`, and the batch's leaf in the log.
    """
    return _BATCH(VERSION, no, first_transaction, last_transaction, microseconds(posted_at)) + root + previous
