"""Reading all that a run settles contracts from, once, into values: what comes after looks at those alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db.models import Q

from ledger.models import Party, PartyKind
from settlement.disputes.credits import SettledDispute
from settlement.errors import ContractNotDelivered
from settlement.market import Position, SettledContract, load_positions, load_schedules
from settlement.metering.completeness_rules import CompletenessState
from settlement.metering.pair_figures import PairFigures
from settlement.metering.pair_rules import ContractRules, load_rules
from settlement.metering.plain_usage import MeteredContract, read_figures
from settlement.metering.records import Side
from settlement.metering.usage_records import usage_since
from settlement.metering.weights import parse_weights
from settlement.models import ForceMajeure, Meter, RequestState, SettlementRun, UsageWatermark
from settlement.runs.earlier import basis_of, earlier_outcomes, settled_disputes
from settlement.runs.frozen import (
    NO_LIMIT,
    SUSPENDING,
    FrozenContract,
    FrozenPosition,
    FrozenSchedule,
    FrozenShare,
    FrozenUnmatched,
    FrozenUsage,
    Span,
    portable,
)
from settlement.runs.make_up_rows import Credits
from settlement.selectors.disputes import frozen_dispute
from settlement.splits import ShareSchedule

_WORST_FIRST = (CompletenessState.INCOMPLETE, CompletenessState.OPEN, CompletenessState.COMPLETE)

Pair = tuple[int, int]  # buyer and provider


@dataclass(frozen=True, slots=True)
class Parties:
    """All parties by number and by code: there are few, and every line names some."""

    codes: Mapping[int, str]
    ids: Mapping[str, int]
    house: str


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of a contract: its positions and rules, and the figures of every pair with usage."""

    contract: SettledContract
    positions: list[Position]
    rules: ContractRules
    usage: Mapping[Pair, PairFigures]


def usage_limit(run: SettlementRun) -> int:
    """The number of the last call that a run reads. Runs of earlier releases name none and read all there is."""
    return NO_LIMIT if run.usage_through is None else run.usage_through


def load_all_parties() -> Parties:
    """Everybody."""
    rows = list(Party.objects.values_list("id", "code", "kind"))
    codes = {party_id: code for party_id, code, _ in rows}
    house = next(code for _, code, kind in rows if kind == PartyKind.HOUSE)
    return Parties(codes, {code: party_id for party_id, code in codes.items()}, house)


def read_contracts(contracts: Sequence[SettledContract], *, through: int, as_of: datetime) -> list[Read]:
    """Positions, rules and usage of some contracts, the usage of all of them at once. Raises `ContractNotDelivered`.

    `through`, `as_of`: the last call, and the last moment of operators' decisions, that count.
    """
    rules = {contract.id: load_rules(contract, through=through, as_of=as_of) for contract in contracts}
    figures = _usage(contracts, rules, through)
    read = []
    for contract in contracts:
        positions = load_positions(contract, as_of=as_of)
        if positions and contract.reference_price_micros is None:
            raise ContractNotDelivered(f"{contract.symbol} has no reference price yet.", contract=contract.symbol)
        read.append(Read(contract, positions, rules[contract.id], figures.get(contract.id, {})))
    return read


def _usage(
    contracts: Iterable[SettledContract], rules: Mapping[int, ContractRules], through: int
) -> dict[int, dict[Pair, PairFigures]]:
    asked = {
        contract.id: MeteredContract(
            contract.id,
            parse_weights(contract.terms.weights),
            contract.terms.sla is not None,
            rules[contract.id].completeness.complete_buyers(),
            rules[contract.id].of_pair,
        )
        for contract in contracts
        if rules[contract.id].completeness.meters  # else nothing was told of it
    }
    found: dict[int, dict[Pair, PairFigures]] = {}
    if asked:
        since = min(usage_since(contract.delivery_start) for contract in contracts)
        for (contract_id, *pair), figures in read_figures(asked, since=since, through=through).items():
            found.setdefault(contract_id, {})[pair[0], pair[1]] = figures
    return found


def freeze(
    run: SettlementRun, read: Read, credits: Credits, parties: Parties, versions: tuple[str, str]
) -> FrozenContract:
    """A contract as one value. `versions`: of the rules, and of the code."""
    contract, positions, basis = read.contract, read.positions, basis_of(run)
    earlier = earlier_outcomes(run, contract.id)
    settled = settled_disputes(run, contract.id, parties.codes) if earlier else {}
    schedules = {
        provider_id: _schedule(schedule, parties)
        for provider_id, schedule in load_schedules(contract, {each.provider for each in positions}).items()
    }
    disputes = () if run.dispute_id is None else (frozen_dispute(run.dispute_id).to_json(),)
    return FrozenContract(
        symbol=contract.symbol,
        currency=run.currency.code,
        product=contract.product_code,
        house=parties.house,
        delivery_start=contract.delivery_start,
        delivery_end=contract.delivery_end,
        gate_close=contract.gate_close,
        terms=contract.terms,
        terms_hash=contract.terms_hash.hex(),
        obligations_hash=contract.obligations_hash.hex(),
        reference_price_micros=contract.reference_price_micros or 0,
        reference_step=contract.reference_step,
        watermarks=_watermarks(contract, usage_limit(run)),
        force_majeure=_force_majeure(
            contract, {each.provider.id: each.provider.code for each in positions}, basis.created_at
        ),
        positions=tuple(
            _freeze_position(position, read, credits, parties, schedules, earlier, settled) for position in positions
        ),
        unmatched=_unmatched(read, parties),
        disputes=disputes,
        usage_through=usage_limit(run),
        suspends=basis.kind in SUSPENDING,
        rules_version=versions[0],
        code_version=versions[1],
    )


