"""Accounts as the posting door sees them: found by key, opened when missing. Nothing here changes a figure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from ledger.chart import TOKEN_ROLES, AccountKey, AssetKind, format_amount, opening_floor
from ledger.errors import InvalidAmount
from ledger.packing import pack_int8, pack_texts, packed_cursor


@dataclass(slots=True)
class AccountState:
    """An account's figures as of now, and the draft changes applied on top."""

    id: int
    key: AccountKey
    balance: int
    held: int
    seq: int
    hold_seq: int
    floor: int | None
    frozen: bool
    closed: bool

    @property
    def available(self) -> int | None:
        """What may still be spent or held; None when unbounded."""
        return None if self.floor is None else self.balance - self.held - self.floor

    def figures(self) -> dict[str, str]:
        """Balance, held and floor as they are told outside."""
        role = self.key.role
        return {
            "balance": format_amount(role, self.balance),
            "held": format_amount(role, self.held),
            "floor": "none" if self.floor is None else format_amount(role, self.floor),
        }


def load_accounts(keys: Iterable[AccountKey], own: BaseDatabaseWrapper | None = None) -> dict[AccountKey, AccountState]:
    """Current figures of accounts that exist; call it under the head's lock to rely on them.

    Through a connection of one's `own` they are those of what is committed.
    """
    wanted = list(dict.fromkeys(keys))
    if not wanted:
        return {}
    parties, assets, roles, qualifiers = zip(*wanted, strict=True)
    with packed_cursor(own) as cursor:
        cursor.execute(
            "SELECT place, id, balance, held, seq, hold_seq, floor, frozen, closed"
            " FROM ledger_find_accounts(%s, %s, %s, %s)",
            [pack_int8(parties), pack_int8(assets), pack_texts(roles), pack_texts(qualifiers)],
            binary=True,
        )
        rows = cursor.fetchall()
    states = {}
    for place, account_id, *figures in rows:
        key = wanted[place - 1]
        states[key] = AccountState(account_id, key, *figures)
    return states


def load_or_open(keys: Collection[AccountKey]) -> dict[AccountKey, AccountState]:
    """Current figures of accounts; those that do not exist are opened, in the order given. Under the head's lock.

    Raises what `open_accounts` does.
    """
    accounts = load_accounts(keys)
    if missing := [key for key in keys if key not in accounts]:
        open_accounts(missing)
        accounts |= load_accounts(missing)
    return accounts


class AccountMemory:
    """The accounts of a long-lived writer, good as long as nobody else changed any: it compares the head's version.

    It is emptied by whatever goes wrong, since a draft may have been applied to it that was then rolled back.
    """

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._states: dict[AccountKey, AccountState] = {}
        self._version: int | None = None

    def take(self, version: int) -> dict[AccountKey, AccountState]:
        """What is known as of this version of the head; forgets it until `keep` is called."""
        states, self._states = self._states, {}
        if self._version != version or len(states) > self._limit:
            return {}
        return states

    def keep(self, states: dict[AccountKey, AccountState], version: int) -> None:
        """Remember what a batch left, once it is committed."""
        self._states, self._version = states, version


def open_accounts(keys: Iterable[AccountKey]) -> None:
    """Open the accounts that do not exist yet: empty, with the floor of their role.

    Raises `InvalidAmount` for a role on the wrong kind of asset.
    """
    wanted = list(dict.fromkeys(keys))
    if not wanted:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, kind FROM ledger_asset WHERE id = ANY(%s)", [[key.asset_id for key in wanted]])
        kinds = dict(cursor.fetchall())
        for key in wanted:
            expected = AssetKind.CONTRACT if key.role in TOKEN_ROLES else AssetKind.CURRENCY
            if kinds.get(key.asset_id) != expected:
                raise InvalidAmount(f"A {key.role} account holds a {expected}.", field="asset", role=key.role)
        cursor.execute(
            """
            INSERT INTO ledger_account (party_id, asset_id, role, qualifier, balance, held, seq, hold_seq, floor,
                                        frozen, closed)
            SELECT party_id, asset_id, role, qualifier, 0, 0, 0, 0, floor, false, false
              FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[])
                   AS wanted(party_id, asset_id, role, qualifier, floor)
            ON CONFLICT (party_id, asset_id, role, qualifier) DO NOTHING
            """,
            [*map(list, zip(*wanted, strict=True)), [opening_floor(key.role) for key in wanted]],
        )
