"""After the day: which of the injected faults the exchange found, and what they cost anybody.

What honest meters would have given is calculated anew from the trace, by the pure parts of settlement alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Count, OuterRef, Subquery

from config.demo.faults import FAULTY_PROVIDER, Told
from config.demo.honest import Registers, use_by_minute
from config.demo.report import Fault, InjectedFaults, Metering, Shaving, UsageEvents
from config.demo.usage import ArrivalPlan
from exchange.models import Contract
from ledger.models import Party
from settlement.calculation import PositionOutcome, calculate
from settlement.market import load_contracts, load_parties
from settlement.metering.pair_figures import PairFigures
from settlement.metering.pair_rules import ContractRules, load_rules
from settlement.metering.reconcile import Verdict
from settlement.metering.rollup_check import find_differences
from settlement.metering.usage_records import PairUsage, read_pairs
from settlement.metering.weights import parse_weights
from settlement.models import (
    BiasDecision,
    DiscrepancyCase,
    EventKind,
    FrozenInput,
    PositionSettlement,
    UsageConflict,
    UsageEvent,
)
from settlement.outcome_record import outcome_from_record
from settlement.runs.figures import number_parties, position_input, position_terms
from settlement.runs.frozen import FrozenContract, read_frozen

Pair = tuple[str, str]  # codes of buyer and provider
_CAUGHT = {Verdict.CONFLICT, Verdict.UNWITNESSED}


@dataclass(slots=True)
class _Found:
    """What reconciliation makes of the day's requests, and what honest meters would have given."""

    lost_ends: int = 0
    signed_events: int = 0
    caught: set[str] = field(default_factory=set)  # ids of requests
    inside_tolerance: set[str] = field(default_factory=set)
    error_micros: int = 0
    inside_tolerance_micros: int = 0


def judge_metering(run_id: int, requests: Sequence[Told], plan: ArrivalPlan, events: UsageEvents) -> Metering:
    """Compare what was injected with what was found; `run_id` is the final run."""
    found = _find(run_id, requests)
    lost = sum(bool(told.lost_by) for told in requests)
    inflated = {told.request_id for told in requests if told.inflated_tokens}
    return Metering(
        faults=InjectedFaults(
            duplicates=Fault(plan.duplicates, events.duplicates),
            late=Fault(plan.late, _late_events()),
            lost_ends=Fault(lost, found.lost_ends),
            shaving=_shaving(requests, found),
            reasoning_inflation=Fault(len(inflated), len(inflated & found.caught)),
        ),
        quarantined=UsageEvent.objects.exclude(quarantine_reason=None).count(),
        conflicts=UsageConflict.objects.count(),
        signed_events=found.signed_events,
        cases=_cases(),
        zeroed_pairs=len(_zeroed_pairs()),
        rollup_differences=len(find_differences()),
        money_error_micros=found.error_micros,
    )


def _find(run_id: int, requests: Iterable[Told]) -> _Found:
    by_pair: dict[str, dict[Pair, list[Told]]] = defaultdict(lambda: defaultdict(list))
    for told in requests:
        holding = told.use.holding
        by_pair[holding.symbol][holding.buyer, holding.provider].append(told)
    rows = list(PositionSettlement.objects.filter(run_id=run_id))
    codes = {party.id: party.code for party in load_parties(_party_ids(rows)).values()}
    settled = {
        (row.contract_id, codes[row.buyer_id], codes[row.provider_id]): outcome_from_record(row.outcome) for row in rows
    }
    inputs = dict(FrozenInput.objects.filter(run_id=run_id).values_list("contract_id", "content"))
    found = _Found()
    for contract in load_contracts({contract_id for contract_id, _, _ in settled}).values():
        rules = load_rules(contract)
        for usage in read_pairs(contract):
            _tally(usage, rules, found)
        frozen = read_frozen(bytes(inputs[contract.id]))
        outcomes = {
            (buyer, provider): outcome for (each, buyer, provider), outcome in settled.items() if each == contract.id
        }
        _compare(frozen, by_pair[contract.symbol], outcomes, found)
    return found


