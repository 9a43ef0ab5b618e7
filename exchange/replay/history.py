"""What happened, in order: every step that took the ledger head from one version to the next, and the sequencer's
batches that moved nothing, each where it stood between two versions.

A sequencer's batch records the version it saw, a change of floors or flags the version it made. What is left of the
versions belongs to the other postings, in the order of their numbers.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from exchange.clearing.drafts import SOURCE
from exchange.models import IntakeKind
from exchange.replay.difference import Difference, Diverged
from exchange.sequencer.intake import WaitingCommand
from ledger.audit.snapshot import Row, View
from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft

ROWS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class DecidedBatch:
    """A batch of a shard's sequencer: the commands behind `after_seq` up to `last_seq`, decided at `ran_at`."""

    no: int
    shard: int
    epoch: int
    after_seq: int
    last_seq: int
    ran_at: datetime

    def __str__(self) -> str:
        return f"batch {self.no}"


@dataclass(frozen=True, slots=True)
class PostedBatch:
    """A batch of the journal that no sequencer posted."""

    no: int
    first: int
    last: int
    actor: str
    posted_at: datetime

    def __str__(self) -> str:
        return f"transactions {self.first} to {self.last}"


@dataclass(frozen=True, slots=True)
class ChangedAccount:
    """A new floor or new flags, as the evidence has them."""

    key: AccountKey
    what: str
    after: str
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """What one call changed of accounts' floors or flags."""

    version: int
    changes: tuple[ChangedAccount, ...]

    def __str__(self) -> str:
        return f"account changes of version {self.version}"


Event = DecidedBatch | PostedBatch | AccountChanges


class History:
    """The events of the recorded database, read once from one snapshot of it.

    `versions` is the head's version before each batch of the journal, by its number less one.
    """

    def __init__(self, record: View) -> None:
        self._record = record
        self.versions = array("q")

    def events(self) -> Generator[Event, None, None]:
        """All of them, in order. Raises `Diverged` when the record contradicts itself."""
        with ExitStack() as stack:
            ran, posted, changed = (
                stack.enter_context(closing(_stream(self._record, name, query)))
                for name, query in (("ran", _RAN), ("posted", _POSTED), ("changed", _CHANGED))
            )
            yield from self._merge(ran, posted, changed)

    def _merge(self, ran: Iterator[Row], posted: Iterator[Row], changed: Iterator[Row]) -> Iterator[Event]:
        version, cursors = 0, defaultdict[int, int](int)
        changes = groupby(changed, key=itemgetter(0))
        batch, posting, change = next(ran, None), next(posted, None), next(changes, None)
        while batch is not None or posting is not None or change is not None:
            if batch is not None and batch[5] <= version:
                no, shard, epoch, last_seq, ran_at, saw, transaction = batch
                _require(saw == version, f"batch {no}", "ledger_version", saw, version)
                yield DecidedBatch(no, shard, epoch, cursors[shard], last_seq, ran_at)
                cursors[shard] = last_seq
                if transaction is not None:
                    first = None if posting is None else posting[1]
                    _require(first == transaction, f"batch {no}", "ledger_transaction", transaction, first)
                    self.versions.append(version)
                    version, posting = version + 1, next(posted, None)
                batch = next(ran, None)
            elif change is not None and change[0] <= version + 1:
                _require(change[0] == version + 1, "account changes", "head_version", change[0], version + 1)
                yield AccountChanges(change[0], tuple(map(_change, change[1])))
                version, change = version + 1, next(changes, None)
            elif posting is not None:
                no, first, last, actor, posted_at = posting
                _require(actor != SOURCE, f"transactions {first} to {last}", "batch of the sequencer", "none", "one")
                yield PostedBatch(no, first, last, actor, posted_at)
                self.versions.append(version)
                version, posting = version + 1, next(posted, None)
            else:
                found = batch[5] if batch is not None else change[0] if change is not None else 0
                _require(False, f"ledger version {version + 1}", "what made it", "nothing", f"a later one, {found}")

    def commands(self, batches: Sequence[DecidedBatch]) -> dict[int, list[WaitingCommand]]:
        """The commands of batches, by the batch's number."""
        rows = self._record.rows(
            """
            SELECT batch.no, seq, kind, contract_id, party_id, actor, client_order_id, bundle_left, payload::text
              FROM unnest(%(nos)s::bigint[], %(shards)s::smallint[], %(after)s::bigint[], %(last)s::bigint[])
                   AS batch(no, shard, after_seq, last_seq)
              JOIN exchange_intake AS line
                ON line.shard = batch.shard AND line.seq > batch.after_seq AND line.seq <= batch.last_seq
             ORDER BY batch.no, seq
            """,
            {
                "nos": [batch.no for batch in batches],
                "shards": [batch.shard for batch in batches],
                "after": [batch.after_seq for batch in batches],
                "last": [batch.last_seq for batch in batches],
            },
        )
        payloads = json.loads(f"[{','.join([row[8] for row in rows])}]")
        found: dict[int, list[WaitingCommand]] = defaultdict(list)
        for (no, seq, kind, contract_id, party_id, actor, client_id, left, _), payload in zip(
            rows, payloads, strict=True
        ):
            command = WaitingCommand(seq, IntakeKind(kind), contract_id, party_id, actor, client_id, payload, left)
            found[no].append(command)
        return found

    def drafts(self, postings: Sequence[PostedBatch]) -> dict[int, list[TransactionDraft]]:
        """The transactions of batches of the journal as they were asked for, by the batch's number.

        Raises `Diverged` for one that pretends to be the sequencer's.
        """
        bounds = {"firsts": [each.first for each in postings], "lasts": [each.last for each in postings]}
        legs: dict[int, list[Leg]] = defaultdict(list)
        for number, amount, ref, *key in self._record.rows(_LEGS, bounds):
            legs[number].append(Leg(_key(key), amount, ref))
        holds: dict[int, list[HoldChange]] = defaultdict(list)
        for number, delta, ref, *key in self._record.rows(_HOLDS, bounds):
            holds[number].append(HoldChange(_key(key), delta, ref))
        drafts: dict[int, list[TransactionDraft]] = defaultdict(list)
        for number, batch_no, kind, source, reference, effective_at, reverses in self._record.rows(_POSTINGS, bounds):
            _require(source != SOURCE, f"transaction {number}", "batch of the sequencer", "none", "one")
            drafts[batch_no].append(
                TransactionDraft(
                    kind, source, reference, effective_at, tuple(legs[number]), tuple(holds[number]), reverses
                )
            )
        return drafts


