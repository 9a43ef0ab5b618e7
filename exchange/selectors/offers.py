"""Offers: public listings of providers, with what has come of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Q, Sum

from exchange.errors import OfferNotFound
from exchange.matching.lifecycle import OrderStatus
from exchange.models import Offer, Order
from exchange.offer_orders import schedule_of
from exchange.offer_schedule import Curve, describe_weekdays


@dataclass(frozen=True, slots=True)
class OfferView:
    """An offer. `lots` in each window; `sold_lots` and `open_lots` over all its windows.

    `curve` has its price by the UTC hour of a window's start, `price_ticks` is the lowest; `weekdays` from 0, Monday.
    """

    id: int
    provider_id: int
    provider: str
    product_code: str
    window_seconds: int
    first_delivery: datetime
    last_delivery: datetime
    weekdays: frozenset[int]
    lots: int
    price_ticks: int
    curve: Curve
    state: str
    created_at: datetime
    created_by: str
    open_orders: int
    sold_lots: int
    open_lots: int

    @property
    def days(self) -> str:
        """The weekdays in words."""
        return describe_weekdays(self.weekdays)


def list_offers(
    *,
    provider_id: int | None = None,
    product_code: str | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[OfferView]:
    """Offers, newest first; `before` an offer id, to page on."""
    rows = Offer.objects.select_related("provider", "product").order_by("-id")
    wanted = {
        "provider_id": provider_id,
        "product__code": product_code,
        "state": state,
        "id__lt": before,
    }
    found = list(rows.filter(**{name: value for name, value in wanted.items() if value is not None})[:limit])
    return _views(found)


def get_offer(offer_id: int, *, provider_id: int | None = None) -> OfferView:
    """An offer; of one provider only, when given. Raises `OfferNotFound`."""
    rows = Offer.objects.select_related("provider", "product").filter(id=offer_id)
    found = list(rows if provider_id is None else rows.filter(provider_id=provider_id))
    if not found:
        raise OfferNotFound(f"There is no offer {offer_id}.", offer_id=str(offer_id))
    return _views(found)[0]


def _views(offers: list[Offer]) -> list[OfferView]:
    taken = Q(status=OrderStatus.OPEN)
    figures = {
        row["offer_id"]: row
        for row in Order.objects.filter(offer_id__in=[offer.id for offer in offers])
        .values("offer_id")
        .annotate(
            standing=Count("id", filter=taken),
            waiting=Sum("remaining_lots", filter=taken),
            sold=Sum(F("lots") - F("remaining_lots")),
        )
    }
    views = []
    for offer in offers:
        row: Mapping[str, Any] = figures.get(offer.id, {})
        schedule = schedule_of(offer)
        views.append(
            OfferView(
                id=offer.id,
                provider_id=offer.provider_id,
                provider=offer.provider.code,
                product_code=offer.product.code,
                window_seconds=offer.window_seconds,
                first_delivery=offer.first_delivery,
                last_delivery=offer.last_delivery,
                weekdays=schedule.weekdays,
                lots=offer.lots,
                price_ticks=offer.price_ticks,
                curve=schedule.curve,
                state=offer.state,
                created_at=offer.created_at,
                created_by=offer.created_by,
                open_orders=row.get("standing") or 0,
                sold_lots=int(row.get("sold") or 0),
                open_lots=int(row.get("waiting") or 0),
            )
        )
    return views
