"""Drafts become what a batch writes: applied to the accounts in order, judged, and put under one root. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from ledger.accounts import AccountState
from ledger.chart import AccountKey, format_amount
from ledger.drafts import TransactionDraft
from ledger.errors import AccountFrozen, HoldExceeded, InsufficientFunds, InvalidAmount
from ledger.leaf import encode_hold, encode_leaf, encode_leg
from ledger.merkle import leaf_hash, tree_root
from ledger.money import MAX_AMOUNT


class NumberedDraft(NamedTuple):
    """A draft with the transaction number that it gets."""

    number: int
    draft: TransactionDraft


# (account, account seq, transaction, leg, asset, amount, balance after, ref)
EntryRow = tuple[int, int, int, int, int, int, int, str]
# (account, hold seq, transaction, position, delta, held after, ref)
HoldRow = tuple[int, int, int, int, int, int, str]


@dataclass(slots=True)
class Movements:
    """The rows of some drafts, in the order of the drafts, and what the accounts held before."""

    entries: list[EntryRow] = field(default_factory=list)
    holds: list[HoldRow] = field(default_factory=list)
    held_before: dict[int, int] = field(default_factory=dict)

    def split_holds(self) -> tuple[list[HoldRow], list[HoldRow]]:
        """The rows of accounts that end up holding more and having more, last, and before them the others.

        The others are written before the entries, so that no account is ever seen in a state that is worse than both
        ends: it first holds what it will hold, and then has less.
        """
        rows = sorted(self.holds)
        held = {row[0]: row[5] for row in rows}
        rising = {account_id for account_id, before in self.held_before.items() if held[account_id] > before}
        gained: dict[int, int] = defaultdict(int)
        for account_id, _, _, _, _, amount, _, _ in self.entries:
            if account_id in rising:
                gained[account_id] += amount
        last = {account_id for account_id, amount in gained.items() if amount > 0}
        if not last:
            return rows, []
        return [row for row in rows if row[0] not in last], [row for row in rows if row[0] in last]


def apply_drafts(drafts: Sequence[NumberedDraft], accounts: Mapping[AccountKey, AccountState]) -> Movements:
    """Apply drafts to `accounts`, which holds every account that they name, and give their rows.

    Raises `InsufficientFunds`, `HoldExceeded`, `AccountFrozen` or `InvalidAmount`; the accounts are then spoilt.
    """
    made = Movements()
    for numbered in drafts:
        sound = _apply_legs(numbered, accounts, made.entries)
        if numbered.draft.holds:
            sound &= _apply_holds(numbered, accounts, made)
        if not sound:
            _judge(numbered.draft, accounts)
    return made


class Digests(NamedTuple):
    """What identifies a transaction: what was asked for, and what was made of it."""

    request_hash: bytes
    leaf: bytes


def digest(drafts: Sequence[NumberedDraft], made: Movements, *, actor: str, now: datetime) -> list[Digests]:
    """The digests of each draft; `made` is what applying them gave."""
    entries, holds = iter(made.entries), iter(made.holds)
    digests = []
    for numbered in drafts:
        request_hash = numbered.draft.request_hash()
        digests.append(Digests(request_hash, _leaf_hash(numbered, request_hash, entries, holds, actor, now)))
    return digests


def _leaf_hash(
    numbered: NumberedDraft,
    request_hash: bytes,
    entries: Iterator[EntryRow],
    holds: Iterator[HoldRow],
    actor: str,
    now: datetime,
) -> bytes:
    number, draft = numbered
    items = [
        leaf_hash(encode_leg(leg, account_id, asset_id, amount, seq, balance, ref))
        for account_id, seq, _, leg, asset_id, amount, balance, ref in islice(entries, len(draft.legs))
    ]
    if draft.holds:
        items += [
            leaf_hash(encode_hold(position, account_id, delta, hold_seq, held, ref))
            for account_id, hold_seq, _, position, delta, held, ref in islice(holds, len(draft.holds))
        ]
    return leaf_hash(
        encode_leaf(
            transaction_id=number,
            kind=draft.kind,
            source=draft.source,
            reference=draft.reference,
            actor=actor,
            request_hash=request_hash,
            effective_at=draft.effective_at,
            posted_at=now,
            reverses=draft.reverses,
            legs=len(draft.legs),
            holds=len(draft.holds),
            items_root=tree_root(items),
        )
    )


def _apply_legs(numbered: NumberedDraft, accounts: Mapping[AccountKey, AccountState], entries: list[EntryRow]) -> bool:
    """Add the legs' rows. True when no account could object, whatever follows in the draft."""
    sound = True
    number = numbered.number
    for position, leg in enumerate(numbered.draft.legs, start=1):
        account, amount = accounts[leg.account], leg.amount
        balance = account.balance = account.balance + amount
        seq = account.seq = account.seq + 1
        if not -MAX_AMOUNT <= balance <= MAX_AMOUNT:
            raise InvalidAmount("A balance would not fit 64 bits.", field="amount")
        entries.append((account.id, seq, number, position, account.key.asset_id, amount, balance, leg.ref))
        floor = account.floor
        if account.frozen or account.closed or (floor is not None and balance - account.held < floor):
            sound = False
    return sound


def _apply_holds(numbered: NumberedDraft, accounts: Mapping[AccountKey, AccountState], made: Movements) -> bool:
    """Add the hold changes' rows. True when no account could object."""
    sound = True
    for position, change in enumerate(numbered.draft.holds, start=1):
        account = accounts[change.account]
        made.held_before.setdefault(account.id, account.held)
        held = account.held = account.held + change.delta
        account.hold_seq += 1
        if held < 0:
            raise HoldExceeded(
                "More would be released than is held.", account=account.key.role.value, **account.figures()
            )
        if held > MAX_AMOUNT:
            raise InvalidAmount("What an account holds would not fit 64 bits.", field="amount")
        made.holds.append((account.id, account.hold_seq, numbered.number, position, change.delta, held, change.ref))
        floor = account.floor
        if account.frozen or account.closed or (floor is not None and account.balance - held < floor):
            sound = False
    return sound


def _judge(draft: TransactionDraft, accounts: Mapping[AccountKey, AccountState]) -> None:
    """A draft is judged by where it leaves its accounts; one that gives an account more room is never refused."""
    room: dict[AccountKey, int] = defaultdict(int)
    for leg in draft.legs:
        room[leg.account] += leg.amount
    for hold in draft.holds:
        room[hold.account] -= hold.delta
    for key, change in room.items():
        account = accounts[key]
        if account.closed or (account.frozen and change < 0):
            raise AccountFrozen(
                "The account is frozen or closed. An operator can say why.",
                account=key.role.value,
                **account.figures(),
            )
        if change < 0 and account.available is not None and account.available < 0:
            short = format_amount(key.role, -account.available)
            raise InsufficientFunds(
                f"The account would fall short by {short}.", account=key.role.value, **account.figures()
            )
