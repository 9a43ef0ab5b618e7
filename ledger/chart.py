"""The chart of accounts: which roles exist, in which kind of asset, and with which floor."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from ledger.money import format_micros


class AssetKind(StrEnum):
    CURRENCY = "currency"
    CONTRACT = "contract"


class Role(StrEnum):
    CASH = "cash"
    ESCROW = "escrow"  # house, one a contract: the qualifier is the contract's symbol
    FEES = "fees"
    SUSPENSE = "suspense"
    HELD_SHARE = "held_share"  # shares whose owner is unknown
    DEFAULT_FUND = "default_fund"
    DEBT = "debt"  # what a later delta could not collect; never positive
    CLAIM = "claim"
    EXTERNAL = "external"  # the outside world; deposits come from it
    ENTITLEMENT = "entitlement"  # what a buyer may still consume
    OBLIGATION = "obligation"  # negative: sold and still to be delivered

    __hash__ = str.__hash__  # an enum's own is written in Python, and every account key is hashed several times


TOKEN_ROLES = frozenset({Role.ENTITLEMENT, Role.OBLIGATION})
HOUSE_ROLES = frozenset({Role.EXTERNAL, Role.ESCROW, Role.FEES, Role.SUSPENSE, Role.HELD_SHARE, Role.DEFAULT_FUND})
UNBOUNDED_ROLES = frozenset({Role.EXTERNAL, Role.DEBT})


class AccountKey(NamedTuple):
    """What identifies an account: whose, of what asset, for what purpose.

    `qualifier` is empty except where a party needs several accounts of one role (escrow: one a contract).
    """

    party_id: int
    asset_id: int
    role: Role
    qualifier: str = ""


def opening_floor(role: Role) -> int | None:
    """The floor a new account starts with: `balance - held` may not fall below it. None means unbounded."""
    return None if role in UNBOUNDED_ROLES else 0


def format_amount(role: Role, amount: int) -> str:
    """An amount on an account of this role as it is told outside: money as a decimal string, tokens as an integer."""
    return str(amount) if role in TOKEN_ROLES else format_micros(amount)