def _party_ids(rows: Iterable[PositionSettlement]) -> set[int]:
    return {party_id for row in rows for party_id in (row.buyer_id, row.provider_id)}


def _tally(usage: PairUsage, rules: ContractRules, found: _Found) -> None:
    reconciliation = rules.reconcile(usage.records, rules.of_pair(usage.buyer_id, usage.provider_id))
    found.signed_events += sum(usage.signed.values())
    found.lost_ends += sum(reconciliation.lost_ends.values()) + reconciliation.verdicts.get(Verdict.LOST_END, 0)
    for request in reconciliation.requests:
        if request.verdict in _CAUGHT:
            found.caught.add(request.request_id)
        elif request.verdict is Verdict.WITHIN_TOLERANCE:
            found.inside_tolerance.add(request.request_id)


def _compare(
    frozen: FrozenContract, requests: dict[Pair, list[Told]], settled: dict[Pair, PositionOutcome], found: _Found
) -> None:
    """What each position settled at, what it would have by honest meters, and by these but for what was tolerated."""
    weights, refused = parse_weights(frozen.terms.weights), frozen.terms.refused_output_tokens
    ids = number_parties(frozen)
    for position in frozen.positions:
        pair = (position.buyer, position.provider)
        terms = position_terms(frozen, position, ids)
        honest, tolerated = (
            calculate(
                terms,
                position_input(
                    frozen,
                    position,
                    PairFigures(
                        minutes=use_by_minute(
                            requests.get(pair, []), weights, refused_output_tokens=refused, tolerant=as_shaved
                        )
                    ),
                ),
            )
            for as_shaved in (False, not position.rules.tolerance_zero)
        )
        found.error_micros += _difference(settled[pair], tolerated)
        found.inside_tolerance_micros += _difference(tolerated, honest)


def _difference(one: PositionOutcome, other: PositionOutcome) -> int:
    """Micros that go another way, whatever their sign."""
    return sum(
        abs(mine - theirs)
        for mine, theirs in (
            (one.paid_micros, other.paid_micros),
            (one.refund_short_micros, other.refund_short_micros),
            (one.damages_micros, other.damages_micros),
            (one.overage.gross_micros, other.overage.gross_micros),
            (one.overage_fee_micros, other.overage_fee_micros),
        )
    )


def _shaving(requests: Iterable[Told], found: _Found) -> Shaving:
    registers = Registers()
    shaved: dict[str, int] = {}
    for told in requests:
        registers.enter(told)
        if told.shaved_tokens:
            shaved[told.request_id] = told.shaved_tokens
    zeroed = {(buyer, product) for provider, buyer, product in _zeroed_pairs() if provider == FAULTY_PROVIDER}
    return Shaving(
        requests=len(shaved),
        tokens=sum(shaved.values()),
        caught=len(shaved.keys() & found.caught),
        inside_tolerance=len(shaved.keys() & found.inside_tolerance),
        inside_tolerance_micros=found.inside_tolerance_micros,
        pairs=len(registers.leaning() | zeroed),
        caught_pairs=len(zeroed),
    )


def _zeroed_pairs() -> set[tuple[str, str, str]]:
    """Provider, buyer and product of the pairs whose tolerance was taken, by their codes."""
    rows = set(BiasDecision.objects.values_list("provider_id", "buyer_id", "product_id"))
    codes = dict(Party.objects.values_list("id", "code"))
    products = dict(Contract.objects.values_list("product_id", "product__code").distinct())
    return {(codes[provider], codes[buyer], products[product]) for provider, buyer, product in rows}


def _late_events() -> int:
    """How requests ended that was told after the window's end; the rest came at the very end."""
    ended = Contract.objects.filter(id=OuterRef("contract_id")).values("delivery_end")
    told = UsageEvent.objects.filter(kind__in=(EventKind.COMPLETED, EventKind.REFUSED), quarantine_reason=None)
    return told.filter(received_at__gt=Subquery(ended)).count()


def _cases() -> dict[str, int]:
    counted = DiscrepancyCase.objects.values_list("kind").annotate(Count("id")).order_by("kind")
    return dict(counted)
