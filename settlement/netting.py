"""Multilateral netting: many lines in, one payable or receivable a party out. Pure.

Netting moves no money: the lines are posted already. It says what a payment to each party may come to, and how much of
what was owed need not be paid one by one. Lines of all sides of a settlement sum to 0 (the house stands in for its
escrow accounts), and so do the nets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class PartyNet:
    """What a party's lines come to, in micros; credits and debits both of at least 0."""

    party_id: int
    credits_micros: int
    debits_micros: int

    @property
    def net_micros(self) -> int:
        return self.credits_micros - self.debits_micros


@dataclass(frozen=True, slots=True)
class Netting:
    """The parties by id; `gross_micros` is what they receive by their lines, `net_micros` what is left to receive."""

    parties: tuple[PartyNet, ...]
    gross_micros: int
    net_micros: int

    @property
    def ratio_ppm(self) -> int:
        """The part of the gross that need not be paid."""
        return ratio_ppm(self.gross_micros, self.net_micros)


def net(lines: Iterable[tuple[int, int]]) -> Netting:
    """Net lines of (party, amount in micros, positive when the party receives it).

    A party's lines may come summed by sign: the result is the same.
    """
    received: dict[int, int] = defaultdict(int)
    paid: dict[int, int] = defaultdict(int)
    for party_id, micros in lines:
        if micros > 0:
            received[party_id] += micros
        elif micros < 0:
            paid[party_id] -= micros
    parties = tuple(
        PartyNet(party_id, received.get(party_id, 0), paid.get(party_id, 0)) for party_id in sorted({*received, *paid})
    )
    return Netting(
        parties,
        gross_micros=sum(party.credits_micros for party in parties),
        net_micros=sum(party.net_micros for party in parties if party.net_micros > 0),
    )


def ratio_ppm(gross_micros: int, net_micros: int) -> int:
    """The part of a gross amount that need not be paid, rounded down; 0 when there is none."""
    return (gross_micros - net_micros) * PPM // gross_micros if gross_micros else 0
