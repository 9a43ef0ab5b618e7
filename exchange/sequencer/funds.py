"""What the parties of a batch can still hold and may do, kept up to date while the batch is decided.

The ledger checks a batch by where it leaves each account; here every command is checked by itself, in its turn, so that
the one that goes too far is refused and not the batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from exchange.clearing.fills import FillRecord
from exchange.clearing.reversals import reversal_accounts
from exchange.clearing.terms import ContractTerms
from exchange.errors import CapacityExceeded
from exchange.matching.types import Order, Side
from ledger.chart import AccountKey, Role, format_amount
from ledger.drafts import HoldChange
from ledger.errors import AccountFrozen, InsufficientFunds
from ledger.journal import AccountState
from ledger.money import format_micros


class Funds:
    """What a batch has changed so far on top of the accounts, which stay as they are until the ledger posts the batch.

    `accounts` holds at least those of the batch's takers, and of the fills that it may take back; one that it lacks
    does not exist. `closed` are the closed ones among those that a trade moves and nobody has to have read for it.
    """

    def __init__(
        self, accounts: Mapping[AccountKey, AccountState], closed: frozenset[AccountKey] = frozenset()
    ) -> None:
        self.closed = closed
        self._accounts = accounts
        self._gained: dict[AccountKey, int] = defaultdict(int)  # of what is available

    def begin_batch(self) -> None:
        """The accounts are where the batch has left them."""
        self._gained.clear()

    def require(self, holds: Iterable[HoldChange]) -> None:
        """Raises `InsufficientFunds` or `CapacityExceeded`, with figures."""
        for hold in holds:
            account = self._accounts.get(hold.account)
            if account is None:
                available: int | None = 0
            elif (available := account.available) is not None:
                available += self._gained.get(hold.account, 0)
            if available is not None and available < hold.delta:
                raise _too_little(hold, available)

    def require_usable(self, terms: ContractTerms, order: Order, house_id: int) -> None:
        """Raises `AccountFrozen` when an account that the order needs is frozen or closed, whether it trades or rests.

        Its party's cash and account of the contract's tokens must be neither; the house's accounts only take by a
        trade, so they may be frozen.
        """
        tokens = terms.entitlement if order.side is Side.BUY else terms.obligation
        for key in (terms.cash(order.party_id), tokens(order.party_id)):
            account = self._accounts.get(key)
            if account is not None and (account.frozen or account.closed):
                raise AccountFrozen("The account is frozen or closed. An operator can say why.", account=key.role)
        if self.closed:
            for key in (terms.escrow(house_id), terms.fees(house_id)):
                if key in self.closed:
                    raise AccountFrozen(
                        f"Nothing trades here: the house's {key.role} account is closed.", account=key.role
                    )

    def require_reversible(self, terms: ContractTerms, fills: Sequence[FillRecord], house_id: int) -> None:
        """Raises `AccountFrozen` and `InsufficientFunds` unless all that fills of a contract moved can go back.

        Whoever has got something by them must not be frozen, nobody whom they moved closed, and the house must not have
        paid the fees out.
        """
        giving, taking = reversal_accounts(terms, fills, house_id=house_id)
        for key in sorted(giving | taking):
            account = self._accounts.get(key)
            if account is not None and (account.closed or (account.frozen and key in giving)):
                raise _not_reversible(account)
        fees_micros = sum(fill.buyer_fee_micros for fill in fills)
        fees = self._accounts.get(terms.fees(house_id))
        available_micros = 0 if fees is None else fees.available or 0
        if fees_micros > available_micros:
            required, available = format_micros(fees_micros), format_micros(available_micros)
            raise InsufficientFunds(
                f"{required} of fees would go back to buyers, and the house's fees account has {available}.",
                required=required,
                available=available,
            )

    def apply(self, terms: ContractTerms, fills: Iterable[FillRecord], holds: Iterable[HoldChange]) -> None:
        """What fills of a contract moved, on the accounts that orders hold of, and what is held."""
        gained = self._gained
        for fill in fills:
            gained[terms.cash(fill.buyer_id)] -= fill.notional_micros + fill.buyer_fee_micros
            gained[terms.obligation(fill.provider_id)] -= fill.tokens
        for hold in holds:
            gained[hold.account] -= hold.delta


def _not_reversible(account: AccountState) -> AccountFrozen:
    """Only operators are told: which account it is, by its number."""
    role, restriction = account.key.role, "closed" if account.closed else "frozen"
    advice = "for good, so nothing can go back by it" if account.closed else "thaw it first"
    return AccountFrozen(
        f"The {role} account {account.id} is {restriction}: {advice}.",
        account=role,
        account_id=str(account.id),
        restriction=restriction,
    )


def _too_little(hold: HoldChange, available: int) -> InsufficientFunds | CapacityExceeded:
    required, left = (format_amount(hold.account.role, amount) for amount in (hold.delta, available))
    if hold.account.role is Role.OBLIGATION:
        return CapacityExceeded(
            f"The order would sell {required} contract tokens; {left} of the allocated capacity are left.",
            required=required,
            available=left,
        )
    return InsufficientFunds(f"The order would hold {required}, and {left} is free.", required=required, available=left)
