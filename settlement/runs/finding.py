"""Settling one contract of a run: freeze it, calculate from the frozen value alone, write down what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.packing import packed_cursor
from settlement.adjustments import draft_adjustment
from settlement.disputes.postings import DISPUTE
from settlement.market import SettledContract
from settlement.models import MakeUpCredit, MakeUpUse, RunKind, SettlementRun
from settlement.postings import PartyRef, PositionAccounts, chunk_reference, chunks, draft_chunk
from settlement.rules import CODE_VERSION, RULES_VERSION
from settlement.runs.contract_lines import contract_lines, dispute_credits
from settlement.runs.copying import copy_lines, copy_positions, copy_unmatched
from settlement.runs.escrow_check import check_before
from settlement.runs.figures import ContractFigures, PositionFigure, settle
from settlement.runs.freezing import Parties, Read, freeze
from settlement.runs.frozen import FrozenContract, frozen_bytes, frozen_digest
from settlement.runs.make_up_rows import Credits, credit_row
from settlement.runs.unheld import Secured, SecuredDraft, within_what_is_held


@dataclass(frozen=True, slots=True)
class Found:
    """What is left to do for a contract once its figures are written down: `drafts` to post, `next_place` for more
    lines. `digest` is that of the frozen contract, `result_digest` that of the outcomes, which follow from it alone;
    `secured` are the holds that a later run's drafts change."""

    contract: SettledContract
    place: int
    frozen: FrozenContract
    drafts: tuple[TransactionDraft, ...]
    secured: Secured
    next_place: int
    digest: bytes
    result_digest: bytes


def find(run: SettlementRun, read: Read, place: int, credits: Credits, parties: Parties) -> Found:
    """Inside the transaction that posts it. Raises `LedgerDisagrees` if an initial run finds other money in escrow."""
    contract = read.contract
    if run.kind == RunKind.INITIAL:
        check_before(contract, read.positions)
    frozen = freeze(run, read, credits, parties, (RULES_VERSION, CODE_VERSION))
    content = frozen_bytes(frozen)
    digest = frozen_digest(content)
    _keep_frozen(run, contract, content, digest)
    usage = {(parties.codes[buyer], parties.codes[provider]): used for (buyer, provider), used in read.usage.items()}
    figures = settle(frozen, usage, parties.ids)
    posted = _drafts(run, contract, figures, parties)
    references = [reference for reference, _ in posted]
    result_digest = copy_positions(run.pk, contract.id, figures, references, parties.ids)
    copy_unmatched(run.pk, contract.id, figures, parties.ids)
    lines = list(contract_lines(frozen, figures, references, parties.codes))
    copy_lines(run.pk, contract.id, place, lines, parties.ids)
    if run.kind not in (RunKind.INDICATIVE, RunKind.DISPUTED_FINAL):
        _keep_credits(run, contract, figures, credits, parties)
    drafts = {draft.reference: draft for _, draft in posted if draft is not None}
    secured = {} if run.kind == RunKind.INITIAL else _secured(contract, figures, posted, parties)
    drafts |= within_what_is_held(contract.id, secured)
    return Found(contract, place, frozen, tuple(drafts.values()), secured, len(lines) + 1, digest, result_digest)


def _keep_frozen(run: SettlementRun, contract: SettledContract, content: bytes, digest: bytes) -> None:
    """A `FrozenInput`, sent as it is: as a literal of Django's it would be twice as long."""
    with packed_cursor() as cursor:
        cursor.execute(
            "INSERT INTO settlement_frozeninput (run_id, contract_id, content, digest) VALUES (%s, %s, %b, %b)",
            [run.pk, contract.id, content, digest],
        )


def _drafts(
    run: SettlementRun, contract: SettledContract, figures: ContractFigures, parties: Parties
) -> list[tuple[str, TransactionDraft | None]]:
    """Of each position the reference it is posted under, empty if nothing is, and the transaction."""
    positions = figures.positions
    if run.kind == RunKind.INDICATIVE:
        return [("", None)] * len(positions)
    if run.kind != RunKind.INITIAL:
        return [_adjustment(run, contract, figure, parties) for figure in positions]
    posted: list[tuple[str, TransactionDraft | None]] = []
    for number, chunk in chunks(positions):
        reference = chunk_reference(run.key, contract.symbol, number)
        outcomes = ((figure.outcome, _accounts(contract, figure, parties)) for figure in chunk)
        draft = draft_chunk(outcomes, reference=reference, effective_at=contract.delivery_end)
        posted += [(reference, draft)] * len(chunk)
    return posted


def _adjustment(
    run: SettlementRun, contract: SettledContract, figure: PositionFigure, parties: Parties
) -> tuple[str, TransactionDraft | None]:
    if figure.earlier is None or figure.outcome == figure.earlier:
        return "", None
    draft = draft_adjustment(
        figure.outcome,
        figure.earlier,
        _accounts(contract, figure, parties),
        run_key=run.key,
        effective_at=contract.delivery_end,
        credits=_credit_legs(run, figure, parties),
    )
    return ("", None) if draft is None else (draft.reference, draft)


def _credit_legs(run: SettlementRun, figure: PositionFigure, parties: Parties) -> list[Leg]:
    """From the party that disputed back to whoever paid it then."""
    legs = []
    for credit in dispute_credits(figure.contract, figure, parties.codes):
        party, payee = (parties.ids[code] for code in (credit.dispute.party, credit.dispute.payee))
        legs += [
            Leg(AccountKey(party, run.currency_id, Role.CASH), -credit.micros, DISPUTE),
            Leg(AccountKey(payee, run.currency_id, Role(credit.dispute.payee_role)), credit.micros, DISPUTE),
        ]
    return legs


def _secured(
    contract: SettledContract,
    figures: ContractFigures,
    posted: Sequence[tuple[str, TransactionDraft | None]],
    parties: Parties,
) -> Secured:
    return {
        draft.reference: SecuredDraft(
            draft,
            _accounts(contract, figure, parties),
            figure.position.bond_micros - figure.earlier.damages_micros,
            figure.position.overage_hold_micros - figure.earlier.held_charge_micros,
        )
        for figure, (_, draft) in zip(figures.positions, posted, strict=True)
        if draft is not None and draft.holds and figure.earlier is not None
    }


def _accounts(contract: SettledContract, figure: PositionFigure, parties: Parties) -> PositionAccounts:
    buyer, provider = figure.position.buyer, figure.position.provider
    return contract.accounts(PartyRef(parties.ids[buyer], buyer), PartyRef(parties.ids[provider], provider))


def _keep_credits(
    run: SettlementRun, contract: SettledContract, figures: ContractFigures, credits: Credits, parties: Parties
) -> None:
    """What positions may make up later, and what they made up now."""
    make_up = contract.terms.make_up
    if make_up is None:
        return
    left: list[MakeUpCredit] = []
    taken: list[MakeUpUse] = []
    for figure in figures.positions:
        position = figure.position
        pair = (parties.ids[position.buyer], parties.ids[position.provider])
        bought = (position.tokens, position.notional_micros)
        left.append(credit_row(run, contract, make_up, pair, bought, figure.outcome))
        taken += credits.take(contract, pair, position.make_up, figure.outcome)
    MakeUpCredit.objects.bulk_create(left)
    MakeUpUse.objects.bulk_create(taken)
