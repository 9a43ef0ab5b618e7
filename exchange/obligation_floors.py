"""How far providers may go into obligation: the floor of each obligation account, from their sites' declarations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from exchange.capacity import window_capacity
from exchange.errors import CapacityExceeded
from exchange.models import CapacityAllocation, CapacityDeclaration, Contract
from exchange.windows import Window
from ledger import journal
from ledger.chart import AccountKey, Role

MAX_CONFLICTS = 50  # listed in a refusal


def allocated_tokens(product_id: int, window: Window) -> dict[int, int]:
    """Contract tokens that each provider's sites are allocated to one window: latest declarations, summed over sites.

    What is allocated to months is a part of the site; each month then gets it for as long as it really lasts. Read it
    under the ledger head's lock, so that no declaration comes in between.
    """
    latest = CapacityDeclaration.objects.order_by("site_id", "-id").distinct("site_id").values("id")
    allocations = CapacityAllocation.objects.filter(
        declaration_id__in=latest, product_id=product_id, window_seconds=window.length
    ).select_related("declaration__site")
    tokens: dict[int, int] = defaultdict(int)
    for allocation in allocations:
        declaration = allocation.declaration
        tokens[declaration.site.provider_id] += window_capacity(
            declaration.tokens_per_s, allocation.ppm, window.seconds
        )
    return dict(tokens)


def move_floors(tokens: Mapping[tuple[Contract, int], int], *, actor: str, reason: str, now: datetime) -> None:
    """Let providers' obligations go down to −tokens, by (contract, provider).

    Raises `CapacityExceeded`, with the figures of the contracts concerned, when more than that is sold or on offer
    somewhere: none is moved then.
    """
    floors: dict[AccountKey, int | None] = {
        AccountKey(provider_id, contract.asset_id, Role.OBLIGATION): -amount
        for (contract, provider_id), amount in tokens.items()
    }
    journal.lock_head()
    accounts = journal.load_accounts(floors)
    conflicts = [
        {
            "contract": contract.symbol,
            "sold_tokens": str(-account.balance),
            "offered_tokens": str(account.held),
            "capacity_tokens": str(amount),
        }
        for (contract, provider_id), amount in tokens.items()
        if (account := accounts.get(AccountKey(provider_id, contract.asset_id, Role.OBLIGATION)))
        and account.held - account.balance > amount
    ]
    if conflicts:
        raise _too_little(conflicts)
    journal.set_floors(floors, actor=actor, reason=reason, now=now)


def _too_little(conflicts: Sequence[dict[str, str]]) -> CapacityExceeded:
    first, more = conflicts[0], len(conflicts) - 1
    others = f" Nor can it in {more} other{'s' if more > 1 else ''}." if more else ""
    return CapacityExceeded(
        f"{first['sold_tokens']} contract tokens of {first['contract']} are sold and {first['offered_tokens']} on "
        f"offer; its capacity cannot go down to {first['capacity_tokens']}.{others}",
        **first,
        contracts=list(conflicts[:MAX_CONFLICTS]),
        contracts_in_all=str(len(conflicts)),
    )
