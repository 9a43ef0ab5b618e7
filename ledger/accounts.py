"""Accounts as the posting door sees them: found by key, opened when missing. Nothing here changes a figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection

from ledger.chart import TOKEN_ROLES, AccountKey, AssetKind, format_amount, opening_floor
from ledger.errors import InvalidAmount


@dataclass(slots=True)
class AccountState:
    """An account's figures as of now, and the draft changes applied on top."""

    id: int
    key: AccountKey
    balance: int
    held: int
    seq: int
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


def load_accounts(keys: Iterable[AccountKey]) -> dict[AccountKey, AccountState]:
    """Current figures of accounts that exist; call it under the head's lock to rely on them."""
    wanted = list(dict.fromkeys(keys))
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT account.id, account.party_id, account.asset_id, account.role, account.qualifier,
                   account.balance, account.held, account.seq, account.floor, account.frozen, account.closed
              FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[])
                   AS wanted(party_id, asset_id, role, qualifier)
              JOIN ledger_account account USING (party_id, asset_id, role, qualifier)
            """,
            [list(column) for column in zip(*wanted, strict=True)],
        )
        rows = cursor.fetchall()
    by_plain_key = {tuple(key): key for key in wanted}
    states = {}
    for account_id, party, asset, role, qualifier, *figures in rows:
        key = by_plain_key[party, asset, role, qualifier]
        states[key] = AccountState(account_id, key, *figures)
    return states


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
            INSERT INTO ledger_account (party_id, asset_id, role, qualifier, balance, held, seq, floor, frozen, closed)
            SELECT party_id, asset_id, role, qualifier, 0, 0, 0, floor, false, false
              FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[])
                   AS wanted(party_id, asset_id, role, qualifier, floor)
            ON CONFLICT DO NOTHING
            """,
            [*map(list, zip(*wanted, strict=True)), [opening_floor(key.role) for key in wanted]],
        )
