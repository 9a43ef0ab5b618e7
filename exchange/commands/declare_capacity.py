"""Declare what a site can sustain, and what of it goes to which product and window length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.capacity import Allocation, check_tokens_per_s, sustained_tokens_per_s, validate_allocations
from exchange.errors import InvalidCapacity, UnknownProduct
from exchange.models import CapacityAllocation, CapacityDeclaration, Contract, Product, Site
from exchange.obligation_floors import allocated_tokens, move_floors
from exchange.rows import find_site
from exchange.windows import Window, length_between
from ledger import journal
from ledger.actions import record_action

POWER_BASIS = frozenset({"watts", "mtokens_per_joule", "utilisation_ppm"})


@dataclass(frozen=True, slots=True)
class DeclareCapacity:
    """A new declaration for a site; it replaces the one before as a whole.

    `basis` is `{"tokens_per_s": n}` (contract tokens), or `watts`, `mtokens_per_joule` (contract-millitokens) and
    `utilisation_ppm`.
    """

    provider_id: int
    site_id: int
    basis: Mapping[str, int]
    allocations: tuple[Allocation, ...]


@transaction.atomic
def declare_capacity(command: DeclareCapacity, *, actor: str, now: datetime) -> CapacityDeclaration:
    """Declare, and move the floors of all contracts that are not delivered yet.

    Also of those that trade no more: what they sold keeps its part of the site until it is delivered.

    Raises `SiteNotFound`, `InvalidCapacity`, `UnknownProduct`, `AllocationExceeded`, and `CapacityExceeded` when more
    is sold or on offer in some contract than would be left: nothing changes then.
    """
    site = find_site(command.site_id, command.provider_id)
    tokens_per_s = _tokens_per_s(command.basis)
    validate_allocations(command.allocations)
    _require_products(command.allocations)
    journal.lock_head()
    affected = _pairs_of_latest(site) | {(each.product_id, each.window_seconds) for each in command.allocations}
    declaration = _append(command, tokens_per_s, actor=actor, now=now)
    tokens: dict[tuple[Contract, int], int] = {}
    for product_id, window_seconds in sorted(affected):
        contracts = _undelivered_contracts(product_id, window_seconds, now)
        windows = [Window(contract.delivery_start, contract.delivery_end) for contract in contracts]
        of_window = {
            each.seconds: allocated_tokens(product_id, each) for each in {w.seconds: w for w in windows}.values()
        }
        for contract, window in zip(contracts, windows, strict=True):
            tokens[contract, command.provider_id] = of_window[window.seconds].get(command.provider_id, 0)
    move_floors(tokens, actor=actor, reason=f"capacity declaration {declaration.id}", now=now)
    record_action(
        actor=actor,
        action="declare_capacity",
        subject=f"site:{site.id}",
        now=now,
        details={"declaration": declaration.id, "tokens_per_s": tokens_per_s},
    )
    return declaration


def _tokens_per_s(basis: Mapping[str, int]) -> int:
    if set(basis) == {"tokens_per_s"}:
        return check_tokens_per_s(basis["tokens_per_s"])
    if set(basis) == POWER_BASIS:
        return sustained_tokens_per_s(
            watts=basis["watts"],
            mtokens_per_joule=basis["mtokens_per_joule"],
            utilisation_ppm=basis["utilisation_ppm"],
        )
    raise InvalidCapacity(
        "Capacity is declared as tokens_per_s, or as watts, mtokens_per_joule and utilisation_ppm.", field="basis"
    )


def _require_products(allocations: tuple[Allocation, ...]) -> None:
    wanted = {allocation.product_id for allocation in allocations}
    missing = wanted - set(Product.objects.filter(id__in=wanted).values_list("id", flat=True))
    if missing:
        raise UnknownProduct(f"There is no product {min(missing)}.", product_id=str(min(missing)))


def _pairs_of_latest(site: Site) -> set[tuple[int, int]]:
    latest = CapacityDeclaration.objects.filter(site=site).order_by("-id").values("id")[:1]
    pairs = CapacityAllocation.objects.filter(declaration_id__in=latest).values_list("product_id", "window_seconds")
    return set(pairs)


def _undelivered_contracts(product_id: int, window_seconds: int, now: datetime) -> list[Contract]:
    contracts = Contract.objects.filter(product_id=product_id, delivery_end__gt=now)
    return [
        contract
        for contract in contracts.order_by("delivery_start")
        if length_between(contract.delivery_start, contract.delivery_end) == window_seconds
    ]


def _append(command: DeclareCapacity, tokens_per_s: int, *, actor: str, now: datetime) -> CapacityDeclaration:
    declaration = CapacityDeclaration.objects.create(
        site_id=command.site_id,
        basis=dict(command.basis),
        tokens_per_s=tokens_per_s,
        declared_at=now,
        declared_by=actor,
    )
    CapacityAllocation.objects.bulk_create(
        CapacityAllocation(
            declaration=declaration,
            product_id=allocation.product_id,
            window_seconds=allocation.window_seconds,
            ppm=allocation.ppm,
        )
        for allocation in command.allocations
    )
    return declaration
