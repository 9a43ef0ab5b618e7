"""What a pair's usage is reconciled by, besides the records themselves: one place for the job and for settlement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from settlement.market import SettledContract
from settlement.metering.bias_register import zeroed_pairs
from settlement.metering.completeness import ContractCompleteness, read_completeness
from settlement.metering.reconcile import Reconciliation, reconcile
from settlement.metering.records import CaseKind, Decided, Ruling, Side, UsageRecord
from settlement.metering.rules_of_pair import PairRules
from settlement.metering.weights import parse_weights
from settlement.models import CaseEntry, CaseEntryKind, CaseState

Pair = tuple[int, int]  # buyer and provider


@dataclass(frozen=True, slots=True)
class ContractRules:
    """The rules of all pairs of a contract, read at one time. `completeness` is what `complete` follows from."""

    contract: SettledContract
    completeness: ContractCompleteness
    zeroed: frozenset[Pair]
    rulings: Mapping[Pair, Mapping[CaseKind, Decided]]
    _usual: dict[tuple[bool, frozenset[Side]], PairRules] = field(default_factory=dict)
    _known: dict[Pair, PairRules] = field(default_factory=dict)

    def of_pair(self, buyer_id: int, provider_id: int) -> PairRules:
        """The same value for all pairs that nothing was ruled of, as far as they have the same rules."""
        pair = (buyer_id, provider_id)
        if pair not in self._known:
            key = (pair in self.zeroed, self.completeness.complete_sides(buyer_id, provider_id))
            self._known[pair] = (
                PairRules(*key, self.rulings[pair])
                if pair in self.rulings
                else self._usual.setdefault(key, PairRules(*key))
            )
        return self._known[pair]

    def reconcile(self, records: list[UsageRecord], rules: PairRules) -> Reconciliation:
        """Raises `InvalidTokenWeights`, which no contract does that has accepted usage."""
        return reconcile(
            records,
            weights=parse_weights(self.contract.terms.weights),
            tolerance=rules.tolerance,
            complete=rules.complete,
            rulings=rules.rulings,
        )


def load_rules(
    contract: SettledContract, *, through: int | None = None, as_of: datetime | None = None
) -> ContractRules:
    """The rules of a contract as they stand, or as operators had decided `as_of`; completeness by the calls up to
    number `through` if it is given."""
    return ContractRules(
        contract,
        read_completeness(contract.id, through=through),
        zeroed_pairs(contract.product_id, at=contract.delivery_start, as_of=as_of),
        _rulings(contract.id, as_of),
    )


def _rulings(contract_id: int, as_of: datetime | None) -> dict[Pair, dict[CaseKind, Decided]]:
    """As of their last proposal: who confirmed one confirmed what the first operator had looked at."""
    decided = CaseEntry.objects.filter(kind=CaseEntryKind.DECISION, case__contract_id=contract_id)
    if as_of is not None:
        decided = decided.filter(at__lte=as_of)
    proposals = (
        CaseEntry.objects.filter(
            kind=CaseEntryKind.PROPOSAL, case_id__in=decided.values("case_id"), case__state=CaseState.DECIDED
        )
        .order_by("case_id", "sequence")
        .values_list("case__buyer_id", "case__provider_id", "case__kind", "case__ruling", "at")
    )
    found: dict[Pair, dict[CaseKind, Decided]] = defaultdict(dict)
    for buyer_id, provider_id, kind, ruling, at in proposals:
        found[buyer_id, provider_id][CaseKind(kind)] = Decided(Ruling(ruling), at)
    return dict(found)
