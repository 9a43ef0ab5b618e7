"""Reading discrepancy cases, and the bias register."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from exchange.models import Contract, Product
from ledger.models import Party
from settlement.errors import CaseNotFound
from settlement.metering.bias import Bias
from settlement.metering.bias_register import RegisterKey, latest_decision, register_of
from settlement.models import BiasDecision, BiasStep, CaseEntry, CaseState, DiscrepancyCase, PairReconciliation

UNSETTLED_STATES = (CaseState.OPEN, CaseState.ANSWERED, CaseState.PROPOSED)


def list_cases(party_ids: Collection[int] | None = None) -> QuerySet[DiscrepancyCase]:
    """Cases between some parties and others, or all (None), the latest first.

    Each with the `symbol` of its contract and `buyer_code` and `provider_code`.
    """
    cases = DiscrepancyCase.objects.order_by("-id").annotate(
        symbol=_named(Contract.objects.all(), "contract_id", "symbol"),
        buyer_code=_named(Party.objects.all(), "buyer_id", "code"),
        provider_code=_named(Party.objects.all(), "provider_id", "code"),
    )
    return cases if party_ids is None else cases.filter(_own(party_ids))


def get_case(case_id: int, party_ids: Collection[int] | None = None) -> DiscrepancyCase:
    """A case that one of these parties may see; None: whoever's it is. Raises `CaseNotFound`."""
    case = list_cases(party_ids).filter(id=case_id).first()
    if case is None:
        raise CaseNotFound(f"There is no discrepancy case {case_id}.", case=str(case_id))
    return case


def list_entries(case: DiscrepancyCase) -> QuerySet[CaseEntry]:
    """What happened in a case, in order; `party_code` says whose word it is, None: the exchange's."""
    entries = CaseEntry.objects.filter(case=case).order_by("sequence")
    return entries.annotate(party_code=_named(Party.objects.all(), "party_id", "code"))


def unsettled_cases(contract_id: int) -> dict[tuple[int, int], list[DiscrepancyCase]]:
    """Cases of a contract that nobody decided or resolved yet, by (buyer, provider)."""
    found: dict[tuple[int, int], list[DiscrepancyCase]] = defaultdict(list)
    for case in DiscrepancyCase.objects.filter(contract_id=contract_id, state__in=UNSETTLED_STATES).order_by("kind"):
        found[case.buyer_id, case.provider_id].append(case)
    return dict(found)


def has_open_case(contract_id: int) -> bool:
    """Whether nobody has decided or resolved a discrepancy of a contract yet."""
    return DiscrepancyCase.objects.filter(contract_id=contract_id, state__in=UNSETTLED_STATES).exists()


@dataclass(frozen=True, slots=True)
class RegisterEntry:
    """The bias register of a pair as it stands after the latest window that was reconciled."""

    provider: str
    buyer: str
    product: str
    latest: PairReconciliation
    register: Bias
    decision: BiasDecision | None

    @property
    def tolerance_zero(self) -> bool:
        """Whether windows that start from now on have no tolerance."""
        return self.decision is not None and self.decision.step == BiasStep.ZEROED


def list_registered_pairs(party_ids: Collection[int] | None = None) -> QuerySet[PairReconciliation]:
    """The latest reconciliation of each pair and product, one of some parties' or all (None)."""
    latest = PairReconciliation.objects.order_by(
        "provider_id", "buyer_id", "product_id", "-delivery_start", "-contract_id", "-revision"
    ).distinct("provider_id", "buyer_id", "product_id")
    if party_ids is not None:
        latest = latest.filter(_own(party_ids))
    return PairReconciliation.objects.filter(id__in=latest.values("id")).order_by("-id")


def read_registers(latest: Iterable[PairReconciliation]) -> list[RegisterEntry]:
    """The registers of these pairs."""
    rows = list(latest)
    parties = dict(
        Party.objects.filter(id__in={id for row in rows for id in (row.provider_id, row.buyer_id)}).values_list(
            "id", "code"
        )
    )
    products = dict(Product.objects.filter(id__in={row.product_id for row in rows}).values_list("id", "code"))
    entries = []
    for row in rows:
        key = RegisterKey(row.provider_id, row.buyer_id, row.product_id)
        entries.append(
            RegisterEntry(
                provider=parties[row.provider_id],
                buyer=parties[row.buyer_id],
                product=products[row.product_id],
                latest=row,
                register=register_of(key, until=row.delivery_start),
                decision=latest_decision(key),
            )
        )
    return entries


def list_zeroed(party_ids: Collection[int] | None = None) -> list[BiasDecision]:
    """The pairs whose windows have no tolerance from now on, of some parties' or all (None).

    Each with `buyer_code`, `provider_code` and `product_code`.
    """
    latest = BiasDecision.objects.order_by("provider_id", "buyer_id", "product_id", "-effective_from", "-id").distinct(
        "provider_id", "buyer_id", "product_id"
    )
    zeroed = BiasDecision.objects.filter(id__in=latest.values("id"), step=BiasStep.ZEROED).annotate(
        buyer_code=_named(Party.objects.all(), "buyer_id", "code"),
        provider_code=_named(Party.objects.all(), "provider_id", "code"),
        product_code=_named(Product.objects.all(), "product_id", "code"),
    )
    return list((zeroed if party_ids is None else zeroed.filter(_own(party_ids))).order_by("-id"))


def _own(party_ids: Collection[int]) -> Q:
    own = list(party_ids)
    return Q(buyer_id__in=own) | Q(provider_id__in=own)


def _named(table: QuerySet[Any], number: str, name: str) -> Subquery:
    return Subquery(table.filter(id=OuterRef(number)).values(name)[:1])
