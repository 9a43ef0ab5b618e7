"""The posting door: the only way a balance, a hold, a floor or a flag changes.

Every call runs inside the caller's database transaction, locks the ledger head (one lock for the whole ledger, taken
after any job or case row and before anything else), and raises the head's version, so that a writer that caches
accounts knows when others wrote. What one call writes is a batch: sealed by a Merkle root, chained to the one before.
The database checks all of it again: what was entered and not sealed by `ledger_seal` cannot be committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from psycopg.errors import UniqueViolation
from psycopg.rows import args_row

from ledger.accounts import AccountMemory, AccountState, load_accounts, load_or_open, open_accounts
from ledger.chart import AccountKey, format_amount
from ledger.drafts import TransactionDraft
from ledger.entering import enter, seal
from ledger.errors import InsufficientFunds, ReferenceConflict
from ledger.packing import (
    Outbox,
    open_outbox,
    pack_texts,
    packed_cursor,
)
from ledger.posting import Digests, Movements, NumberedDraft, apply_drafts, digest
from ledger.texts import MAX_ACTOR, check_text

__all__ = [
    "AccountMemory",
    "AccountState",
    "Head",
    "Posted",
    "load_accounts",
    "lock_head",
    "open_accounts",
    "post",
    "post_new",
    "set_flags",
    "set_floors",
]

ENTERED_AT_ONCE = 1_000  # transactions in one statement; smaller ones cost the database more than they save


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a draft ended up. `repeated`: it had been posted before, and nothing was written now."""

    transaction_id: int
    repeated: bool


@dataclass(frozen=True, slots=True)
class Head:
    """The locked head: what the next batch follows. `version` rises with every change of any account."""

    version: int
    last_transaction: int
    last_posted_at: datetime


def lock_head() -> Head:
    """Lock the ledger head until the caller's transaction ends. Refuses to run outside one."""
    return _lock_and_find(())[0]


def post(
    drafts: Sequence[TransactionDraft], *, actor: str, now: datetime, memory: AccountMemory | None = None
) -> tuple[Posted, ...]:
    """Post drafts in order, all or none, as one batch; returns one `Posted` a draft.

    An identical repeat of (`source`, `reference`) returns the first result. Raises `ReferenceConflict`,
    `InsufficientFunds`, `HoldExceeded`, `AccountFrozen`, `InvalidAmount`, and `InvalidText` for the actor: nothing is
    written then. A `ReferenceConflict` may also come from a rule of the database on what stands in the journal once,
    which `rule` names. A writer that posts again and again gives a `memory`, and spares reading accounts that only it
    changes.

    Posting times never fall: a batch whose `now` was read before it waited its turn gets the time of the one before.
    """
    check_text(actor, "actor", MAX_ACTOR)
    head, known = _lock_and_find(drafts)
    fresh: dict[tuple[str, str], NumberedDraft] = {}
    results: list[Posted] = []
    for draft in drafts:
        reference = (draft.source, draft.reference)
        if (recorded := known.get(reference)) is not None:
            _refuse_other_content(draft, recorded)
            results.append(Posted(recorded.transaction_id, repeated=True))
        elif (first := fresh.get(reference)) is not None:
            if first.draft.request_hash() != draft.request_hash():
                raise _conflict(draft, "legs")
            results.append(Posted(first.number, repeated=True))
        else:
            number = head.last_transaction + len(fresh) + 1
            fresh[reference] = NumberedDraft(number, draft)
            results.append(Posted(number, repeated=False))
    if fresh:
        accounts = {} if memory is None else memory.take(head.version)
        with _refusing_twins(), open_outbox() as outbox:
            _write(list(fresh.values()), accounts, head, outbox, actor=actor, now=max(now, head.last_posted_at))
        if memory is not None:
            transaction.on_commit(lambda: memory.keep(accounts, head.version + 1))
    return tuple(results)


def post_new(
    drafts: Sequence[TransactionDraft],
    accounts: dict[AccountKey, AccountState],
    head: Head,
    outbox: Outbox,
    *,
    actor: str,
    now: datetime,
) -> Head:
    """Post drafts whose references are known to be new, on a head that this transaction has locked; the head after it.

    For a writer that keeps the accounts: `accounts` are those of its `AccountMemory` as of the head's version, and are
    completed and moved on. What is written goes to `outbox`. A reference that was used before fails the batch.
    """
    check_text(actor, "actor", MAX_ACTOR)
    posted_at = max(now, head.last_posted_at)
    numbered = [NumberedDraft(number, draft) for number, draft in enumerate(drafts, start=head.last_transaction + 1)]
    _write(numbered, accounts, head, outbox, actor=actor, now=posted_at)
    return Head(head.version + 1, head.last_transaction + len(drafts), posted_at)


