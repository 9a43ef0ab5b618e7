"""The lines of a contract in a run: what every party of it is told, in one order. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ledger.chart import Role
from settlement.calculation import MILLI, PositionOutcome
from settlement.disputes.credits import Credit, credited
from settlement.disputes.frozen import FrozenDispute, dispute_lines
from settlement.disputes.postings import DISPUTE
from settlement.metering.pair_figures import PairFigures
from settlement.outcome_record import outcome_from_record
from settlement.runs.figures import ContractFigures, PositionFigure
from settlement.runs.frozen import FrozenContract, FrozenPosition, FrozenUnmatched, local
from settlement.statements.party_lines import LineTerms, PartyLine, plain_line, position_lines, unmatched_line


def contract_lines(
    frozen: FrozenContract, figures: ContractFigures, references: Sequence[str], codes: Mapping[int, str]
) -> Iterator[PartyLine]:
    """All lines of a contract in their order, numbered from 1; `references` as its positions were posted under."""
    place = 1
    for figure, reference in zip(figures.positions, references, strict=True):
        lines = position_lines(
            line_terms(frozen, figure.position),
            figure.outcome,
            figure.earlier,
            figure.exact,
            reference=reference,
            codes=codes,
            place=place,
        )
        place += len(lines)
        yield from lines
        for credit in dispute_credits(frozen, figure, codes):
            told = list(_credit_lines(frozen, credit, reference, place))
            place += len(told)
            yield from told
    for each in figures.unmatched:
        terms, tokens = line_terms(frozen, each.pair), whole_tokens(each.usage)
        for party, other in ((each.pair.buyer, each.pair.provider), (each.pair.provider, each.pair.buyer)):
            yield unmatched_line(terms, party=party, counterparty=other, tokens=tokens, place=place)
            place += 1
    for dispute in map(FrozenDispute.from_json, frozen.disputes):
        for line in dispute_lines(dispute):
            yield plain_line(
                line_terms(frozen, None),
                party=line.party,
                kind=line.kind,
                micros=line.amount_micros,
                cumulative_micros=line.amount_micros,
                reference=line.reference,
                ref=line.ref,
                counterparty=line.counterparty,
                place=place,
            )
            place += 1


def dispute_credits(frozen: FrozenContract, figure: PositionFigure, codes: Mapping[int, str]) -> tuple[Credit, ...]:
    """What of a position's settled disputes is credited against what its figures changed since; those without change
    are left out."""
    settled = figure.position.settled
    if not settled or figure.earlier is None or figure.outcome == figure.earlier:
        return ()
    terms = line_terms(frozen, figure.position)

    def credited_by(outcome: PositionOutcome) -> list[int]:
        since = [outcome_from_record(local(each.since, figure.ids)) for each in settled]
        lines = [position_lines(terms, outcome, each, {}, reference="-", codes=codes) for each in since]
        return credited(zip((each.dispute for each in settled), lines, strict=True))

    now, before = credited_by(figure.outcome), credited_by(figure.earlier)
    return tuple(
        Credit(each.dispute, micros - past, micros)
        for each, micros, past in zip(settled, now, before, strict=True)
        if micros != past
    )


def _credit_lines(frozen: FrozenContract, credit: Credit, reference: str, place: int) -> Iterator[PartyLine]:
    """Of both sides; what the house holds for owners that nobody knows stands on no statement."""
    dispute = credit.dispute
    sides = [(dispute.party, dispute.payee, -1), (dispute.payee, dispute.party, 1)]
    for party, counterparty, sign in sides[: 1 if dispute.payee_role == Role.HELD_SHARE else 2]:
        yield plain_line(
            line_terms(frozen, None),
            party=party,
            kind=DISPUTE,
            micros=sign * credit.micros,
            cumulative_micros=sign * credit.cumulative_micros,
            reference=reference,
            ref=DISPUTE,
            counterparty=counterparty,
            place=place,
        )
        place += 1


def line_terms(frozen: FrozenContract, pair: FrozenPosition | FrozenUnmatched | None) -> LineTerms:
    """What the lines of a pair have in common; without a position it bought one token for nothing."""
    position = pair if isinstance(pair, FrozenPosition) else None
    return LineTerms(
        contract=frozen.symbol,
        window_start=frozen.delivery_start,
        window_end=frozen.delivery_end,
        buyer="" if pair is None else pair.buyer,
        provider="" if pair is None else pair.provider,
        house=frozen.house,
        tokens=1 if position is None else position.tokens,
        notional_micros=0 if position is None else position.notional_micros,
        reference_price_micros=frozen.reference_price_micros,
        tax_category=frozen.terms.tax_category,
        tax_rate_ppm=frozen.tax_rate_ppm,
    )


def whole_tokens(usage: PairFigures) -> int:
    """What was used, in contract tokens."""
    return usage.settled_millitokens // MILLI
