"""Reading accounts: frozen figures, no locks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from ledger.chart import AssetKind
from ledger.errors import NotFound
from ledger.models import Account
from ledger.selectors.history import Figures, Point, figures_at


@dataclass(frozen=True, slots=True)
class Balance:
    """One account of a party. Amounts in the asset's smallest unit; `available` is None when unbounded.

    At a point of the past (`through` is its transaction) `available` is None too: floors move without a transaction.
    """

    account_id: int
    party: str
    asset: str
    asset_kind: str
    role: str
    qualifier: str
    balance: int
    held: int
    available: int | None
    entries: int
    hold_entries: int
    frozen: bool
    closed: bool
    through: int | None = None

    @property
    def in_money(self) -> bool:
        return self.asset_kind == AssetKind.CURRENCY


def accounts_of(party_ids: Collection[int] | None) -> QuerySet[Account]:
    """The accounts of some parties, or of all."""
    accounts = Account.objects.select_related("asset", "party")
    return accounts if party_ids is None else accounts.filter(party_id__in=party_ids)


def get_account(number: int, party_ids: Collection[int] | None) -> Account:
    """An account of one of some parties. Raises `NotFound`, also for one of another party."""
    account = accounts_of(party_ids).filter(id=number).first()
    if account is None:
        raise NotFound(f"There is no account {number}, or it is not yours.", account=str(number))
    return account


def balances(accounts: Sequence[Account], point: Point | None = None) -> list[Balance]:
    """Accounts from `accounts_of` with their figures as they stand, or as they stood at a point of the past."""
    if point is None:
        return [_balance(row, Figures(row.balance, row.seq, row.held, row.hold_seq), None) for row in accounts]
    figures = figures_at(point, [row.pk for row in accounts])
    return [_balance(row, figures[row.pk], point) for row in accounts]


def list_balances(party_id: int, point: Point | None = None) -> list[Balance]:
    """All accounts of a party, by asset and role."""
    return balances(list(accounts_of([party_id]).order_by("asset__code", "role", "qualifier")), point)


def _balance(account: Account, figures: Figures, point: Point | None) -> Balance:
    bounded = account.floor is not None and point is None
    return Balance(
        account_id=account.pk,
        party=account.party.code,
        asset=account.asset.code,
        asset_kind=account.asset.kind,
        role=account.role,
        qualifier=account.qualifier,
        balance=figures.balance,
        held=figures.held,
        available=figures.balance - figures.held - (account.floor or 0) if bounded else None,
        entries=figures.entries,
        hold_entries=figures.hold_entries,
        frozen=account.frozen,
        closed=account.closed,
        through=None if point is None else point.through,
    )
