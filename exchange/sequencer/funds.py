"""What the parties of a batch can still hold, kept up to date while the batch is decided.

The ledger checks a batch by where it leaves each account; here every command is checked by itself, in its turn, so that
the one that goes too far is refused and not the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exchange.errors import CapacityExceeded
from ledger.chart import AccountKey, Role, format_amount
from ledger.drafts import HoldChange, Leg
from ledger.errors import AccountFrozen, InsufficientFunds
from ledger.journal import AccountState


class Funds:
    """The accounts of a batch's takers; changes of any other account are of no interest and ignored."""

    def __init__(self, accounts: Mapping[AccountKey, AccountState]) -> None:
        self._accounts = accounts

    def require(self, holds: Iterable[HoldChange]) -> None:
        """Raises `AccountFrozen`, `InsufficientFunds` or `CapacityExceeded`, with figures."""
        for hold in holds:
            account = self._accounts.get(hold.account)
            if account is not None and (account.frozen or account.closed):
                raise AccountFrozen(
                    "The account is frozen or closed. An operator can say why.", account=hold.account.role
                )
            available = 0 if account is None else account.available
            if available is not None and available < hold.delta:
                raise _too_little(hold, available)

    def apply(self, legs: Iterable[Leg], holds: Iterable[HoldChange]) -> None:
        for leg in legs:
            if (account := self._accounts.get(leg.account)) is not None:
                account.balance += leg.amount
        for hold in holds:
            if (account := self._accounts.get(hold.account)) is not None:
                account.held += hold.delta


def _too_little(hold: HoldChange, available: int) -> InsufficientFunds | CapacityExceeded:
    required, left = (format_amount(hold.account.role, amount) for amount in (hold.delta, available))
    if hold.account.role is Role.OBLIGATION:
        return CapacityExceeded(
            f"The order would sell {required} contract tokens; {left} of the allocated capacity are left.",
            required=required,
            available=left,
        )
    return InsufficientFunds(f"The order would hold {required}, and {left} is free.", required=required, available=left)
