"""The leaf: a transaction as fixed big-endian bytes, the unit of proof. Pure; versioned from the first day.

Layout, version 1: version u8, transaction u64, kind, source, reference, actor (each u16 length + UTF-8), request hash
32 bytes, effective and posted instants i64 (microseconds since 1970 UTC), reversed transaction u64 (0: none), number
of legs u32; then for each leg account u64, asset u64, amount i64, account sequence u64, balance after i64, ref (u16
length + UTF-8). The tree hashes it as RFC 6962 says: SHA-256(0x00 || leaf).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEG = struct.Struct(">QQqQq")


@dataclass(frozen=True, slots=True)
class PostedLeg:
    """A leg with its place in its account."""

    account_id: int
    asset_id: int
    amount: int
    account_seq: int
    balance_after: int
    ref: str


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def _instant(value: datetime) -> int:
    return (value - _EPOCH) // timedelta(microseconds=1)


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
    legs: Iterable[PostedLeg],
) -> bytes:
    """The bytes of one transaction."""
    legs = list(legs)
    parts = [
        struct.pack(">BQ", VERSION, transaction_id),
        *map(_text, (kind, source, reference, actor)),
        request_hash,
        struct.pack(">qqQI", _instant(effective_at), _instant(posted_at), reverses or 0, len(legs)),
    ]
    for leg in legs:
        parts.append(_LEG.pack(leg.account_id, leg.asset_id, leg.amount, leg.account_seq, leg.balance_after))
        parts.append(_text(leg.ref))
    return b"".join(parts)


def batch_hash(
    *, no: int, first_transaction: int, last_transaction: int, root: bytes, previous: bytes, posted_at: datetime
) -> bytes:
    """SHA-256 of a batch record: what the next batch names as `previous`."""
    record = struct.pack(">BQQQq", VERSION, no, first_transaction, last_transaction, _instant(posted_at))
    return hashlib.sha256(record + root + previous).digest()
