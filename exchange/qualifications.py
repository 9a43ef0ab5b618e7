"""Which qualifications are in force, and what keeps a provider's default apart from what it begins to offer."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import QuerySet

from exchange.errors import NotQualified
from exchange.models import Product, Qualification
from ledger.models import Party
from ledger.packing import pack_int8, packed_cursor


def lock_provider(provider_id: int) -> None:
    """Let nobody else qualify the provider, post its offers or declare its default before the transaction ends.

    So whichever comes second sees what the first did. It is taken before the line and the ledger's head.
    """
    Party.objects.select_for_update(no_key=True).filter(id=provider_id).first()


def in_force(now: datetime) -> QuerySet[Qualification]:
    """Qualifications valid at `now`."""
    return Qualification.objects.filter(revoked_at=None, valid_from__lte=now, valid_until__gt=now)


def require_qualified(provider_id: int, product: Product, now: datetime) -> None:
    """Raises `NotQualified`."""
    if not in_force(now).filter(provider_id=provider_id, product=product).exists():
        raise not_qualified(provider_id, product.code)


def qualified_pairs(provider_ids: Collection[int], now: datetime) -> set[tuple[int, int]]:
    """(provider, product) of what these providers may sell at `now`."""
    with packed_cursor() as cursor:  # every batch with a sell order comes here: the ORM takes six times as long
        cursor.execute(
            """
            SELECT provider_id, product_id FROM exchange_qualification
             WHERE provider_id = ANY(%s::bigint[]) AND revoked_at IS NULL
               AND valid_from <= %s::timestamptz AND valid_until > %s::timestamptz
            """,
            [pack_int8(list(provider_ids)), now, now],
            binary=True,
        )
        return set(cursor.fetchall())


def not_qualified(provider_id: int, product_code: str) -> NotQualified:
    return NotQualified(
        f"The provider is not qualified for {product_code} now.", provider=str(provider_id), product=product_code
    )
