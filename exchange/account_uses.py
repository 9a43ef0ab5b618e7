"""What trading needs accounts for: none of them is closed meanwhile."""

from __future__ import annotations

from django.db.models import F, Q, QuerySet

from exchange.matching.lifecycle import OrderStatus
from exchange.models import Contract, ContractState, Order
from ledger.chart import TOKEN_ROLES, AccountKey, Role
from ledger.models import Account
from ledger.restrictions import AccountUse, register_account_use

# Nothing of it moves any more, as far as the exchange knows.
OVER = Q(state=ContractState.SETTLED) | Q(state=ContractState.CANCELLED, cancelled_at__lt=F("delivery_start"))


def contracts_of(key: AccountKey) -> QuerySet[Contract]:
    """The contract whose tokens or whose escrow an account holds; none for other accounts."""
    if key.role in TOKEN_ROLES:
        return Contract.objects.filter(asset_id=key.asset_id)
    if key.role is Role.ESCROW:
        return Contract.objects.filter(symbol=key.qualifier)
    return Contract.objects.none()


def _unsettled_contract(key: AccountKey) -> str:
    contract = contracts_of(key).exclude(OVER).first()
    return "" if contract is None else f"{contract.symbol} is {contract.state}, and not settled"


def _open_orders(key: AccountKey) -> str:
    priced = Contract.objects.filter(product__currency_id=key.asset_id).values("id")
    standing = Order.objects.filter(party_id=key.party_id, status=OrderStatus.OPEN, contract_id__in=priced)
    return "its owner has open orders" if key.role is Role.CASH and standing.exists() else ""


def _positions(key: AccountKey) -> str:
    """What is bought and sold is on accounts of tokens until settlement."""
    tokens = Account.objects.filter(party_id=key.party_id, role__in=TOKEN_ROLES).exclude(balance=0)
    owed = tokens.filter(asset_id__in=Contract.objects.filter(product__currency_id=key.asset_id).values("asset_id"))
    return "its owner has positions that are not settled" if key.role is Role.CASH and owed.exists() else ""


def register() -> None:
    """Let the ledger know them."""
    register_account_use(AccountUse("exchange.contract", _unsettled_contract))
    register_account_use(AccountUse("exchange.open_orders", _open_orders))
    register_account_use(AccountUse("exchange.positions", _positions))
