"""How far providers may go into obligation: the floor of each obligation account, from their sites' declarations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from exchange.capacity import window_capacity
from exchange.errors import CapacityExceeded
from exchange.models import CapacityAllocation, CapacityDeclaration, Contract
from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.errors import InsufficientFunds


def allocated_tokens(product_id: int, window_seconds: int) -> dict[int, int]:
    """Contract tokens that each provider's sites are allocated to one window: latest declarations, summed over sites.

    Read it under the ledger head's lock, so that no declaration comes in between.
    """
    latest = CapacityDeclaration.objects.order_by("site_id", "-id").distinct("site_id").values("id")
    allocations = CapacityAllocation.objects.filter(
        declaration_id__in=latest, product_id=product_id, window_seconds=window_seconds
    ).select_related("declaration__site")
    tokens: dict[int, int] = defaultdict(int)
    for allocation in allocations:
        declaration = allocation.declaration
        tokens[declaration.site.provider_id] += window_capacity(
            declaration.tokens_per_s, allocation.ppm, window_seconds
        )
    return dict(tokens)


def move_floors(tokens: Mapping[tuple[Contract, int], int], *, actor: str, reason: str, now: datetime) -> None:
    """Let providers' obligations go down to −tokens, by (contract, provider).

    Raises `CapacityExceeded`, with figures, when more than that is sold or on offer somewhere: none is moved then.
    """
    contracts = {contract.asset_id: contract for contract, _ in tokens}
    floors: dict[AccountKey, int | None] = {
        AccountKey(provider_id, contract.asset_id, Role.OBLIGATION): -amount
        for (contract, provider_id), amount in tokens.items()
    }
    try:
        journal.set_floors(floors, actor=actor, reason=reason, now=now)
    except InsufficientFunds as error:
        sold, offered = -int(error.fields["balance"]), int(error.fields["held"])
        contract, capacity = contracts[error.fields["asset"]], -int(error.fields["floor"])
        raise CapacityExceeded(
            f"{sold} contract tokens of {contract.symbol} are sold and {offered} on offer; "
            f"its capacity cannot go down to {capacity}.",
            contract=contract.symbol,
            capacity_tokens=str(capacity),
            sold_tokens=str(sold),
            offered_tokens=str(offered),
        ) from error
