"""What the gate fixes: the reference price by its steps, and one hash for one set of obligations."""

from __future__ import annotations

from dataclasses import replace

from exchange.gate_record import (
    Obligation,
    ReferencePrice,
    ReferenceStep,
    Traded,
    choose_reference,
    obligations_hash,
)

NOTHING = Traded(0, 0)
SOME = Obligation("buyer-1", "provider-1", 100_000, 420_000, 1_000_000, 0, 0)
OTHER = replace(SOME, buyer="buyer-2")
PRICE = ReferencePrice(4_200_000, ReferenceStep.TRADES)


def test_each_step_counts_only_when_those_before_it_fail() -> None:
    def chosen(own: Traded, wider: list[Traded], last: int | None) -> ReferencePrice:
        return choose_reference(own, wider, tick_micros=10_000, last_settled_micros=last, listing_ticks=420)

    traded = Traded(3, 3 * 400)
    assert chosen(traded, [Traded(1, 500)], 1) == ReferencePrice(4_000_000, ReferenceStep.TRADES)
    assert chosen(NOTHING, [NOTHING, Traded(1, 500)], 1) == ReferencePrice(5_000_000, ReferenceStep.WIDER_WINDOW)
    assert chosen(NOTHING, [NOTHING], 1) == ReferencePrice(1, ReferenceStep.LAST_SETTLED)
    assert chosen(NOTHING, [], None) == ReferencePrice(4_200_000, ReferenceStep.LISTING)


def test_the_volume_weighted_price_is_rounded_down_to_the_micro() -> None:
    traded = Traded(3, 400 + 2 * 401)
    assert choose_reference(traded, [], tick_micros=10, last_settled_micros=None, listing_ticks=1).micros == 4_006


def test_the_hash_covers_every_figure_but_not_the_order() -> None:
    first = obligations_hash("S", [SOME, OTHER], PRICE)
    assert first == obligations_hash("S", [OTHER, SOME], PRICE)
    assert first != obligations_hash("S", [SOME], PRICE)
    assert first != obligations_hash("T", [SOME, OTHER], PRICE)
    assert first != obligations_hash("S", [replace(SOME, bond=1), OTHER], PRICE)
    assert first != obligations_hash("S", [SOME, OTHER], replace(PRICE, step=ReferenceStep.LISTING))
