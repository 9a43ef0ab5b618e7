"""From the frozen contracts of a bundle and their usage to what every party is told. Pure."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.drafts import TransactionDraft
from settlement.adjustments import draft_adjustment
from settlement.disputes.frozen import FrozenDispute, dispute_lines
from settlement.outcome_record import outcome_record
from settlement.postings import PartyRef, PositionAccounts, chunk_reference, chunks
from settlement.recompute.bundle import Bundle
from settlement.recompute.debts import Moves, dispute_moves, draft_moves
from settlement.recompute.events import Pair, read_usage
from settlement.recompute.faults import BundleFault, Check, FaultCode
from settlement.recompute.inputs import check_input, read_inputs
from settlement.recompute.manifest import ManifestRun, events_file
from settlement.runs.contract_lines import contract_lines, line_terms
from settlement.runs.figures import ContractFigures, PositionFigure, settle
from settlement.runs.frozen import FrozenContract, frozen_digest, portable
from settlement.statements.party_line import LineTerms, PartyLine, PositionSplit, position_splits

_TOKENS, _MONEY = 1, 2  # nothing is posted here: assets and parties are numbered to tell them apart


@dataclass(slots=True)
class PartyShare:
    """What a contract adds to a party's statement."""

    lines: list[PartyLine] = field(default_factory=list)
    metering: list[str] = field(default_factory=list)
    splits: list[PositionSplit] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RecomputedContract:
    """A contract, computed again.

    `terms` are those of lines without a position. `moves`: the transactions that posted it, by reference. `outcomes`
    of all positions, and what was posted of them `earlier`, by the codes of buyer and provider, as `portable` makes
    them. `proven`: how many of the `events` their meters' own words prove.
    """

    symbol: str
    terms: LineTerms
    moves: Mapping[str, Moves]
    parties: Mapping[str, PartyShare]
    outcomes: Mapping[Pair, Mapping[str, Any]]
    earlier: Mapping[Pair, Mapping[str, Any]]
    events: int
    proven: int


@dataclass(frozen=True, slots=True)
class RecomputedRun:
    """All contracts of a run in its order, and the digest over what they were settled from."""

    contracts: tuple[RecomputedContract, ...]
    input_digest: bytes

    @property
    def moves(self) -> dict[str, Moves]:
        """The transactions that posted it, by reference."""
        return {name: moves for contract in self.contracts for name, moves in contract.moves.items()}


def recompute_contracts(bundle: Bundle, checks: list[Check]) -> RecomputedRun:
    """Every contract of a bundle; adds to `checks` what inputs contradict. Raises `BundleFault`."""
    digests, found = [], []
    for place, (content, frozen) in enumerate(read_inputs(bundle), start=1):
        checks += check_input(bundle.run, frozen)
        digests.append(frozen_digest(content))
        found.append(_recompute(bundle, frozen, events_file(place)))
    return RecomputedRun(tuple(found), hashlib.sha256(b"".join(sorted(digests))).digest())


def _recompute(bundle: Bundle, frozen: FrozenContract, name: str) -> RecomputedContract:
    usage = read_usage(frozen, bundle.manifest.meters, bundle.lines(name), name)
    try:
        figures = settle(frozen, usage.figures)
    except Exception as error:  # terms and positions that no contract has
        detail = f"{frozen.symbol} cannot be settled: {type(error).__name__}: {error}"
        raise BundleFault(FaultCode.FILE_MALFORMED, detail) from error
    references, moves = _posted(bundle.run, frozen, figures)
    parties: dict[str, PartyShare] = defaultdict(PartyShare)
    codes = figures.positions[0].codes if figures.positions else {}
    for line in contract_lines(frozen, figures, references, codes):
        parties[line.party].lines.append(line)
    for figure in figures.positions:
        _tell_sides(figure, parties)
    return RecomputedContract(
        symbol=frozen.symbol,
        terms=line_terms(frozen, None),
        moves=moves,
        parties=parties,
        outcomes={
            (each.position.buyer, each.position.provider): portable(outcome_record(each.outcome), each.codes)
            for each in figures.positions
        },
        earlier={
            (each.position.buyer, each.position.provider): portable(outcome_record(each.earlier), each.codes)
            for each in figures.positions
            if each.earlier is not None
        },
        events=usage.events,
        proven=usage.proven,
    )


def _tell_sides(figure: PositionFigure, parties: Mapping[str, PartyShare]) -> None:
    position = figure.position
    for side in {position.buyer, position.provider}:
        parties[side].metering.append(figure.metering)
    if len(figure.outcome.pay.shares) > 1:
        names = (figure.contract.symbol, position.buyer, position.provider)
        version = position.schedule.version
        splits = position_splits(names, figure.outcome, figure.earlier, schedule_version=version)
        parties[position.provider].splits.extend(splits)


def _posted(run: ManifestRun, frozen: FrozenContract, figures: ContractFigures) -> tuple[list[str], dict[str, Moves]]:
    """Of each position the ledger transaction that posted it, empty if none did; and what each transaction of the
    contract moves where somebody may fail to pay."""
    positions = figures.positions
    if not run.posts:
        return [""] * len(positions), {}
    if not run.follows:
        numbered = chunks(positions)
        references = [chunk_reference(run.key, frozen.symbol, number) for number, chunk in numbered for _ in chunk]
        return references, {reference: Moves() for reference in references}
    drafts = [_adjustment(run.key, frozen, figure) for figure in positions]
    moves = {draft.reference: moved for draft, moved in filter(None, drafts)}
    for dispute in map(FrozenDispute.from_json, frozen.disputes):
        lines = dispute_lines(dispute)
        moves |= {line.reference: dispute_moves(dispute, lines) for line in lines}
    return ["" if each is None else each[0].reference for each in drafts], moves


def _adjustment(run_key: str, frozen: FrozenContract, figure: PositionFigure) -> tuple[TransactionDraft, Moves] | None:
    if figure.earlier is None:
        return None
    position = figure.position
    numbers = dict(figure.ids)
    for code in (frozen.house, position.buyer, position.provider):
        numbers.setdefault(code, len(numbers) + 1)
    accounts = PositionAccounts(
        contract=frozen.symbol,
        contract_asset_id=_TOKENS,
        currency_id=_MONEY,
        house_id=numbers[frozen.house],
        buyer=PartyRef(numbers[position.buyer], position.buyer),
        provider=PartyRef(numbers[position.provider], position.provider),
        bond_hold_ref="",
        overage_hold_ref="",
    )
    draft = draft_adjustment(
        figure.outcome, figure.earlier, accounts, run_key=run_key, effective_at=frozen.delivery_end
    )
    return None if draft is None else (draft, draft_moves(draft, {number: code for code, number in numbers.items()}))
