"""The posting door: the only way a balance, a hold, a floor or a flag changes.

Every call runs inside the caller's database transaction, locks the ledger head (one lock for the whole ledger, taken
after any job or case row and before anything else), and raises the head's version, so that a writer that caches
accounts knows when others wrote. What one call writes is a batch: sealed by a Merkle root, chained to the one before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from ledger.accounts import AccountState, load_accounts, open_accounts
from ledger.chart import AccountKey, format_amount
from ledger.drafts import TransactionDraft
from ledger.errors import AccountFrozen, HoldExceeded, InsufficientFunds, InvalidAmount, ReferenceConflict
from ledger.leaf import PostedLeg, batch_hash, encode_leaf
from ledger.merkle import leaf_hash, tree_root
from ledger.models import LedgerHead
from ledger.money import MAX_AMOUNT

__all__ = ["AccountState", "Posted", "load_accounts", "lock_head", "open_accounts", "post", "set_flags", "set_floor"]


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a draft ended up. `repeated`: it had been posted before, and nothing was written now."""

    transaction_id: int
    repeated: bool


def lock_head() -> LedgerHead:
    """Lock the ledger head until the caller's transaction ends. Refuses to run outside one."""
    if not connection.in_atomic_block:
        raise RuntimeError("The ledger is written inside a database transaction only.")
    return LedgerHead.objects.select_for_update().get(id=1)


def post(drafts: Sequence[TransactionDraft], *, actor: str, now: datetime) -> tuple[Posted, ...]:
    """Post drafts in order, all or none, as one batch; returns one `Posted` a draft.

    An identical repeat of (`source`, `reference`) returns the first result. Raises `ReferenceConflict`,
    `InsufficientFunds`, `HoldExceeded`, `AccountFrozen`, `InvalidAmount`: nothing is written then.
    """
    head = lock_head()
    known = _find_posted(drafts)
    fresh: dict[tuple[str, str], tuple[int, TransactionDraft]] = {}
    results: list[Posted] = []
    for draft in drafts:
        reference = (draft.source, draft.reference)
        if reference in known:
            _refuse_other_content(draft, known[reference])
            results.append(Posted(known[reference].transaction_id, repeated=True))
        elif reference in fresh:
            transaction_id, first = fresh[reference]
            if first.request_hash() != draft.request_hash():
                raise _conflict(draft, "legs")
            results.append(Posted(transaction_id, repeated=True))
        else:
            transaction_id = head.last_transaction + len(fresh) + 1
            fresh[reference] = (transaction_id, draft)
            results.append(Posted(transaction_id, repeated=False))
    if fresh:
        _write_batch(head, list(fresh.values()), actor=actor, now=now)
    return tuple(results)


def set_floor(key: AccountKey, floor: int | None, *, actor: str, reason: str, now: datetime) -> None:
    """Move an account's floor, with evidence. Raises `InsufficientFunds` when the account already stands below."""
    lock_head()
    open_accounts([key])
    account = load_accounts([key])[key]
    if floor is not None and account.balance - account.held < floor:
        raise InsufficientFunds(
            "The account already stands below the new floor.",
            **account.figures() | {"floor": format_amount(key.role, floor)},
        )
    if floor != account.floor:
        _call("ledger_set_floor(%s, %s, %s, %s, %s)", [account.id, floor, actor, reason, now])


def set_flags(key: AccountKey, *, frozen: bool, closed: bool, actor: str, reason: str, now: datetime) -> None:
    """Freeze, thaw or close an account, with evidence."""
    lock_head()
    account = load_accounts([key])[key]
    _call("ledger_set_flags(%s, %s, %s, %s, %s, %s)", [account.id, frozen, closed, actor, reason, now])


@dataclass(frozen=True, slots=True)
class _Recorded:
    transaction_id: int
    request_hash: bytes
    kind: str
    effective_at: datetime
    reverses: int | None


