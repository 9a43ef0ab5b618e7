"""Seals of closed periods: what every account stood at when the period ended, as one Merkle root in the journal.

Inclusion proofs show that entries are there, but not that there are no others; the sealed sequence number of an account
is its last, so that the entries up to it are all there were. Balances are computed from the entries, which never
change, outside the ledger head's lock; then a transaction without legs puts the root under the log.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction

from ledger import journal
from ledger.drafts import TransactionDraft
from ledger.errors import NotFound
from ledger.log.errors import EvidenceBroken, PeriodNotOver
from ledger.log.evidence import Evidence
from ledger.log.periods import periods_between
from ledger.merkle import RootFold, leaf_hash, node_hash, sibling_ranges
from ledger.models import Batch, PeriodSeal
from ledger.selectors.history import Point, figures_at, last_transaction_by

KIND = "period_seal"
SOURCE = "seal"
CHUNK_ACCOUNTS = 10_000
LATE_POSTINGS = timedelta(minutes=5)  # how long the sweep waits for writers that read the clock before a period's end
_BALANCE = struct.Struct(">BQQQqQq").pack
_MICROSECOND = timedelta(microseconds=1)
_ATTEMPTS = 5
_HASH_BYTES = 32


class SealedBalance(NamedTuple):
    """What an account stood at, and the numbers of its last entry and hold entry (0: none)."""

    account_id: int
    asset_id: int
    seq: int
    balance: int
    hold_seq: int
    held: int

    def leaf(self) -> bytes:
        """The account's leaf in a seal."""
        return _BALANCE(3, *self)

    def evidence(self) -> Evidence:
        """The leaf, and what it says."""
        decoded = {
            "account": self.account_id,
            "asset": self.asset_id,
            "seq": self.seq,
            "balance": str(self.balance),
            "hold_seq": self.hold_seq,
            "held": str(self.held),
        }
        return Evidence(self.leaf(), decoded)


def seal_reference(period: str, root: bytes) -> str:
    """What the journal holds of a seal, as the reference of its transaction."""
    return f"{period}/{root.hex()}"


def seal_period(period: str, ends_at: datetime, *, actor: str, now: datetime) -> PeriodSeal:
    """Seal the balances as of the last transaction posted before `ends_at`. A period is sealed once: a repeat returns
    the first seal.

    Raises `PeriodNotOver` before its end.
    """
    if now < ends_at:
        raise PeriodNotOver(f"Period {period} ends at {ends_at:%Y-%m-%d %H:%M} UTC and is sealed after that.")
    for _ in range(_ATTEMPTS):
        sealed = PeriodSeal.objects.filter(period=period).first()
        if sealed is not None:
            return sealed
        through = last_transaction_by(ends_at - _MICROSECOND)
        root, accounts = seal_root(through)
        sealed = _record(period, ends_at, through, root, accounts, actor=actor, now=now)
        if sealed is not None:
            return sealed
    raise PeriodNotOver(f"Transactions of period {period} are still being posted. Try again in a minute.")


def seal_ended_periods(*, actor: str, now: datetime) -> list[PeriodSeal]:
    """Seal every UTC day and month since the first batch that has ended and is not sealed."""
    first = Batch.objects.order_by("no").values_list("posted_at", flat=True).first()
    if first is None:
        return []
    sealed = set(PeriodSeal.objects.values_list("period", flat=True))
    due = [period for period in periods_between(first, now - LATE_POSTINGS) if period.name not in sealed]
    return [seal_period(period.name, period.ends_at, actor=actor, now=now) for period in due]


def get_seal(period: str) -> PeriodSeal:
    """The seal of a period. Raises `NotFound`."""
    seal = PeriodSeal.objects.filter(period=period).first()
    if seal is None:
        raise NotFound(f"Period {period!r} is not sealed.", period=period)
    return seal


def seal_root(through: int) -> tuple[bytes, int]:
    """(root over the balances as of a transaction number, how many accounts are under it)."""
    fold = RootFold()
    for balance in iter_balances(through):
        fold.add(leaf_hash(balance.leaf()))
    return fold.root(), fold.size


