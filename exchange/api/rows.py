"""The rows behind the pages of the interface, each with what it takes to show it: symbol, and tick of the price."""

from __future__ import annotations

from django.db.models import BigIntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from exchange.models import Contract, Fill, FillReversal, Offer, Order, PreventedMatch, ProductTerms
from exchange.selectors.own_orders import asked_budget


def offers() -> QuerySet[Offer]:
    """Offers, with the tick of the terms they were made under."""
    made_under = ProductTerms.objects.filter(id=OuterRef("terms_id"))
    return Offer.objects.select_related("provider", "product__currency").annotate(tick_micros=_tick(made_under))


def trades_of(contract: Contract) -> QuerySet[Fill]:
    """The trades of one contract, with when one was taken back."""
    reversals = FillReversal.objects.filter(fill_id=OuterRef("id")).values("reversed_at")
    fills = Fill.objects.filter(contract_id=contract.pk)
    return fills.annotate(**_contract_figures(), reversed_at=Subquery(reversals))


def orders_of(party_id: int) -> QuerySet[Order]:
    """A party's orders that are decided."""
    return Order.objects.filter(party_id=party_id).annotate(budget_micros=asked_budget(), **_contract_figures())


def prevented_matches_of(party_id: int) -> QuerySet[PreventedMatch]:
    """The trades that a party's orders did not make with others of its group."""
    mine = Q(taker_party_id=party_id) | Q(maker_party_id=party_id)
    return PreventedMatch.objects.filter(mine).annotate(**_contract_figures())


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
