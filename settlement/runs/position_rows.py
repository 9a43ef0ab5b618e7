"""What a run found for its positions, kept as rows and read back. From here on nothing is read or calculated again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from settlement.calculation import MILLI, PositionOutcome
from settlement.market import SettledContract, load_contracts, load_parties
from settlement.models import PositionSettlement, RunKind, SettlementRun, UnmatchedUsage
from settlement.outcome_record import outcome_from_record, outcome_record
from settlement.postings import PositionAccounts
from settlement.runs.inputs import Finding, Findings, ended_record, evidence_of


@dataclass(frozen=True, slots=True)
class SettledPosition:
    """A position in a run: its cumulative figures, those of the run before (None in an initial run), and its terms."""

    contract: SettledContract
    accounts: PositionAccounts
    outcome: PositionOutcome
    earlier: PositionOutcome | None
    evidence: dict[str, Any]
    tokens: int
    notional_micros: int
    bond_micros: int
    overage_hold_micros: int
    schedule_version: int


def keep_findings(run: SettlementRun, contract: SettledContract, findings: Findings) -> None:
    """Write down what a run found in a contract."""
    PositionSettlement.objects.bulk_create(
        PositionSettlement(
            run=run,
            contract_id=contract.id,
            buyer_id=finding.position.buyer.id,
            provider_id=finding.position.provider.id,
            outcome=outcome_record(finding.outcome),
            evidence=evidence_of(finding.usage) | _terms(contract, finding),
        )
        for finding in findings.positions
    )
    UnmatchedUsage.objects.bulk_create(
        UnmatchedUsage(
            run=run,
            contract_id=contract.id,
            buyer_id=usage.buyer_id,
            provider_id=usage.provider_id,
            tokens=usage.reconciliation.settled_millitokens // MILLI,
            evidence=evidence_of(usage),
        )
        for usage in findings.unmatched
    )


def load_contract_positions(run: SettlementRun, contract_id: int) -> list[SettledPosition]:
    """A contract's positions in a run, by the codes of buyer and provider."""
    return _load(run, PositionSettlement.objects.filter(run=run, contract_id=contract_id))


def load_party_positions(run: SettlementRun, party_id: int) -> list[SettledPosition]:
    """The positions of a run in which a party is buyer, provider or beneficiary; window by window."""
    shares = {"pay": {"shares": [{"party_id": party_id}]}}
    concerned = Q(buyer_id=party_id) | Q(provider_id=party_id) | Q(outcome__contains=shares)
    return _load(run, PositionSettlement.objects.filter(concerned, run=run))


def load_all_positions(run: SettlementRun) -> list[SettledPosition]:
    """All positions of a run, window by window."""
    return _load(run, PositionSettlement.objects.filter(run=run))


def _load(run: SettlementRun, rows: Iterable[PositionSettlement]) -> list[SettledPosition]:
    rows = list(rows)
    contracts = load_contracts({row.contract_id for row in rows})
    parties = load_parties({party_id for row in rows for party_id in (row.buyer_id, row.provider_id)})
    earlier = _earlier_outcomes(run, {row.contract_id for row in rows})
    positions = [
        SettledPosition(
            contract=contracts[row.contract_id],
            accounts=contracts[row.contract_id].accounts(parties[row.buyer_id], parties[row.provider_id]),
            outcome=outcome_from_record(row.outcome),
            earlier=earlier.get((row.contract_id, row.buyer_id, row.provider_id)),
            evidence=row.evidence,
            tokens=int(row.evidence["tokens"]),
            notional_micros=int(row.evidence["notional_micros"]),
            bond_micros=int(row.evidence["bond_micros"]),
            overage_hold_micros=int(row.evidence["overage_hold_micros"]),
            schedule_version=int(row.evidence["schedule_version"]),
        )
        for row in rows
    ]
    return sorted(positions, key=_order)


def _order(position: SettledPosition) -> tuple[Any, ...]:
    contract, accounts = position.contract, position.accounts
    return contract.delivery_start, contract.symbol, accounts.buyer.code, accounts.provider.code


def _earlier_outcomes(run: SettlementRun, contract_ids: Iterable[int]) -> dict[tuple[int, int, int], PositionOutcome]:
    """What the initial run found; nothing comes before that."""
    if run.kind == RunKind.INITIAL:
        return {}
    rows = PositionSettlement.objects.filter(
        run__currency_id=run.currency_id,
        run__period_start=run.period_start,
        run__period_end=run.period_end,
        run__kind=RunKind.INITIAL,
        contract_id__in=list(contract_ids),
    )
    return {(row.contract_id, row.buyer_id, row.provider_id): outcome_from_record(row.outcome) for row in rows}


def _terms(contract: SettledContract, finding: Finding) -> dict[str, str]:
    position = finding.position
    return {
        "tokens": str(position.tokens),
        "notional_micros": str(position.notional_micros),
        "provider_fee_picos": str(position.provider_fee_picos),
        "bond_micros": str(position.bond_micros),
        "overage_tokens": str(position.overage_tokens),
        "overage_hold_micros": str(position.overage_hold_micros),
        "reference_price_micros": str(contract.reference_price_micros or 0),
        "schedule_version": str(finding.schedule.version),
    } | ended_record(position)
