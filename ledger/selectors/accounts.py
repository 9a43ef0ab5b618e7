"""Reading accounts: frozen figures, no locks."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.models import Account


@dataclass(frozen=True, slots=True)
class Balance:
    """One account of a party. Amounts in the asset's smallest unit; `available` is None when unbounded."""

    asset: str
    asset_kind: str
    role: str
    qualifier: str
    balance: int
    held: int
    available: int | None
    entries: int


def list_balances(party_id: int) -> list[Balance]:
    """All accounts of a party, by asset and role."""
    rows = (
        Account.objects.filter(party_id=party_id).select_related("asset").order_by("asset__code", "role", "qualifier")
    )
    return [
        Balance(
            asset=row.asset.code,
            asset_kind=row.asset.kind,
            role=row.role,
            qualifier=row.qualifier,
            balance=row.balance,
            held=row.held,
            available=None if row.floor is None else row.balance - row.held - row.floor,
            entries=row.seq,
        )
        for row in rows
    ]
