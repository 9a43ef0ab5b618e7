"""Which qualifications are in force."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import QuerySet

from exchange.errors import NotQualified
from exchange.models import Product, Qualification


def in_force(now: datetime) -> QuerySet[Qualification]:
    """Qualifications valid at `now`."""
    return Qualification.objects.filter(revoked_at=None, valid_from__lte=now, valid_until__gt=now)


def require_qualified(provider_id: int, product: Product, now: datetime) -> None:
    """Raises `NotQualified`."""
    if not in_force(now).filter(provider_id=provider_id, product=product).exists():
        raise not_qualified(provider_id, product.code)


def qualified_pairs(provider_ids: Collection[int], now: datetime) -> set[tuple[int, int]]:
    """(provider, product) of what these providers may sell at `now`."""
    pairs = in_force(now).filter(provider_id__in=provider_ids).values_list("provider_id", "product_id")
    return set(pairs)


def not_qualified(provider_id: int, product_code: str) -> NotQualified:
    return NotQualified(
        f"The provider is not qualified for {product_code} now.", provider=str(provider_id), product=product_code
    )