def _find_posted(drafts: Sequence[TransactionDraft]) -> dict[tuple[str, str], _Recorded]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT posted.source, posted.reference, posted.id, posted.request_hash, posted.kind,
                   posted.effective_at, posted.reverses
              FROM unnest(%s::text[], %s::text[]) AS asked(source, reference)
              JOIN ledger_transaction posted USING (source, reference)
            """,
            [[draft.source for draft in drafts], [draft.reference for draft in drafts]],
        )
        return {
            (source, reference): _Recorded(number, bytes(request_hash), *rest)
            for source, reference, number, request_hash, *rest in cursor.fetchall()
        }


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


def _write_batch(head: LedgerHead, numbered: list[tuple[int, TransactionDraft]], *, actor: str, now: datetime) -> None:
    keys = [leg.account for _, draft in numbered for leg in draft.legs]
    keys += [hold.account for _, draft in numbered for hold in draft.holds]
    accounts = load_accounts(keys)
    missing = [key for key in keys if key not in accounts]
    if missing:
        open_accounts(missing)
        accounts |= load_accounts(missing)

    held_before = {key: account.held for key, account in accounts.items()}
    posted = [(number, draft, _apply(draft, accounts)) for number, draft in numbered]
    leaves = [
        encode_leaf(
            transaction_id=number,
            kind=draft.kind,
            source=draft.source,
            reference=draft.reference,
            actor=actor,
            request_hash=draft.request_hash(),
            effective_at=draft.effective_at,
            posted_at=now,
            reverses=draft.reverses,
            legs=legs,
        )
        for number, draft, legs in posted
    ]
    hashes = [leaf_hash(leaf) for leaf in leaves]
    batch_no = head.last_batch + 1
    _insert_transactions(posted, hashes, batch_no=batch_no, actor=actor, now=now)

    # Holds that fall go first and holds that rise go last, so that the account's CHECK sees no state in between
    # that is worse than both ends.
    held_deltas = {account.id: account.held - held_before[key] for key, account in accounts.items()}
    _change_held({account_id: delta for account_id, delta in held_deltas.items() if delta < 0})
    _insert_entries(posted)
    _change_held({account_id: delta for account_id, delta in held_deltas.items() if delta > 0})
    _seal(head, posted[0][0], posted[-1][0], tree_root(hashes), actor=actor, now=now)


def _apply(draft: TransactionDraft, accounts: dict[AccountKey, AccountState]) -> list[PostedLeg]:
    """Apply a draft to the loaded figures, or raise; a draft is judged by where it leaves its accounts."""
    deltas: dict[AccountKey, int] = defaultdict(int)
    legs = []
    for leg in draft.legs:
        account = accounts[leg.account]
        account.balance += leg.amount
        account.seq += 1
        if abs(account.balance) > MAX_AMOUNT:
            raise InvalidAmount("A balance would not fit 64 bits.", field="amount")
        deltas[leg.account] += leg.amount
        legs.append(PostedLeg(account.id, account.key.asset_id, leg.amount, account.seq, account.balance, leg.ref))
    for hold in draft.holds:
        accounts[hold.account].held += hold.delta
        deltas[hold.account] -= hold.delta
    for key, delta in deltas.items():
        _check(accounts[key], delta)
    return legs


def _check(account: AccountState, delta: int) -> None:
    figures = {"account": account.key.role.value} | account.figures()
    if account.closed or (account.frozen and delta < 0):
        raise AccountFrozen("The account is frozen or closed. An operator can say why.", **figures)
    if account.held < 0:
        raise HoldExceeded("More would be released than is held.", **figures)
    if delta < 0 and account.available is not None and account.available < 0:
        short = format_amount(account.key.role, -account.available)
        raise InsufficientFunds(f"The account would fall short by {short}.", **figures)


def _insert_transactions(
    posted: list[tuple[int, TransactionDraft, list[PostedLeg]]],
    hashes: list[bytes],
    *,
    batch_no: int,
    actor: str,
    now: datetime,
) -> None:
    drafts = [draft for _, draft, _ in posted]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO ledger_transaction (id, batch_no, kind, source, reference, request_hash, actor, effective_at,
                                            posted_at, legs, reverses, leaf)
            SELECT id, %s, kind, source, reference, request_hash, %s, effective_at, %s, legs, reverses, leaf
              FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::timestamptz[],
                          %s::int[], %s::bigint[], %s::bytea[])
                   AS draft(id, kind, source, reference, request_hash, effective_at, legs, reverses, leaf)
            """,
            [
                batch_no,
                actor,
                now,
                [number for number, _, _ in posted],
                [draft.kind for draft in drafts],
                [draft.source for draft in drafts],
                [draft.reference for draft in drafts],
                [draft.request_hash() for draft in drafts],
                [draft.effective_at for draft in drafts],
                [len(draft.legs) for draft in drafts],
                [draft.reverses for draft in drafts],
                hashes,
            ],
        )


def _insert_entries(posted: list[tuple[int, TransactionDraft, list[PostedLeg]]]) -> None:
    rows = [
        (leg.account_id, leg.account_seq, number, position, leg.asset_id, leg.amount, leg.balance_after, leg.ref)
        for number, _, legs in posted
        for position, leg in enumerate(legs, start=1)
    ]
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO ledger_entry (account_id, account_seq, transaction_id, leg, asset_id, amount, balance_after,
                                      ref)
            SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::bigint[], %s::bigint[],
                                 %s::bigint[], %s::text[])
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


def _change_held(deltas: dict[int, int]) -> None:
    if deltas:
        _call("ledger_change_held(%s::bigint[], %s::bigint[])", [list(deltas), list(deltas.values())])


def _seal(head: LedgerHead, first: int, last: int, root: bytes, *, actor: str, now: datetime) -> None:
    previous = bytes(head.last_batch_hash)
    no = head.last_batch + 1
    sealed = batch_hash(
        no=no, first_transaction=first, last_transaction=last, root=root, previous=previous, posted_at=now
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_batch (no, first_transaction, last_transaction, count, root, previous, hash, actor,"
            " posted_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [no, first, last, last - first + 1, root, previous, sealed, actor, now],
        )
        cursor.execute(
            "UPDATE ledger_ledgerhead SET version = version + 1, last_transaction = %s, last_batch = %s,"
            " last_batch_hash = %s WHERE id = 1",
            [last, no, sealed],
        )


def _call(function: str, parameters: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}", parameters)