_RAN = (
    "SELECT no, shard, epoch, last_seq, ran_at, ledger_version, ledger_transaction"
    " FROM exchange_sequencerbatch ORDER BY no"
)
_POSTED = "SELECT no, first_transaction, last_transaction, actor, posted_at FROM ledger_batch ORDER BY no"
_CHANGED = """
    SELECT head_version, party_id, asset_id, role, qualifier, what, after, actor, reason, at
      FROM ledger_accountchange AS change JOIN ledger_account AS account ON account.id = change.account_id
     ORDER BY head_version, change.id
"""
_RANGES = "unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS batch(first, last)"
_LEGS = f"""
    SELECT transaction_id, amount, ref, party_id, account.asset_id, role, qualifier
      FROM {_RANGES} JOIN ledger_entry AS entry ON transaction_id BETWEEN first AND last
      JOIN ledger_account AS account ON account.id = account_id
     ORDER BY transaction_id, leg
"""  # noqa: S608  # made of constants
_HOLDS = f"""
    SELECT transaction_id, delta, ref, party_id, asset_id, role, qualifier
      FROM {_RANGES} JOIN ledger_holdentry ON transaction_id BETWEEN first AND last AND transaction_id > 0
      JOIN ledger_account AS account ON account.id = account_id
     ORDER BY transaction_id, position
"""  # noqa: S608
_POSTINGS = f"""
    SELECT id, batch_no, kind, source, reference, effective_at, reverses
      FROM {_RANGES} JOIN ledger_transaction ON id BETWEEN first AND last
     ORDER BY id
"""  # noqa: S608


def _stream(record: View, name: str, query: str) -> Generator[Row, None, None]:
    """Rows a few thousand at a time; other queries may run in between."""
    with record.connection.cursor(name=name) as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(query.encode())
        yield from cursor


def _key(columns: Sequence[Any]) -> AccountKey:
    party_id, asset_id, role, qualifier = columns
    return AccountKey(party_id, asset_id, Role(role), qualifier)


def _change(row: Row) -> ChangedAccount:
    _, *key, what, after, actor, reason, at = row
    return ChangedAccount(_key(key), what, after, actor, reason, at)


def _require(agrees: bool, place: str, field: str, recorded: object, follows: object) -> None:
    if not agrees:
        raise Diverged(Difference("the order of the history", place, field, str(recorded), str(follows)))
