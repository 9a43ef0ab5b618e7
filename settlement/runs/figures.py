"""From a frozen contract and its usage to what each position comes to: the one calculation of every run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from settlement.calculation import (
    PositionInput,
    PositionOutcome,
    PositionTerms,
    calculate_exactly,
    difference,
)
from settlement.metering.pair_figures import NO_SERVICE, PairFigures
from settlement.outcome_record import outcome_from_record
from settlement.runs.evidence import metering_text, meters_of, pair_evidence, position_evidence
from settlement.runs.frozen import FrozenContract, FrozenPosition, FrozenSchedule, FrozenUnmatched, local
from settlement.sla import SlaRule
from settlement.splits import Recipient, Share, ShareSchedule

CANCELLATION = "cancellation"  # what ended a position without damages

Pair = tuple[str, str]  # codes of buyer and provider


class PositionFigure(Struct, frozen=True, gc=False):
    """What a run found for a position.

    `outcome` is cumulative, `earlier` what was posted before (None if nothing was), `posted` their difference. `exact`:
    the cumulative micros of each line before rounding, by line, as (numerator, denominator) in lowest terms. `ids` are
    the numbers that the parties of its shares have in the outcome, by their codes.
    """

    contract: FrozenContract
    position: FrozenPosition
    usage: PairFigures
    outcome: PositionOutcome
    earlier: PositionOutcome | None
    posted: PositionOutcome
    exact: Mapping[str, tuple[int, int]]
    metering: str
    evidence: dict[str, Any]
    ids: Mapping[str, int]

    @property
    def codes(self) -> dict[int, str]:
        """The parties of the shares by their numbers in the outcome."""
        return {number: code for code, number in self.ids.items()}


class UnmatchedFigure(Struct, frozen=True, gc=False):
    """Usage of a pair without a position: said, never charged."""

    pair: FrozenUnmatched
    usage: PairFigures
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ContractFigures:
    """What a run found in a contract; positions and unmatched pairs in the order of the frozen contract."""

    positions: tuple[PositionFigure, ...]
    unmatched: tuple[UnmatchedFigure, ...]


def settle(
    frozen: FrozenContract, usage: Mapping[Pair, PairFigures], ids: Mapping[str, int] | None = None
) -> ContractFigures:
    """What each position of a contract comes to.

    `usage` by the codes of buyer and provider; a pair that is not in it has none. `ids` gives the parties that have
    shares the numbers they get in outcomes; without it they are numbered here, which changes no amount.
    """
    numbers = number_parties(frozen) if ids is None else ids
    unused = PairFigures(service=None if frozen.terms.sla is None else NO_SERVICE)
    terms: dict[FrozenSchedule, PositionTerms] = {}
    positions = []
    for position in frozen.positions:
        used = usage.get((position.buyer, position.provider), unused)
        if position.schedule not in terms:
            terms[position.schedule] = position_terms(frozen, position, numbers)
        positions.append(_position(frozen, position, used, terms[position.schedule], numbers))
    unmatched = tuple(
        UnmatchedFigure(pair, used, pair_evidence(used, meters_of(frozen, pair, used)))
        for pair in frozen.unmatched
        for used in (usage[pair.buyer, pair.provider],)
    )
    return ContractFigures(tuple(positions), unmatched)


def number_parties(frozen: FrozenContract) -> dict[str, int]:
    """A number for each party that has a share in the contract, by code."""
    codes = {share.party for each in frozen.positions for share in each.schedule.shares if share.party}
    for position in frozen.positions:
        for payout in (position.earlier or {}).values():
            if isinstance(payout, Mapping):
                codes |= {share["party"] for share in payout["shares"] if share["party"]}
    return {code: number for number, code in enumerate(sorted(codes), start=1)}


def position_terms(frozen: FrozenContract, position: FrozenPosition, ids: Mapping[str, int]) -> PositionTerms:
    """What the contract fixes for positions with this provider's schedule."""
    terms, service = frozen.terms, frozen.terms.service_class
    sla = None
    if terms.sla is not None:
        sla = SlaRule(
            ttft_p95_ms=service.ttft_p95_ms,
            output_tokens_per_s=service.output_tokens_per_s,
            availability_ppm=service.availability_ppm,
            ttft_permille=terms.sla.ttft_permille,
            speed_permille=terms.sla.speed_permille,
            availability_permille=terms.sla.availability_permille,
            cap_permille=terms.sla.cap_permille,
            min_requests=terms.sla.min_requests,
        )
    return PositionTerms(
        window_seconds=int((frozen.delivery_end - frozen.delivery_start).total_seconds()),
        max_request_tokens=terms.max_request_tokens,
        burst_permille=terms.burst_permille,
        take_or_pay_permille=terms.take_or_pay_permille,
        damages_permille=terms.damages_permille,
        buyer_fee_ppm=terms.buyer_fee_ppm,
        schedule=_schedule(position, ids),
        sla=sla,
        make_up_permille=0 if terms.make_up is None else terms.make_up.permille,
    )


def position_input(frozen: FrozenContract, position: FrozenPosition, used: PairFigures) -> PositionInput:
    """A position as the calculation takes it."""
    ended_at, ended_by = position.ended or (None, None)
    return PositionInput(
        tokens=position.tokens,
        notional_micros=position.notional_micros,
        provider_fee_picos=position.provider_fee_picos,
        minutes=used.minutes,
        reference_price_micros=frozen.reference_price_micros,
        bond_micros=position.bond_micros,
        overage_cap_tokens=position.overage_tokens,
        overage_hold_micros=position.overage_hold_micros,
        force_majeure=ended_by == CANCELLATION,
        ended_at=ended_at,
        disputed_millitokens=used.disputed_millitokens if frozen.suspends else 0,
        service=used.service,
        make_up=position.make_up,
        force_majeure_spans=frozen.force_majeure.get(position.provider, ()),
    )


def _position(
    frozen: FrozenContract,
    position: FrozenPosition,
    used: PairFigures,
    terms: PositionTerms,
    ids: Mapping[str, int],
) -> PositionFigure:
    earlier = None if position.earlier is None else outcome_from_record(local(position.earlier, ids))
    exact: Mapping[str, tuple[int, int]] = {}
    if frozen.disputes and earlier is not None:  # a decision moves what it decided, and no figure
        outcome = earlier
    else:
        outcome, exact = calculate_exactly(terms, position_input(frozen, position, used))
    meters = meters_of(frozen, position, used)
    return PositionFigure(
        contract=frozen,
        position=position,
        usage=used,
        outcome=outcome,
        earlier=earlier,
        posted=outcome if earlier is None else difference(outcome, earlier),
        exact=exact,
        metering=metering_text(frozen, position, used, outcome, meters),
        evidence=position_evidence(frozen, position, used, meters),
        ids=ids,
    )


def _schedule(position: FrozenPosition, ids: Mapping[str, int]) -> ShareSchedule:
    return ShareSchedule(
        position.schedule.version,
        tuple(
            Share(
                share.beneficiary,
                share.weight_ppm,
                share.recipient,
                ids[share.party] if share.recipient is Recipient.PARTY else None,
            )
            for share in position.schedule.shares
        ),
    )