def prove_balance(seal: PeriodSeal, account_id: int) -> tuple[Evidence, list[tuple[str, bytes]]]:
    """An account's leaf in a seal and its path: (side, hash) from the leaf up.

    Goes through all balances, as sealing did, and keeps 32 bytes of each. Raises `NotFound` for an account that had
    neither entry nor hold by then, and `EvidenceBroken` when the balances do not give the sealed root any more.
    """
    leaves = bytearray()
    found: tuple[int, SealedBalance] | None = None
    for index, balance in enumerate(iter_balances(seal.through_transaction)):
        if balance.account_id == account_id:
            found = index, balance
        leaves += leaf_hash(balance.leaf())
    if found is None:
        raise NotFound(
            f"Account {account_id} had no entry by the end of period {seal.period}.", account=str(account_id)
        )
    index, balance = found
    path = [
        ("left" if start < index else "right", _root_of(leaves, start, size))
        for start, size in sibling_ranges(index, len(leaves) // _HASH_BYTES)
    ]
    evidence = balance.evidence()
    root = evidence.hash
    for side, sibling in path:
        root = node_hash(sibling, root) if side == "left" else node_hash(root, sibling)
    if root != bytes(seal.root):
        raise EvidenceBroken(f"The balances of period {seal.period} do not give the root that was sealed.")
    return evidence, path


def iter_balances(through: int) -> Iterator[SealedBalance]:
    """All accounts that had an entry or hold entry by a transaction number, by account id."""
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_NEWEST, {"after": last, "chunk": CHUNK_ACCOUNTS, "through": through})
            chunk = cursor.fetchall()
        if not chunk:
            return
        moved = figures_at(Point(through), [row[0] for row in chunk if row[2] is None])
        for account_id, asset_id, *newest in chunk:
            if (found := moved.get(account_id)) is not None:
                newest = [found.entries, found.balance, found.hold_entries, found.held]
            if newest[0] or newest[2]:
                yield SealedBalance(account_id, asset_id, *newest)
        last = chunk[-1][0]


# Most accounts have not moved since; for those that have, `seq` is null, and their past is searched.
_NEWEST = """
    SELECT account.id, account.asset_id, CASE WHEN coalesce(entry.transaction_id, 0) <= %(through)s
                                               AND coalesce(hold.transaction_id, 0) <= %(through)s
                                              THEN account.seq END AS seq,
           coalesce(entry.balance_after, 0), account.hold_seq, coalesce(hold.held_after, 0)
      FROM (SELECT id, asset_id, seq, hold_seq FROM ledger_account
             WHERE id > %(after)s ORDER BY id LIMIT %(chunk)s) AS account
      LEFT JOIN LATERAL (SELECT transaction_id, balance_after FROM ledger_entry
                          WHERE account_id = account.id AND account_seq = account.seq OFFSET 0) AS entry ON true
      LEFT JOIN LATERAL (SELECT transaction_id, held_after FROM ledger_holdentry
                          WHERE account_id = account.id AND hold_seq = account.hold_seq OFFSET 0) AS hold ON true
     ORDER BY account.id
"""


@transaction.atomic
def _record(
    period: str, ends_at: datetime, through: int, root: bytes, accounts: int, *, actor: str, now: datetime
) -> PeriodSeal | None:
    """Put a seal into the journal; the one that another made meanwhile, or None if the period has grown since."""
    journal.lock_head()
    sealed = PeriodSeal.objects.filter(period=period).first()
    if sealed is not None:
        return sealed
    if last_transaction_by(ends_at - _MICROSECOND) != through:
        return None
    draft = TransactionDraft(KIND, SOURCE, seal_reference(period, root), ends_at.astimezone(UTC), ())
    (posted,) = journal.post([draft], actor=actor, now=now)
    return PeriodSeal.objects.create(
        period=period,
        ends_at=ends_at,
        through_transaction=through,
        accounts=accounts,
        root=root,
        transaction_id=posted.transaction_id,
        sealed_at=now,
    )


def _root_of(leaves: bytearray, start: int, size: int) -> bytes:
    fold = RootFold()
    for place in range(start * _HASH_BYTES, (start + size) * _HASH_BYTES, _HASH_BYTES):
        fold.add(bytes(leaves[place : place + _HASH_BYTES]))
    return fold.root()
