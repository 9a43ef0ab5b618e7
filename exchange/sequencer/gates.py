"""What a gate's closure fixes, read from what is durable.

Closures are decided only at the head of a batch, so that every fill of the contract is in the tables by then.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import F, Sum

from exchange.gate_record import Obligation, Traded, choose_reference, obligations_hash
from exchange.models import Contract, ContractState, IntakeKind
from exchange.rows import product_terms, standing_fills
from exchange.selectors.positions import list_positions
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.outcome import GateFigures

ALONE = frozenset({IntakeKind.CANCEL_CONTRACT, IntakeKind.DEFAULT_PROVIDER, IntakeKind.BUST_FILL})


def cut_batch(waiting: Sequence[WaitingCommand]) -> Sequence[WaitingCommand]:
    """The commands to decide next, of some that wait in order; none when only a part of one bundle was given.

    Closures lead a batch, and one further back ends it. What undoes trades has a batch of its own, since it too is
    decided on what is durable. A bundle is not parted.
    """
    end = _before_change(waiting)
    while end and waiting[end - 1].bundle_left:
        end -= 1
    return waiting[:end]


def split_bundles(commands: Sequence[WaitingCommand]) -> list[Sequence[WaitingCommand]]:
    """Commands by what must be decided together."""
    ends = [place for place, command in enumerate(commands, start=1) if not command.bundle_left]
    return [commands[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def split_batches(commands: Sequence[WaitingCommand], size: int) -> list[Sequence[WaitingCommand]]:
    """Commands by the batches that write them, of at most that size; of none, one empty batch.

    No bundle is parted: one that is longer has a batch of its own.
    """
    batches, start, whole = [], 0, 0
    for end, command in enumerate(commands, start=1):
        if command.bundle_left:
            continue
        if end - start > size and whole > start:
            batches.append(commands[start:whole])
            start = whole
        whole = end
    return [*batches, commands[start:]]


def _before_change(waiting: Sequence[WaitingCommand]) -> int:
    leading = True
    for place, command in enumerate(waiting):
        if command.kind in ALONE:
            return max(1, place)
        if command.kind is not IntakeKind.CLOSE_GATE:
            leading = False
        elif not leading:
            return place
    return len(waiting)


def read_gates(commands: Sequence[WaitingCommand]) -> dict[int, GateFigures]:
    """The figures of every gate that the batch closes."""
    closing = [
        each.contract_id for each in commands if each.kind is IntakeKind.CLOSE_GATE and each.contract_id is not None
    ]
    if not closing:
        return {}
    contracts = Contract.objects.select_related("product", "terms").filter(id__in=closing)
    return {contract.id: _figures(contract) for contract in contracts}


def _figures(contract: Contract) -> GateFigures:
    reference = choose_reference(
        _traded(contract.id),
        [_traded(wider.id) for wider in _wider(contract)],
        tick_micros=product_terms(contract).tick_micros,
        last_settled_micros=_last_settled(contract),
        listing_ticks=contract.listing_price_ticks,
    )
    return GateFigures(reference, obligations_hash(contract.symbol, _obligations(contract.id), reference))


def _obligations(contract_id: int) -> list[Obligation]:
    return [
        Obligation(
            buyer=position.buyer_code,
            provider=position.provider_code,
            tokens=position.tokens,
            notional=position.notional,
            bond=position.bond,
            overage_tokens=position.overage_tokens,
            overage_hold=position.overage_hold,
        )
        for position in list_positions(contract_id=contract_id)
    ]


def _traded(contract_id: int) -> Traded:
    """All that stand: parties that belong together never trade with each other."""
    sums = (
        standing_fills()
        .filter(contract_id=contract_id)
        .aggregate(traded_lots=Sum("lots"), traded_ticks=Sum(F("lots") * F("price_ticks")))
    )
    return Traded(int(sums["traded_lots"] or 0), int(sums["traded_ticks"] or 0))


def _wider(contract: Contract) -> list[Contract]:
    """Contracts of the product whose longer window contains this one, narrowest first."""
    around = Contract.objects.filter(
        product=contract.product, delivery_start__lte=contract.delivery_start, delivery_end__gte=contract.delivery_end
    ).exclude(id=contract.id)
    return sorted(around, key=lambda wider: wider.delivery_end - wider.delivery_start)


def _last_settled(contract: Contract) -> int | None:
    settled = Contract.objects.filter(
        product=contract.product, state=ContractState.SETTLED, reference_price_micros__isnull=False
    )
    last: int | None = settled.order_by("-delivery_end", "-id").values_list("reference_price_micros", flat=True).first()
    return last
