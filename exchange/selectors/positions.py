"""Positions: all fills of one (contract, buyer, provider), pooled; and what each side learns of the other."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.db.models import Case, Count, DecimalField, F, Q, Sum, Value, When
from django.db.models.functions import Cast

from exchange.models import OPEN_STATES, Contract, Qualification
from exchange.rows import find_contract, product_terms, standing_fills
from ledger.models import Party
from ledger.money import div_ceil

SUMMED = ("lots", "tokens", "notional", "buyer_fee", "bond", "overage_tokens", "overage_hold")
_WIDE: DecimalField[Any, Any] = DecimalField(max_digits=40, decimal_places=0)  # beyond 64 bits
BEFORE_GATE = frozenset(OPEN_STATES)


@dataclass(frozen=True, slots=True)
class Position:
    """The unit of delivery and settlement. Amounts in micros.

    `provider_fee_picos` is the provider's fee if all of the notional is paid, exact, in millionths of a micro: the sum
    of each fill's notional times its own rate in ppm.
    """

    contract_id: int
    symbol: str
    buyer_id: int
    buyer_code: str
    provider_id: int
    provider_code: str
    fills: int
    lots: int
    tokens: int
    notional: int
    buyer_fee: int
    provider_fee_picos: int
    bond: int
    overage_tokens: int
    overage_hold: int


@dataclass(frozen=True, slots=True)
class OwnPosition:
    """What a party has bought or sold in a contract.

    Before the gate closes `counterparty` is None and all of the party's fills are one; from then on there is one for
    each counterparty.
    """

    symbol: str
    contract_state: str
    delivery_start: datetime
    delivery_end: datetime
    bought: bool
    counterparty: str | None
    tokens: int
    notional: int
    overage_tokens: int


@dataclass(frozen=True, slots=True)
class DeliveryInstruction:
    """How a position is delivered: what its two parties need of each other. `rate_tokens` a UTC minute.

    `base_url`, `model_name` and `access` are the provider's, as it was qualified with.
    """

    symbol: str
    delivery_start: datetime
    delivery_end: datetime
    buyer: str
    provider: str
    tokens: int
    overage_tokens: int
    rate_tokens: int
    max_request_tokens: int
    base_url: str
    model_name: str
    access: str


def list_positions(
    *, contract_id: int | None = None, buyer_id: int | None = None, provider_id: int | None = None
) -> list[Position]:
    """Positions with both parties, by contract, buyer and provider; fills that were taken back are in none.

    For settlement and operators, not for parties.
    """
    wanted = {"contract_id": contract_id, "buyer_id": buyer_id, "provider_id": provider_id}
    return _pool(Q(**{name: value for name, value in wanted.items() if value is not None}))


def list_own_positions(
    party_id: int, *, symbol: str | None = None, states: Collection[str] | None = None
) -> list[OwnPosition]:
    """A party's positions by start of delivery, the counterparty named from the gate on.

    Of one contract, or of those in some states, when given.
    """
    wanted = Q(buyer_id=party_id) | Q(provider_id=party_id)
    if states is not None:
        wanted &= Q(contract_id__in=Contract.objects.filter(state__in=states).values("id"))
    if symbol is not None:
        wanted &= Q(contract_id__in=Contract.objects.filter(symbol=symbol).values("id"))
    mine = _pool(wanted)
    contracts = Contract.objects.in_bulk({position.contract_id for position in mine})
    pooled: dict[tuple[int, bool, str | None], list[Position]] = {}
    for position in mine:
        contract = contracts[position.contract_id]
        bought = position.buyer_id == party_id
        other = position.provider_code if bought else position.buyer_code
        key = (contract.id, bought, None if contract.state in BEFORE_GATE else other)
        pooled.setdefault(key, []).append(position)
    own = [
        _own(contracts[contract_id], bought, other, positions)
        for (contract_id, bought, other), positions in pooled.items()
    ]
    return sorted(own, key=lambda each: (each.delivery_start, each.symbol, each.counterparty or ""))


def list_delivery_instructions(symbol: str, party_id: int) -> list[DeliveryInstruction]:
    """How the party's positions in a contract are delivered; empty before the gate has closed. `UnknownContract`."""
    contract = find_contract(symbol)
    if contract.state in BEFORE_GATE:
        return []
    mine = _pool(Q(contract_id=contract.id) & (Q(buyer_id=party_id) | Q(provider_id=party_id)))
    access = _access(contract, {position.provider_id for position in mine})
    return [_instruction(contract, position, access.get(position.provider_id)) for position in mine]


