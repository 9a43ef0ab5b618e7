"""The rows behind the pages of the interface, each with what it takes to show it: symbol, and tick of the price."""

from __future__ import annotations

from django.db.models import BigIntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from exchange.models import Contract, Fill, Offer, Order, ProductTerms


def offers() -> QuerySet[Offer]:
    """Offers, with the tick of their product."""
    latest = ProductTerms.objects.filter(product_id=OuterRef("product_id")).order_by("-version")
    return Offer.objects.select_related("provider", "product__currency").annotate(tick_micros=_tick(latest))


def trades_of(contract: Contract) -> QuerySet[Fill]:
    """The trades of one contract."""
    return Fill.objects.filter(contract_id=contract.pk).annotate(**_contract_figures())


def orders_of(party_id: int) -> QuerySet[Order]:
    """A party's orders that are decided."""
    return Order.objects.filter(party_id=party_id).annotate(**_contract_figures())


def fills_of(party_id: int) -> QuerySet[Fill]:
    """A party's fills, on either side."""
    return Fill.objects.filter(Q(buyer_id=party_id) | Q(provider_id=party_id)).annotate(**_contract_figures())


def _contract_figures() -> dict[str, Subquery]:
    """`symbol` and `tick_micros` of a row's contract, to which no foreign key leads."""
    symbol = Contract.objects.filter(id=OuterRef("contract_id")).values("symbol")[:1]
    pinned = ProductTerms.objects.filter(contract__id=OuterRef("contract_id"))
    return {"symbol": Subquery(symbol), "tick_micros": _tick(pinned)}


def _tick(terms: QuerySet[ProductTerms]) -> Subquery:
    """The tick of the first of some terms."""
    return Subquery(terms.annotate(tick=Cast(KT("terms__tick_micros"), BigIntegerField())).values("tick")[:1])
