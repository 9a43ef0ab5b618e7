"""What providers stand to lose: their obligations together with the bonds that secure them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Sum

from exchange.models import Contract, Fill
from exchange.selectors.capacity import ObligationView, list_obligations


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


def list_exposures(provider_ids: Collection[int] | None = None) -> list[Exposure]:
    """By start of delivery; of some providers, or of all (None)."""
    obligations = (
        list_obligations()
        if provider_ids is None
        else sorted(
            (each for provider_id in provider_ids for each in list_obligations(provider_id)),
            key=lambda each: (each.delivery_start, each.symbol, each.provider),
        )
    )
    contracts = {
        contract.symbol: contract
        for contract in Contract.objects.select_related("product__currency", "terms").filter(
            symbol__in={each.symbol for each in obligations}
        )
    }
    sold = {
        (row["contract_id"], row["provider_id"]): row
        for row in Fill.objects.filter(provider_id__in={each.provider_id for each in obligations})
        .values("contract_id", "provider_id")
        .annotate(tokens=Sum("tokens"), notional=Sum("notional"), bond=Sum("bond"))
    }
    exposures = []
    for each in obligations:
        contract = contracts[each.symbol]
        row = sold.get((contract.id, each.provider_id), {})
        offered_lots = each.offered_tokens // int(contract.terms.terms["lot_tokens"])
        exposures.append(
            Exposure(
                obligation=each,
                product_code=contract.product.code,
                currency=contract.product.currency.code,
                sold_tokens=int(row.get("tokens", 0)),
                notional_micros=int(row.get("notional", 0)),
                bond_micros=int(row.get("bond", 0)) + offered_lots * contract.bond_per_lot,
            )
        )
    return exposures
