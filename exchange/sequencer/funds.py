"""What the parties of a batch can still hold, kept up to date while the batch is decided.

The ledger checks a batch by where it leaves each account; here every command is checked by itself, in its turn, so that
the one that goes too far is refused and not the batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from exchange.clearing.fills import FillRecord
from exchange.clearing.terms import ContractTerms
from exchange.errors import CapacityExceeded
from ledger.chart import AccountKey, Role, format_amount
from ledger.drafts import HoldChange
from ledger.errors import AccountFrozen, InsufficientFunds
from ledger.journal import AccountState


class Funds:
    """What a batch has changed so far on top of the accounts, which stay as they are until the ledger posts the batch.

    `accounts` holds at least those of the batch's takers; one that it lacks does not exist.
    """

    def __init__(self, accounts: Mapping[AccountKey, AccountState]) -> None:
        self._accounts = accounts
        self._gained: dict[AccountKey, int] = defaultdict(int)  # of what is available

    def begin_batch(self) -> None:
        """The accounts are where the batch has left them."""
        self._gained.clear()

    def require(self, holds: Iterable[HoldChange]) -> None:
        """Raises `AccountFrozen`, `InsufficientFunds` or `CapacityExceeded`, with figures."""
        for hold in holds:
            account = self._accounts.get(hold.account)
            if account is None:
                available: int | None = 0
            elif account.frozen or account.closed:
                raise AccountFrozen(
                    "The account is frozen or closed. An operator can say why.", account=hold.account.role
                )
            elif (available := account.available) is not None:
                available += self._gained.get(hold.account, 0)
            if available is not None and available < hold.delta:
                raise _too_little(hold, available)

    def apply(self, terms: ContractTerms, fills: Iterable[FillRecord], holds: Iterable[HoldChange]) -> None:
        """What fills of a contract moved, on the accounts that orders hold of, and what is held."""
        gained = self._gained
        for fill in fills:
            gained[terms.cash(fill.buyer_id)] -= fill.notional_micros + fill.buyer_fee_micros
            gained[terms.obligation(fill.provider_id)] -= fill.tokens
        for hold in holds:
            gained[hold.account] -= hold.delta


def _too_little(hold: HoldChange, available: int) -> InsufficientFunds | CapacityExceeded:
    required, left = (format_amount(hold.account.role, amount) for amount in (hold.delta, available))
    if hold.account.role is Role.OBLIGATION:
        return CapacityExceeded(
            f"The order would sell {required} contract tokens; {left} of the allocated capacity are left.",
            required=required,
            available=left,
        )
    return InsufficientFunds(f"The order would hold {required}, and {left} is free.", required=required, available=left)
