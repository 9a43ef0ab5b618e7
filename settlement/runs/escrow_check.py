"""A contract's escrow, entitlements and obligations against its fills: all there before settlement, all gone after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from django.db.models import Q

from ledger.chart import TOKEN_ROLES, Role
from ledger.models import Account
from settlement.errors import LedgerDisagrees
from settlement.market import Position, SettledContract


def check_before(contract: SettledContract, positions: Iterable[Position]) -> None:
    """Escrow holds the sum of notionals, buyers what they bought, providers owe what they sold. Raises
    `LedgerDisagrees`."""
    expected: Counter[tuple[int, str]] = Counter()
    for position in positions:
        expected[contract.house_id, Role.ESCROW] += position.notional_micros
        expected[position.buyer.id, Role.ENTITLEMENT] += position.tokens
        expected[position.provider.id, Role.OBLIGATION] -= position.tokens
    _require(contract, {key: amount for key, amount in expected.items() if amount})


def check_emptied(contract: SettledContract) -> None:
    """Nothing is left in escrow, entitlements and obligations. Raises `LedgerDisagrees`."""
    _require(contract, {})


def _require(contract: SettledContract, expected: dict[tuple[int, str], int]) -> None:
    escrow = Q(party_id=contract.house_id, asset_id=contract.currency_id, role=Role.ESCROW, qualifier=contract.symbol)
    tokens = Q(asset_id=contract.asset_id, role__in=TOKEN_ROLES)
    rows = Account.objects.filter(escrow | tokens).exclude(balance=0).values_list("party_id", "role", "balance")
    found = {(party_id, role): balance for party_id, role, balance in rows}
    wrong = {key for key in found | expected if found.get(key, 0) != expected.get(key, 0)}
    if wrong:
        party_id, role = min(wrong)
        key = (party_id, role)
        raise LedgerDisagrees(
            f"{contract.symbol}: {role} of party {party_id} is {found.get(key, 0)}, not {expected.get(key, 0)}.",
            contract=contract.symbol,
            account=str(role),
            party=str(party_id),
            found=str(found.get(key, 0)),
            expected=str(expected.get(key, 0)),
        )
