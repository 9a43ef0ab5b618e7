"""How far providers may go into obligation: the floor of each obligation account, from their sites' declarations."""

from __future__ import annotations

from collections import defaultdict
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


def move_floor(contract: Contract, provider_id: int, tokens: int, *, actor: str, reason: str, now: datetime) -> None:
    """Let a provider's obligation in a contract go down to −`tokens`.

    Raises `CapacityExceeded`, with figures, when more than that is sold or on offer already.
    """
    account = AccountKey(provider_id, contract.asset_id, Role.OBLIGATION)
    try:
        journal.set_floor(account, -tokens, actor=actor, reason=reason, now=now)
    except InsufficientFunds as error:
        sold, offered = -int(error.fields["balance"]), int(error.fields["held"])
        raise CapacityExceeded(
            f"{sold} contract tokens of {contract.symbol} are sold and {offered} on offer; "
            f"its capacity cannot go down to {tokens}.",
            contract=contract.symbol,
            capacity_tokens=str(tokens),
            sold_tokens=str(sold),
            offered_tokens=str(offered),
        ) from error
