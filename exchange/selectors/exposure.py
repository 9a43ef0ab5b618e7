"""What providers may sell, have sold, owe and have pledged, contract by contract."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Sum

from exchange.models import Contract
from exchange.rows import standing_fills
from exchange.selectors.capacity import ObligationView
from ledger.chart import Role
from ledger.models import Account


@dataclass(frozen=True, slots=True)
class Exposure:
    """An obligation with what was sold, and the bond pledged for what is sold and what is on offer. Money in micros."""

    obligation: ObligationView
    product_code: str
    currency: str
    sold_tokens: int
    notional_micros: int
    bond_micros: int

    @property
    def free_tokens(self) -> int:
        used = self.obligation.owed_tokens + self.obligation.offered_tokens
        return max(0, self.obligation.capacity_tokens - used)


def list_exposures(
    states: Collection[str], *, provider_ids: Collection[int] | None = None, latest: int | None = None
) -> list[Exposure]:
    """Over contracts in some states, by start of delivery; of some providers, or of all (None).

    `latest` keeps to so many contracts, those that are delivered last.
    """
    wanted = Contract.objects.filter(state__in=states).order_by("-delivery_start", "-symbol")
    contracts = list(wanted.select_related("product__currency", "terms")[:latest])
    accounts = Account.objects.filter(role=Role.OBLIGATION, asset_id__in=[each.asset_id for each in contracts])
    if provider_ids is not None:
        accounts = accounts.filter(party_id__in=provider_ids)
    by_contract: dict[int, list[Account]] = {}
    for account in accounts.select_related("party").order_by("party__code"):
        by_contract.setdefault(account.asset_id, []).append(account)
    sold = _sold([contract.id for contract in contracts])
    return [
        _exposure(contract, account, sold.get((contract.id, account.party_id), {}))
        for contract in reversed(contracts)
        for account in by_contract.get(contract.asset_id, [])
    ]


def _sold(contract_ids: Collection[int]) -> dict[tuple[int, int], Mapping[str, Any]]:
    """Sums over all fills that stand, by (contract, provider)."""
    rows = standing_fills().filter(contract_id__in=contract_ids).values("contract_id", "provider_id")
    summed = rows.annotate(tokens=Sum("tokens"), notional=Sum("notional"), bond=Sum("bond"))
    return {(row["contract_id"], row["provider_id"]): row for row in summed}


def _exposure(contract: Contract, account: Account, sold: Mapping[str, Any]) -> Exposure:
    offered_lots = account.held // int(contract.terms.terms["lot_tokens"])
    return Exposure(
        obligation=ObligationView(
            provider_id=account.party_id,
            provider=account.party.code,
            symbol=contract.symbol,
            contract_state=contract.state,
            delivery_start=contract.delivery_start,
            delivery_end=contract.delivery_end,
            capacity_tokens=-(account.floor or 0),
            owed_tokens=-account.balance,
            offered_tokens=account.held,
        ),
        product_code=contract.product.code,
        currency=contract.product.currency.code,
        sold_tokens=int(sold.get("tokens", 0)),
        notional_micros=int(sold.get("notional", 0)),
        bond_micros=int(sold.get("bond", 0)) + offered_lots * contract.bond_per_lot,
    )