def set_floors(floors: Mapping[AccountKey, int | None], *, actor: str, reason: str, now: datetime) -> None:
    """Move the floors of accounts, with evidence; opens those that do not exist.

    Raises `InsufficientFunds` when an account already stands below its new floor, and `InvalidText` for the actor: none
    is moved then.
    """
    check_text(actor, "actor", MAX_ACTOR)
    lock_head()
    accounts = load_or_open(floors)
    for key, floor in floors.items():
        account = accounts[key]
        if floor is not None and account.balance - account.held < floor:
            raise InsufficientFunds(
                "The account already stands below the new floor.",
                **account.figures() | {"floor": format_amount(key.role, floor), "asset": key.asset_id},
            )
    moved = {accounts[key].id: floor for key, floor in floors.items() if floor != accounts[key].floor}
    if moved:
        _call(
            "ledger_set_floors(%s::bigint[], %s::bigint[], %s, %s, %s)",
            [list(moved), list(moved.values()), actor, reason, now],
        )


def set_flags(key: AccountKey, *, frozen: bool, closed: bool, actor: str, reason: str, now: datetime) -> None:
    """Freeze, thaw or close an account, with evidence. Raises `InvalidText` for the actor."""
    check_text(actor, "actor", MAX_ACTOR)
    lock_head()
    account = load_accounts([key])[key]
    _call("ledger_set_flags(%s, %s, %s, %s, %s, %s)", [account.id, frozen, closed, actor, reason, now])


@dataclass(frozen=True, slots=True)
class _Recorded:
    source: str
    reference: str
    transaction_id: int
    request_hash: bytes
    kind: str
    effective_at: datetime
    reverses: int | None


def _lock_and_find(drafts: Sequence[TransactionDraft]) -> tuple[Head, dict[tuple[str, str], _Recorded]]:
    """The locked head, and which references were posted before: two statements in one journey.

    Two, since what another writer committed while this one waited for the lock must be seen.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("The ledger is written inside a database transaction only.")
    with packed_cursor() as locking, packed_cursor() as finding, locking.connection.pipeline():
        locking.execute(
            "SELECT version, last_transaction, last_posted_at FROM ledger_ledgerhead WHERE id = 1 FOR UPDATE",
            binary=True,
        )
        if drafts:
            finding.row_factory = args_row(_Recorded)
            finding.execute(
                "SELECT source, reference, id, request_hash, kind, effective_at, reverses"
                " FROM ledger_find_posted(%s, %s)",
                [pack_texts([draft.source for draft in drafts]), pack_texts([draft.reference for draft in drafts])],
                binary=True,
            )
        head = Head(*locking.fetchall()[0])
        recorded: list[_Recorded] = finding.fetchall() if drafts else []
    return head, {(row.source, row.reference): row for row in recorded}


def _refuse_other_content(draft: TransactionDraft, recorded: _Recorded) -> None:
    if draft.request_hash() == recorded.request_hash:
        return
    for field in ("kind", "effective_at", "reverses"):
        if getattr(draft, field) != getattr(recorded, field):
            raise _conflict(draft, field)
    raise _conflict(draft, "legs")


def _conflict(draft: TransactionDraft, field: str) -> ReferenceConflict:
    return ReferenceConflict(
        f"{draft.source}/{draft.reference} was posted before with another {field}. Use a new reference.",
        field=field,
        source=draft.source,
        reference=draft.reference,
    )


@contextmanager
def _refusing_twins() -> Iterator[None]:
    """A second transaction where one of the database's rules wants a single one is a conflict. Such rules may be of
    apps that the ledger does not know: one statement of a party and run, say."""
    try:
        yield
    except IntegrityError as error:
        cause = error.__cause__
        if not isinstance(cause, UniqueViolation) or cause.diag.table_name != "ledger_transaction":
            raise
        raise ReferenceConflict(
            f"What a reference of this batch stands for was posted before. {cause.diag.message_detail}",
            field="reference",
            rule=cause.diag.constraint_name,
        ) from error


def _write(
    drafts: Sequence[NumberedDraft],
    accounts: dict[AccountKey, AccountState],
    head: Head,
    outbox: Outbox,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Enter some drafts after the other, then seal. The database works on what is sent while the rest is prepared."""
    chunks = [drafts[start : start + ENTERED_AT_ONCE] for start in range(0, len(drafts), ENTERED_AT_ONCE)]
    made: list[Movements] = []
    digests: list[Digests] = []
    for chunk in chunks:
        _complete(accounts, chunk, outbox)
        made.append(apply_drafts(chunk, accounts))
        enter(outbox, made[-1])
    for chunk, movements in zip(chunks, made, strict=True):
        digests += digest(chunk, movements, actor=actor, now=now)
    seal(outbox, [draft for _, draft in drafts], digests, head.version, actor=actor, now=now)


def _complete(accounts: dict[AccountKey, AccountState], drafts: Sequence[NumberedDraft], outbox: Outbox) -> None:
    """Read or open the accounts that these drafts need and `accounts` lacks."""
    # One by one, since a set less the keys of a dict walks the whole dict.
    unknown = {leg.account for _, draft in drafts for leg in draft.legs if leg.account not in accounts}
    unknown |= {hold.account for _, draft in drafts for hold in draft.holds if hold.account not in accounts}
    if unknown:
        outbox.settle()
        accounts |= load_or_open(sorted(unknown))


def _call(function: str, parameters: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}", parameters)
