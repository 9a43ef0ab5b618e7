"""From the frozen contracts of a bundle and their usage to what every party is told. Pure."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from settlement.adjustments import draft_adjustment
from settlement.disputes.frozen import FrozenDispute, dispute_lines
from settlement.postings import PartyRef, PositionAccounts, chunk_reference, chunks
from settlement.recompute.bundle import Bundle
from settlement.recompute.events import read_usage
from settlement.recompute.faults import BundleFault, FaultCode
from settlement.runs.contract_lines import contract_lines, line_terms
from settlement.runs.figures import ContractFigures, PositionFigure, settle
from settlement.runs.frozen import FrozenContract, frozen_bytes, frozen_digest, read_frozen
from settlement.statements.party_line import LineTerms, PartyLine, PositionSplit, position_splits

INDICATIVE, INITIAL = "indicative", "initial"
_NUMBER = 1  # accounts are told apart by their parties alone, and nothing is posted here


@dataclass(slots=True)
class PartyShare:
    """What a contract adds to a party's statement. `references` are those under which the ledger may say more: what was
    owed from later runs, and to whom."""

    lines: list[PartyLine] = field(default_factory=list)
    metering: list[str] = field(default_factory=list)
    splits: list[PositionSplit] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RecomputedContract:
    """A contract, computed again. `terms` are those of lines without a position."""

    symbol: str
    terms: LineTerms
    references: frozenset[str]
    parties: Mapping[str, PartyShare]
    positions: int
    events: int


@dataclass(frozen=True, slots=True)
class RecomputedRun:
    """All contracts of a run in its order, and the digest over what they were settled from."""

    contracts: tuple[RecomputedContract, ...]
    input_digest: bytes


def recompute_contracts(bundle: Bundle) -> RecomputedRun:
    """Every contract of a bundle. Raises `BundleFault`."""
    digests, found = [], []
    for place, symbol in enumerate(bundle.manifest["contracts"], start=1):
        name = f"inputs/{place:04d}.json"
        content = bundle.read(name)
        frozen = _frozen(content, name)
        if frozen.symbol != symbol:
            raise BundleFault(FaultCode.WRONG_INPUTS, f"{name} is of {frozen.symbol}, not of {symbol}")
        digests.append(frozen_digest(content))
        found.append(_recompute(bundle, frozen, f"events/{place:04d}.jsonl.gz"))
    return RecomputedRun(tuple(found), hashlib.sha256(b"".join(sorted(digests))).digest())


def _frozen(content: bytes, name: str) -> FrozenContract:
    try:
        frozen = read_frozen(content)
    except Exception as error:  # whatever the many readers of its parts say of a value that is not theirs
        raise BundleFault(FaultCode.FILE_MALFORMED, f"{name}: {type(error).__name__}: {error}") from error
    if frozen_bytes(frozen) != content:
        raise BundleFault(FaultCode.FILE_MALFORMED, f"{name} is not in its canonical form")
    return frozen


def _recompute(bundle: Bundle, frozen: FrozenContract, name: str) -> RecomputedContract:
    usage = read_usage(frozen, bundle.lines(name), name)
    figures = settle(frozen, usage.figures)
    references = _references(bundle.run["kind"], bundle.run["key"], frozen, figures)
    parties: dict[str, PartyShare] = defaultdict(PartyShare)
    codes = figures.positions[0].codes if figures.positions else {}
    for line in contract_lines(frozen, figures, references, codes):
        parties[line.party].lines.append(line)
    for figure in figures.positions:
        _tell_sides(figure, parties)
    disputed = {line.reference for each in frozen.disputes for line in dispute_lines(FrozenDispute.from_json(each))}
    return RecomputedContract(
        symbol=frozen.symbol,
        terms=line_terms(frozen, None),
        references=frozenset({reference for reference in references if reference} | disputed),
        parties=parties,
        positions=len(figures.positions),
        events=usage.events,
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


def _references(kind: str, run_key: str, frozen: FrozenContract, figures: ContractFigures) -> list[str]:
    """Of each position the ledger transaction that posted it, empty if none did."""
    positions = figures.positions
    if kind == INDICATIVE:
        return [""] * len(positions)
    if kind == INITIAL:
        numbered = chunks(positions)
        return [chunk_reference(run_key, frozen.symbol, number) for number, chunk in numbered for _ in chunk]
    return [_adjustment(run_key, frozen, figure) for figure in positions]


def _adjustment(run_key: str, frozen: FrozenContract, figure: PositionFigure) -> str:
    if figure.earlier is None:
        return ""
    position = figure.position
    accounts = PositionAccounts(
        contract=frozen.symbol,
        contract_asset_id=_NUMBER,
        currency_id=_NUMBER,
        house_id=_NUMBER,
        buyer=PartyRef(_NUMBER, position.buyer),
        provider=PartyRef(_NUMBER, position.provider),
        bond_hold_ref="",
        overage_hold_ref="",
    )
    draft = draft_adjustment(
        figure.outcome, figure.earlier, accounts, run_key=run_key, effective_at=frozen.delivery_end
    )
    return "" if draft is None else draft.reference