def _pool(wanted: Q) -> list[Position]:
    pooled = standing_fills().filter(wanted).values("contract_id", "buyer_id", "provider_id")
    rows = cast(
        list[dict[str, Any]],
        pooled.annotate(
            sum_fills=Count("id"),
            **{f"sum_{name}": Sum(name) for name in SUMMED},
            sum_picos=Sum(Cast("notional", _WIDE) * F("provider_fee_ppm")),
        ).order_by("contract_id", "buyer_id", "provider_id"),
    )
    parties = {row[side] for row in rows for side in ("buyer_id", "provider_id")}
    codes = dict(Party.objects.filter(id__in=parties).values_list("id", "code"))
    symbols = dict(Contract.objects.filter(id__in={row["contract_id"] for row in rows}).values_list("id", "symbol"))
    return [
        Position(
            contract_id=row["contract_id"],
            symbol=symbols[row["contract_id"]],
            buyer_id=row["buyer_id"],
            buyer_code=codes[row["buyer_id"]],
            provider_id=row["provider_id"],
            provider_code=codes[row["provider_id"]],
            fills=row["sum_fills"],
            provider_fee_picos=int(row["sum_picos"]),
            **{name: int(row[f"sum_{name}"]) for name in SUMMED},
        )
        for row in rows
    ]


def _own(contract: Contract, bought: bool, other: str | None, positions: Iterable[Position]) -> OwnPosition:
    pooled = list(positions)
    return OwnPosition(
        symbol=contract.symbol,
        contract_state=contract.state,
        delivery_start=contract.delivery_start,
        delivery_end=contract.delivery_end,
        bought=bought,
        counterparty=other,
        tokens=sum(position.tokens for position in pooled),
        notional=sum(position.notional for position in pooled),
        overage_tokens=sum(position.overage_tokens for position in pooled),
    )


def _access(contract: Contract, provider_ids: set[int]) -> dict[int, Qualification]:
    """Each provider's qualification for the product: the latest of those for the time of delivery, if there are any.

    One that was revoked or ran out since still says where what was sold is delivered.
    """
    rows = Qualification.objects.filter(product_id=contract.product_id, provider_id__in=provider_ids)
    at = contract.delivery_start
    covers = Case(When(valid_from__lte=at, valid_until__gt=at, then=Value(1)), default=Value(0))
    return {row.provider_id: row for row in rows.order_by(covers, "id")}


def _instruction(contract: Contract, position: Position, access: Qualification | None) -> DeliveryInstruction:
    terms = product_terms(contract)
    seconds = int((contract.delivery_end - contract.delivery_start).total_seconds())
    fair_share = div_ceil(position.tokens * 60 * terms.burst_permille, seconds * 1000)
    return DeliveryInstruction(
        symbol=contract.symbol,
        delivery_start=contract.delivery_start,
        delivery_end=contract.delivery_end,
        buyer=position.buyer_code,
        provider=position.provider_code,
        tokens=position.tokens,
        overage_tokens=position.overage_tokens,
        rate_tokens=max(terms.max_request_tokens, fair_share),
        max_request_tokens=terms.max_request_tokens,
        base_url=access.endpoint_url if access else "",
        model_name=access.model_name if access else "",
        access=access.access if access else "",
    )
