"""What lists of the exchange can be narrowed by."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django_filters import rest_framework as filters  # type: ignore[import-untyped]

from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import Side
from exchange.models import Contract, ContractState, Fill, Offer, OfferState, Order, PreventedMatch
from exchange.windows import parse_length
from ledger.api.filters import InstantFilter
from ledger.money import parse_count


class ContractFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By product, state and delivery."""

    product = filters.CharFilter("product__code", label="Product code.")
    state = filters.MultipleChoiceFilter(choices=ContractState.choices, label="State; repeat it for several.")
    delivery_from = InstantFilter("delivery_start", "gte", label="Earliest start of delivery.")
    delivery_before = InstantFilter("delivery_start", "lt", label="Delivery starts before this.")

    class Meta:
        model = Contract
        fields: tuple[str, ...] = ()


class _Symbols(filters.BaseInFilter, filters.CharFilter):  # type: ignore[misc]  # untyped base
    """Several symbols, parted by commas."""


class QuoteFilter(ContractFilter):
    """By contract as well."""

    contract = _Symbols("symbol", label="Symbols of contracts, parted by commas.")


class CurveFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By length of window and delivery."""

    window = filters.CharFilter(method="of_length", label="Length of the windows, such as 10MIN, 1H or 1D.")
    delivery_from = InstantFilter("delivery_start", "gte", label="Earliest start of delivery.")
    delivery_before = InstantFilter("delivery_start", "lt", label="Delivery starts before this.")

    class Meta:
        model = Contract
        fields: tuple[str, ...] = ()

    def of_length(self, contracts: QuerySet[Contract], name: str, value: str) -> QuerySet[Contract]:
        return contracts.filter(delivery_end=F("delivery_start") + timedelta(seconds=parse_length(value)))


class OfferFilter(filters.FilterSet):  # type: ignore[misc]  # untyped base
    """By product, provider, length of window and state."""

    product = filters.CharFilter("product__code", label="Product code.")
    provider = filters.CharFilter("provider__code", label="Code of the provider.")
    window = filters.CharFilter(method="of_length", label="Length of the windows, such as 10MIN, 1H or 1D.")
    state = filters.ChoiceFilter(choices=OfferState.choices, label="State.")

    class Meta:
        model = Offer
        fields: tuple[str, ...] = ()

    def of_length(self, offers: QuerySet[Offer], name: str, value: str) -> QuerySet[Offer]:
        return offers.filter(window_seconds=parse_length(value))


class _ByContract(filters.FilterSet):  # type: ignore[misc]  # untyped base
    contract = filters.CharFilter(method="of_contract", label="Symbol of the contract.")

    def of_contract(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows.filter(contract_id__in=Contract.objects.filter(symbol=value).values("id"))


class OrderFilter(_ByContract):
    """By contract, side, status and time."""

    side = filters.ChoiceFilter(choices=[(side.value, side.value) for side in Side], label="Side.")
    status = filters.MultipleChoiceFilter(
        choices=[(status.value, status.value) for status in OrderStatus], label="Status; repeat it for several."
    )
    placed_from = InstantFilter("placed_at", "gte", label="Placed at or after this.")
    placed_before = InstantFilter("placed_at", "lt", label="Placed before this.")

    class Meta:
        model = Order
        fields: tuple[str, ...] = ()


class FillFilter(_ByContract):
    """By contract, own order and time."""

    order_id = filters.CharFilter(method="of_order", label="Id of an own order.")
    executed_from = InstantFilter("executed_at", "gte", label="Executed at or after this.")
    executed_before = InstantFilter("executed_at", "lt", label="Executed before this.")

    class Meta:
        model = Fill
        fields: tuple[str, ...] = ()

    def of_order(self, fills: QuerySet[Fill], name: str, value: str) -> QuerySet[Fill]:
        order_id = parse_count(value, field="order_id", minimum=1)
        return fills.filter(Q(buy_order_id=order_id) | Q(sell_order_id=order_id))


class PreventedMatchFilter(_ByContract):
    """By contract and time."""

    prevented_from = InstantFilter("prevented_at", "gte", label="Prevented at or after this.")
    prevented_before = InstantFilter("prevented_at", "lt", label="Prevented before this.")

    class Meta:
        model = PreventedMatch
        fields: tuple[str, ...] = ()
