"""What providers can deliver, may sell, and owe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exchange.models import CapacityAllocation, CapacityDeclaration, Site


@dataclass(frozen=True, slots=True)
class AllocationView:
    product_code: str
    window_seconds: int
    ppm: int


@dataclass(frozen=True, slots=True)
class SiteView:
    """A site under its latest declaration; `tokens_per_s` is 0 as long as there is none."""

    id: int
    provider_id: int
    provider: str
    name: str
    region: str
    basis: dict[str, Any]
    tokens_per_s: int
    declared_at: datetime | None
    allocations: tuple[AllocationView, ...]


@dataclass(frozen=True, slots=True)
class ObligationView:
    """A provider's account in a contract, in contract tokens: what it may sell, has sold, and has on offer."""

    provider_id: int
    provider: str
    symbol: str
    contract_state: str
    delivery_start: datetime
    delivery_end: datetime
    capacity_tokens: int
    owed_tokens: int
    offered_tokens: int


def list_sites(provider_id: int | None = None) -> list[SiteView]:
    """Sites of a provider, or all, by provider and name."""
    sites = Site.objects.select_related("provider").order_by("provider__code", "name")
    if provider_id is not None:
        sites = sites.filter(provider_id=provider_id)
    latest = CapacityDeclaration.objects.order_by("site_id", "-id").distinct("site_id")
    declarations = {row.site_id: row for row in latest}
    allocations: dict[int, list[AllocationView]] = {}
    rows = CapacityAllocation.objects.filter(declaration_id__in=[row.id for row in declarations.values()])
    for row in rows.select_related("product").order_by("product__code", "window_seconds"):
        view = AllocationView(row.product.code, row.window_seconds, row.ppm)
        allocations.setdefault(row.declaration_id, []).append(view)
    return [_site(site, declarations.get(site.id), allocations) for site in sites]


def _site(
    site: Site, declaration: CapacityDeclaration | None, allocations: dict[int, list[AllocationView]]
) -> SiteView:
    return SiteView(
        id=site.id,
        provider_id=site.provider_id,
        provider=site.provider.code,
        name=site.name,
        region=site.region,
        basis=declaration.basis if declaration else {},
        tokens_per_s=declaration.tokens_per_s if declaration else 0,
        declared_at=declaration.declared_at if declaration else None,
        allocations=tuple(allocations.get(declaration.id, ())) if declaration else (),
    )
