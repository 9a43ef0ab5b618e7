"""Closed accounts that a trade would move although nobody has read them for it."""

from __future__ import annotations

from exchange.models import OPEN_STATES
from ledger.chart import AccountKey, Role
from ledger.packing import pack_texts, packed_cursor

# By the index of restricted accounts. Not through the ORM, which would take thirty times as long.
_READ = f"""
    SELECT party_id, asset_id, role, qualifier
      FROM ledger_account AS account, (SELECT %s::text[] AS open_states) AS given
     WHERE closed AND CASE role
               WHEN '{Role.ENTITLEMENT}' THEN EXISTS (
                   SELECT FROM exchange_contract WHERE asset_id = account.asset_id AND state = ANY(open_states))
               WHEN '{Role.ESCROW}' THEN EXISTS (
                   SELECT FROM exchange_contract WHERE symbol = account.qualifier AND state = ANY(open_states))
               ELSE role = '{Role.FEES}' END
"""  # noqa: S608  # made of constants


def read_closed_accounts() -> frozenset[AccountKey]:
    """Of contracts that may trade, the closed accounts of buyers' tokens and the house's. Under the head's lock.

    All others that a trade moves hold something for it, and so cannot be closed.
    """
    with packed_cursor() as cursor:
        cursor.execute(_READ, [pack_texts(list(OPEN_STATES))], binary=True)
        rows = cursor.fetchall()
    return frozenset([AccountKey(party_id, asset_id, Role(role), name) for party_id, asset_id, role, name in rows])