def _freeze_position(
    position: Position,
    read: Read,
    credits: Credits,
    parties: Parties,
    schedules: Mapping[int, FrozenSchedule],
    earlier: Mapping[Pair, dict[str, Any]],
    settled: Mapping[Pair, tuple[SettledDispute, ...]],
) -> FrozenPosition:
    pair = (position.buyer.id, position.provider.id)
    return FrozenPosition(
        buyer=position.buyer.code,
        provider=position.provider.code,
        tokens=position.tokens,
        notional_micros=position.notional_micros,
        provider_fee_picos=position.provider_fee_picos,
        bond_micros=position.bond_micros,
        overage_tokens=position.overage_tokens,
        overage_hold_micros=position.overage_hold_micros,
        ended=None if position.ended is None else (position.ended.at, position.ended.by.value),
        schedule=schedules[position.provider.id],
        rules=read.rules.of_pair(*pair),
        completeness=_completeness(read.rules, *pair),
        usage=_used(read.usage.get(pair)),
        make_up=credits.offered(read.contract, *pair),
        earlier=portable(earlier[pair], parties.codes) if pair in earlier else None,
        settled=settled.get(pair, ()),
    )


def _unmatched(read: Read, parties: Parties) -> tuple[FrozenUnmatched, ...]:
    """Usage of pairs that have no position."""
    sold = {(position.buyer.id, position.provider.id) for position in read.positions}
    named = sorted((parties.codes[pair[0]], parties.codes[pair[1]], pair) for pair in read.usage if pair not in sold)
    return tuple(
        FrozenUnmatched(
            buyer, provider, read.rules.of_pair(*pair), _completeness(read.rules, *pair), _used(read.usage[pair])
        )
        for buyer, provider, pair in named
    )


def _used(figures: PairFigures | None) -> FrozenUsage:
    nothing = PairFigures()
    found = nothing if figures is None else figures
    return FrozenUsage(found.events, found.digest)


def _completeness(rules: ContractRules, buyer_id: int, provider_id: int) -> Mapping[Side, CompletenessState]:
    """Of each side whose meters told anything of the contract, the state of the least complete one."""
    meters = rules.completeness.of_pair(buyer_id, provider_id)
    return _worst(frozenset((meter.side, meter.completeness.state) for meter in meters))


@lru_cache(maxsize=256)
def _worst(states: frozenset[tuple[Side, CompletenessState]]) -> Mapping[Side, CompletenessState]:
    sides = {side for side, _ in states}
    return {side: next(state for state in _WORST_FIRST if (side, state) in states) for side in Side if side in sides}


def _schedule(schedule: ShareSchedule, parties: Parties) -> FrozenSchedule:
    return FrozenSchedule(
        schedule.version,
        tuple(
            FrozenShare(
                share.beneficiary,
                share.weight_ppm,
                share.recipient,
                "" if share.party_id is None else parties.codes[share.party_id],
            )
            for share in schedule.shares
        ),
    )


def _watermarks(contract: SettledContract, through: int) -> tuple[dict[str, str], ...]:
    codes = dict(Meter.objects.values_list("id", "code"))
    rows = UsageWatermark.objects.filter(contract_id=contract.id, batch_id__lte=through)
    found = [
        {
            "meter": codes[row.meter_id],
            "sequence": str(row.sequence),
            "up_to": row.up_to.astimezone(UTC).isoformat(),
            "events": str(row.events),
            "root": bytes(row.root).hex(),
        }
        for row in rows
    ]
    return tuple(sorted(found, key=lambda each: (each["meter"], int(each["sequence"]))))


def _force_majeure(
    contract: SettledContract, providers: Mapping[int, str], as_of: datetime
) -> dict[str, tuple[Span, ...]]:
    """What operators had confirmed of the window, by the provider's code."""
    spans: dict[str, list[Span]] = {}
    rows = ForceMajeure.objects.filter(
        Q(product_id=None) | Q(product_id=contract.product_id),
        state=RequestState.CONFIRMED,
        decided_at__lte=as_of,
        provider_id__in=providers,
        starts_at__lt=contract.delivery_end,
        ends_at__gt=contract.delivery_start,
    )
    for row in rows.order_by("starts_at", "ends_at", "id"):
        spans.setdefault(providers[row.provider_id], []).append((row.starts_at, row.ends_at))
    return {code: tuple(found) for code, found in sorted(spans.items())}
