"""What a party's statement of a run says: its lines, what the meters said, how its income was shared out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from django.db.models import Q

from ledger.models import Party, PartyKind
from settlement.adjustments import CLAIM_REF, DEBT_REF, adjustment_reference
from settlement.calculation import PositionOutcome, difference
from settlement.market import load_contracts, load_parties
from settlement.models import ClosingBalance, SettlementRun, UnmatchedUsage
from settlement.postings import SOURCE, Line
from settlement.runs.position_rows import SettledPosition, load_all_positions, load_party_positions
from settlement.statements.document import MeteringFigure, SplitFigure, StatementLine
from settlement.statements.entries import entries_with_refs
from settlement.statements.lines import LineContext, beneficiary_lines, buyer_lines, provider_lines, split_figures


@dataclass(frozen=True, slots=True)
class PartyContent:
    """The parts of a statement that tell of positions."""

    lines: list[StatementLine]
    metering: list[MeteringFigure]
    splits: list[SplitFigure]


def party_content(run: SettlementRun, party: Party, closing: ClosingBalance) -> PartyContent:
    """All a run did for a party. A later run's lines are its changes; what the meters said is always the whole."""
    if party.kind == PartyKind.HOUSE:
        positions = load_all_positions(run)
        fees = [line for position in positions for line in _house_lines(position, run.key)]
        return PartyContent(fees + _uncovered_lines(positions, closing, run.key), [], [])
    positions = load_party_positions(run, party.id)
    lines = [line for position in positions for line in _position_lines(position, party.id, run.key)]
    uncovered = _uncovered_lines(positions, closing, run.key)
    return PartyContent(
        lines=lines + uncovered + _unmatched_lines(run, party.id),
        metering=[_metering(each, party.id) for each in positions if _is_side(each, party.id)],
        splits=[
            split
            for position in positions
            if position.accounts.provider.id == party.id
            for split in split_figures(
                _posted(position), _context(position, run.key), schedule_version=position.schedule_version
            )
        ],
    )


def _posted(position: SettledPosition) -> PositionOutcome:
    """The figures that this run posted."""
    return position.outcome if position.earlier is None else difference(position.outcome, position.earlier)


def _context(position: SettledPosition, run_key: str) -> LineContext:
    contract = position.contract
    return LineContext(
        accounts=position.accounts,
        run_key=run_key,
        window_start=contract.delivery_start,
        window_end=contract.delivery_end,
        tokens=position.tokens,
        notional_micros=position.notional_micros,
        reference_price_micros=contract.reference_price_micros or 0,
        tax_category=contract.terms.tax_category,
        tax_rate_ppm=contract.tax_rate_ppm,
    )


def _position_lines(position: SettledPosition, party_id: int, run_key: str) -> list[StatementLine]:
    posted, context = _posted(position), _context(position, run_key)
    lines: list[StatementLine] = []
    if position.accounts.buyer.id == party_id:
        lines += buyer_lines(posted, context)
    if position.accounts.provider.id == party_id:
        lines += provider_lines(posted, context)
    lines += beneficiary_lines(posted, context, party_id)
    return _as_posted(lines, position, run_key)


def _as_posted(lines: Sequence[StatementLine], position: SettledPosition, run_key: str) -> list[StatementLine]:
    """A later run posts all lines of a position as one adjustment."""
    if position.earlier is None:
        return list(lines)
    reference = adjustment_reference(position.accounts, run_key)
    return [line if line.reference is None else replace(line, reference=reference) for line in lines]


def _house_lines(position: SettledPosition, run_key: str) -> list[StatementLine]:
    """The fees a position brought the house."""
    posted, accounts = _posted(position), position.accounts
    fees = [
        ("provider_fee", Line.PAY_PROVIDER, posted.pay.fee_micros, accounts.provider.code),
        ("provider_fee", Line.OVERAGE, posted.overage.fee_micros, accounts.provider.code),
        ("overage_fee", Line.OVERAGE, posted.overage_fee_micros, accounts.buyer.code),
    ]
    lines = [
        _plain_line(position, kind, micros, counterparty=code, reference=position.accounts.reference(run_key, posting))
        for kind, posting, micros, code in fees
        if micros
    ]
    return _as_posted(lines, position, run_key)


def _uncovered_lines(
    positions: Sequence[SettledPosition], closing: ClosingBalance, run_key: str
) -> list[StatementLine]:
    """What a payer still owes from an adjustment, and what its payees may still claim.

    Found by what this run posted, not by the statement's opening: another run may have closed in between.
    """
    by_reference = {
        adjustment_reference(position.accounts, run_key): position
        for position in positions
        if position.earlier is not None
    }
    entries = entries_with_refs(closing.account_id, SOURCE, list(by_reference), [DEBT_REF, CLAIM_REF])
    return [
        _plain_line(by_reference[entry.reference], entry.ref, entry.micros, reference=entry.reference)
        for entry in entries
    ]


def _plain_line(
    position: SettledPosition,
    kind: str,
    micros: int,
    *,
    reference: str,
    counterparty: str | None = None,
) -> StatementLine:
    contract = position.contract
    return StatementLine(
        contract=contract.symbol,
        window_start=contract.delivery_start,
        window_end=contract.delivery_end,
        kind=kind,
        amount_micros=micros,
        value_micros=micros,
        tax_category=contract.terms.tax_category,
        tax_rate_ppm=contract.tax_rate_ppm,
        counterparty=counterparty,
        source=SOURCE,
        reference=reference,
    )


def _unmatched_lines(run: SettlementRun, party_id: int) -> list[StatementLine]:
    """Usage with somebody the party has no position with: said, never charged."""
    rows = list(UnmatchedUsage.objects.filter(Q(buyer_id=party_id) | Q(provider_id=party_id), run=run))
    contracts = load_contracts({row.contract_id for row in rows})
    parties = load_parties({id for row in rows for id in (row.buyer_id, row.provider_id)})

    def lines() -> Iterator[StatementLine]:
        for row in rows:
            contract = contracts[row.contract_id]
            other = row.provider_id if row.buyer_id == party_id else row.buyer_id
            yield StatementLine(
                contract=contract.symbol,
                window_start=contract.delivery_start,
                window_end=contract.delivery_end,
                kind="unmatched",
                amount_micros=0,
                value_micros=0,
                tax_category=contract.terms.tax_category,
                tax_rate_ppm=contract.tax_rate_ppm,
                counterparty=parties[other].code,
                tokens=row.tokens,
            )

    return sorted(lines(), key=lambda line: (line.window_start, line.contract, line.counterparty or ""))


def _is_side(position: SettledPosition, party_id: int) -> bool:
    return party_id in (position.accounts.buyer.id, position.accounts.provider.id)


def _metering(position: SettledPosition, party_id: int) -> MeteringFigure:
    evidence, accounts = position.evidence, position.accounts

    def said(name: str) -> int | None:
        return int(evidence[name]) if name in evidence else None

    return MeteringFigure(
        contract=position.contract.symbol,
        counterparty=accounts.provider.code if accounts.buyer.id == party_id else accounts.buyer.code,
        settled_millitokens=int(evidence["settled_millitokens"]),
        provider_millitokens=said("provider_millitokens"),
        buyer_millitokens=said("buyer_millitokens"),
        refused_millitokens=int(evidence["refused_millitokens"]),
    )
