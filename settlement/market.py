"""What settlement knows of the exchange: contracts, positions, and which share schedule counts. One place to look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import F, Q, QuerySet
from msgspec import Struct

from exchange.models import Contract, ContractState, ProviderDefault
from exchange.rows import product_terms
from exchange.selectors.positions import list_positions
from exchange.terms import ProductTerms
from ledger.models import Party
from ledger.selectors.parties import get_house_id
from settlement.calculation import PPM
from settlement.models import ShareSchedule as ScheduleRow
from settlement.postings import BOND, OVERAGE, PartyRef, PositionAccounts
from settlement.share_record import parse_schedule
from settlement.splits import ALL_TO_PROVIDER, ShareSchedule

PERMILLE = 1000
SETTLEABLE = frozenset({ContractState.DELIVERED, ContractState.CANCELLED})  # cancelled while it was delivered
_BEFORE_DELIVERY = Q(state=ContractState.CANCELLED, cancelled_at__lt=F("delivery_start"))


class Ending(StrEnum):
    """What ended a position before its window did."""

    CANCELLATION = "cancellation"  # of the contract; no damages are due
    DEFAULT = "default"  # of the provider


@dataclass(frozen=True, slots=True)
class Ended:
    """From `at` on nothing was to be delivered any more, and what had not been is short."""

    at: datetime
    by: Ending


@dataclass(frozen=True, slots=True)
class SettledContract:
    """A contract as settlement needs it. The reference price is None until the gate has closed."""

    id: int
    symbol: str
    product_id: int
    product_code: str
    asset_id: int
    currency_id: int
    house_id: int
    delivery_start: datetime
    delivery_end: datetime
    gate_close: datetime
    state: str
    cancelled_at: datetime | None
    terms: ProductTerms
    terms_hash: bytes
    obligations_hash: bytes
    reference_price_micros: int | None
    reference_step: str

    @property
    def tax_rate_ppm(self) -> int:
        return self.terms.tax_rate_permille * (PPM // PERMILLE)

    def accounts(self, buyer: PartyRef, provider: PartyRef) -> PositionAccounts:
        return PositionAccounts(
            contract=self.symbol,
            contract_asset_id=self.asset_id,
            currency_id=self.currency_id,
            house_id=self.house_id,
            buyer=buyer,
            provider=provider,
            bond_hold_ref=BOND,
            overage_hold_ref=OVERAGE,
        )


class Position(Struct, frozen=True, gc=False):
    """All fills of one (contract, buyer, provider), pooled."""

    buyer: PartyRef
    provider: PartyRef
    tokens: int
    notional_micros: int
    provider_fee_picos: int
    bond_micros: int
    overage_tokens: int
    overage_hold_micros: int
    ended: Ended | None


def load_contracts(contract_ids: Iterable[int]) -> dict[int, SettledContract]:
    """Contracts by id."""
    house_id = get_house_id()
    rows = Contract.objects.filter(id__in=list(contract_ids)).select_related("terms", "product")
    return {row.id: _contract(row, house_id) for row in rows}


def load_positions(contract: SettledContract, *, as_of: datetime | None = None) -> list[Position]:
    """The positions of a contract, by the codes of their parties; defaults as they were known `as_of`, or now."""
    ended = _ended(contract, None)
    defaulted = {provider_id: _ended(contract, at) for provider_id, at in _defaults(contract, as_of).items()}
    pooled = [
        Position(
            buyer=PartyRef(each.buyer_id, each.buyer_code),
            provider=PartyRef(each.provider_id, each.provider_code),
            tokens=each.tokens,
            notional_micros=each.notional,
            provider_fee_picos=each.provider_fee_picos,
            bond_micros=each.bond,
            overage_tokens=each.overage_tokens,
            overage_hold_micros=each.overage_hold,
            ended=defaulted.get(each.provider_id, ended),
        )
        for each in list_positions(contract_id=contract.id)
    ]
    return sorted(pooled, key=lambda position: (position.buyer.code, position.provider.code))


def _defaults(contract: SettledContract, as_of: datetime | None) -> dict[int, datetime]:
    """When providers defaulted, of those that did before delivery was over."""
    rows = ProviderDefault.objects.filter(defaulted_at__lt=contract.delivery_end)
    if as_of is not None:
        rows = rows.filter(defaulted_at__lte=as_of)
    return dict(rows.values_list("provider_id", "defaulted_at"))


def _ended(contract: SettledContract, defaulted_at: datetime | None) -> Ended | None:
    """Whichever came first."""
    endings = [(contract.cancelled_at, Ending.CANCELLATION), (defaulted_at, Ending.DEFAULT)]
    return min((Ended(at, by) for at, by in endings if at is not None), key=lambda each: each.at, default=None)


def load_parties(party_ids: Iterable[int]) -> dict[int, PartyRef]:
    """Parties by id."""
    codes = Party.objects.filter(id__in=set(party_ids)).values_list("id", "code")
    return {party_id: PartyRef(party_id, code) for party_id, code in codes}


def load_schedules(contract: SettledContract, providers: Iterable[PartyRef]) -> Mapping[int, ShareSchedule]:
    """Each provider's share schedule as it stood at gate closure; without one all is the provider's own."""
    refs = {provider.id: provider for provider in providers}
    rows = (
        ScheduleRow.objects.filter(
            product_id=contract.product_id, provider_id__in=list(refs), created_at__lte=contract.gate_close
        )
        .order_by("provider_id", "-version")
        .distinct("provider_id")
    )
    latest = {row.provider_id: row for row in rows}
    codes = {part["party"] for row in latest.values() for part in row.weights.values() if part["party"]}
    ids = dict(Party.objects.filter(code__in=codes).values_list("code", "id"))
    return {
        provider_id: parse_schedule(latest[provider_id].version, latest[provider_id].weights, ref.code, ids)
        if provider_id in latest
        else ALL_TO_PROVIDER
        for provider_id, ref in refs.items()
    }


def contracts_to_settle(currency_id: int, *, after: datetime, until: datetime) -> list[SettledContract]:
    """Contracts of a currency whose delivery ended in `(after, until]` and that were not cancelled before it."""
    house_id = get_house_id()
    rows = (
        Contract.objects.filter(product__currency_id=currency_id, delivery_end__gt=after, delivery_end__lte=until)
        .exclude(_BEFORE_DELIVERY)
        .select_related("terms", "product")
        .order_by("delivery_start", "symbol")
    )
    return [_contract(row, house_id) for row in rows]


@dataclass(frozen=True, slots=True)
class EndedContract:
    """A contract whose window is over; `delivered` unless its state still has to say so."""

    product_id: int
    gate_close: datetime
    currency: str
    delivery_end: datetime
    delivered: bool


def ended_unsettled(taken: QuerySet[Any, Any], *, until: datetime) -> list[EndedContract]:
    """Contracts whose window ended by `until`, not settled, not cancelled before, and not among the ids `taken`."""
    rows = (
        Contract.objects.filter(delivery_end__lte=until)
        .exclude(_BEFORE_DELIVERY | Q(state=ContractState.SETTLED))
        .exclude(id__in=taken)
        .values_list("product_id", "gate_close", "product__currency__code", "delivery_end", "state")
    )
    return [
        EndedContract(product_id, gate_close, currency, end, state in SETTLEABLE)
        for product_id, gate_close, currency, end, state in rows
    ]


def _contract(row: Contract, house_id: int) -> SettledContract:
    return SettledContract(
        id=row.id,
        symbol=row.symbol,
        product_id=row.product_id,
        product_code=row.product.code,
        asset_id=row.asset_id,
        currency_id=row.product.currency_id,
        house_id=house_id,
        delivery_start=row.delivery_start,
        delivery_end=row.delivery_end,
        gate_close=row.gate_close,
        state=row.state,
        cancelled_at=row.cancelled_at,
        terms=product_terms(row),
        terms_hash=bytes(row.terms.terms_hash),
        obligations_hash=bytes(row.obligations_hash or b""),
        reference_price_micros=row.reference_price_micros,
        reference_step=row.reference_step,
    )
