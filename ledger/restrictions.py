"""Freezing, thawing and closing accounts: an operator's acts, each with a reason and its evidence.

A frozen account takes money and gives none. A closed one takes no entries at all, for ever; so none is closed that
something else will have to move. Apps register at start-up what they need accounts for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ledger import journal
from ledger.actions import record_action
from ledger.chart import AccountKey
from ledger.errors import AccountClosed, AccountNeeded, AccountNotEmpty, NotFound, ReasonMissing
from ledger.selectors.parties import get_house_id


@dataclass(frozen=True, slots=True)
class AccountUse:
    """What some part of the product needs accounts for.

    `find` says why it needs this one now, in the rest of a sentence: "its owner has open orders"; nothing when it does
    not. It is asked under the ledger head's lock, so it must be quick.
    """

    name: str
    find: Callable[[AccountKey], str]


_uses: dict[str, AccountUse] = {}


def register_account_use(use: AccountUse) -> None:
    """Let no account be closed that this needs. Raises `ValueError` for a name that is taken."""
    if _uses.setdefault(use.name, use) is not use:
        raise ValueError(f"There is a use {use.name!r} of accounts already.")


@transaction.atomic
def freeze_account(key: AccountKey, *, reason: str, actor: str, now: datetime) -> None:
    """Stop an account's spending. Raises `NotFound`, `ReasonMissing`, `AccountClosed`; frozen already is fine."""
    account = _get_open(key, reason)
    if not account.frozen:
        _set(account, "freeze_account", frozen=True, closed=False, reason=reason, actor=actor, now=now)


@transaction.atomic
def thaw_account(key: AccountKey, *, reason: str, actor: str, now: datetime) -> None:
    """Let a frozen account spend again. Raises `NotFound`, `ReasonMissing`, `AccountClosed`."""
    account = _get_open(key, reason)
    if account.frozen:
        _set(account, "thaw_account", frozen=False, closed=False, reason=reason, actor=actor, now=now)


@transaction.atomic
def close_account(key: AccountKey, *, reason: str, actor: str, now: datetime) -> None:
    """Close an empty account for good.

    Raises `NotFound`, `ReasonMissing`, `AccountClosed`, `AccountNotEmpty` with the figures, and `AccountNeeded` for an
    account that the market itself runs on, or that something registered needs, which it names.
    """
    account = _get_open(key, reason)
    if serves_the_market(key):
        raise AccountNeeded(f"The house's {key.role} account serves the whole market and stays open.", role=key.role)
    if account.balance or account.held:
        raise AccountNotEmpty("An account closes when it holds nothing.", **account.figures())
    for use in _uses.values():
        if why := use.find(key):
            raise AccountNeeded(f"The {key.role} account stays open: {why}.", role=key.role, use=use.name)
    _set(account, "close_account", frozen=account.frozen, closed=True, reason=reason, actor=actor, now=now)


def serves_the_market(key: AccountKey) -> bool:
    """Whether it is one of the house's few accounts for everybody, not one of a single contract."""
    return key.party_id == get_house_id() and not key.qualifier


def _get_open(key: AccountKey, reason: str) -> journal.AccountState:
    if not reason.strip():
        raise ReasonMissing("Freezing, thawing and closing need a reason.", field="reason")
    journal.lock_head()
    account = journal.load_accounts([key]).get(key)
    if account is None:
        raise NotFound("There is no such account.", role=key.role)
    if account.closed:
        raise AccountClosed("The account is closed, and closing is final.")
    return account


def _set(
    account: journal.AccountState,
    action: str,
    *,
    frozen: bool,
    closed: bool,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    journal.set_flags(account.key, frozen=frozen, closed=closed, actor=actor, reason=reason, now=now)
    record_action(actor=actor, action=action, subject=f"account:{account.id}", reason=reason, now=now)
