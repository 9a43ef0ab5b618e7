"""Debts and claims: what a payer of a later run could not cover, and who waits for it. How much was free is the
ledger's word; that nobody owes more than the run took, claims more than it gave, or owes nobody, is checked. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ledger.chart import Role
from ledger.drafts import TransactionDraft
from settlement.adjustments import DEBT_REF
from settlement.disputes.frozen import DisputeLine, FrozenDispute
from settlement.recompute.accounts import AccountEntry, PartyAccount
from settlement.recompute.faults import Check, FaultCode

CLEAR_DEBT = "clear_debt"  # the kind of transaction that pays what is owed from earlier runs


@dataclass(slots=True)
class Moves:
    """What a transaction takes from, and gives to, the accounts that can owe and claim: by party those that statements
    tell of, together those that none does (shares without a known owner). What is newly held counts as taken."""

    taken: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    given: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    taken_untold: int = 0
    given_untold: int = 0


def draft_moves(draft: TransactionDraft, codes: Mapping[int, str]) -> Moves:
    """Of a transaction as it is before anybody fails to pay. `codes` names the parties in it by number."""
    legs: dict[tuple[str, Role], int] = defaultdict(int)
    held: dict[tuple[str, Role], int] = defaultdict(int)
    for leg in draft.legs:
        legs[codes[leg.account.party_id], leg.account.role] += leg.amount
    for hold in draft.holds:
        held[codes[hold.account.party_id], hold.account.role] += hold.delta
    moves = Moves()
    for party, role in legs.keys() | held.keys():
        given, taken = max(legs[party, role], 0), max(held[party, role] - legs[party, role], 0)
        if role in (Role.CASH, Role.FEES):
            moves.given[party] += given
            moves.taken[party] += taken
        elif role is Role.HELD_SHARE:
            moves.given_untold += given
            moves.taken_untold += taken
    return moves


def dispute_moves(dispute: FrozenDispute, lines: Iterable[DisputeLine]) -> Moves:
    """Of the transaction that carries out a dispute's decision."""
    net: dict[str, int] = defaultdict(int)
    for line in lines:
        net[line.party] += line.amount_micros
    moves = Moves()
    for party, micros in net.items():
        moves.given[party], moves.taken[party] = max(micros, 0), max(-micros, 0)
    if dispute.payee_role == Role.HELD_SHARE:
        back = dispute.suspended_micros - dispute.decided_micros
        moves.given_untold, moves.taken_untold = max(back, 0), max(-back, 0)
    return moves


class Debts:
    """Collects what the ledger says of debts and claims, party by party, and holds it together."""

    def __init__(self, moves: Mapping[str, Moves], run_key: str) -> None:
        self._moves = moves
        self._run_key = run_key
        self._owed: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._claimed: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._paid: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, party: str, account: PartyAccount, references: frozenset[str]) -> Iterator[Check]:
        """A party's entries. What was posted in the run's name for nothing that the run found is told at once."""
        for entry in account.uncovered(references):
            if (entry.micros > 0) != (entry.ref == DEBT_REF):
                yield _wrong(party, f"a {entry.ref} of {entry.micros} micros under {entry.reference}")
            side = self._owed if entry.ref == DEBT_REF else self._claimed
            side[entry.reference][party] += abs(entry.micros)
        for entry in account.of_run(self._run_key):
            if entry.reference in references:
                continue
            if entry.kind == CLEAR_DEBT:
                self._paid[entry.reference][party] += entry.micros
            else:
                yield _stray(party, entry)

    def check(self) -> Iterator[Check]:
        """Whether every debt is somebody's claim, once all parties were added."""
        for reference in sorted(self._owed.keys() | self._claimed.keys()):
            yield from self._check_reference(reference, self._moves.get(reference, Moves()))
        for reference, paid in sorted(self._paid.items()):
            if not self._is_payment(reference, paid):
                yield _wrong(reference, "it does not move from the debtor to the creditor that it names")

    def _check_reference(self, reference: str, moves: Moves) -> Iterator[Check]:
        owed, claimed = self._owed[reference], self._claimed[reference]
        for party, micros in sorted(owed.items()):
            if micros > moves.taken.get(party, 0):
                yield _wrong(reference, f"{party} owes {micros} micros and was to pay {moves.taken.get(party, 0)}")
        for party, micros in sorted(claimed.items()):
            if micros > moves.given.get(party, 0):
                yield _wrong(reference, f"{party} claims {micros} micros and was to get {moves.given.get(party, 0)}")
        open_micros = sum(owed.values()) - sum(claimed.values())
        if not -moves.taken_untold <= open_micros <= moves.given_untold:
            yield _wrong(reference, f"debts and claims differ by {open_micros} micros")

    def _is_payment(self, reference: str, paid: Mapping[str, int]) -> bool:
        """`RUN/DEBTOR[/ACCOUNT]/CREDITOR/clear_debt`: of the creditor's accounts statements tell of all but one."""
        named = reference.removeprefix(f"{self._run_key}/").split("/")
        if len(named) < 3:
            return False
        debtor, *account, creditor, kind = named
        told = account[:1] != [Role.HELD_SHARE.value]
        parties = {debtor, creditor} if told else {debtor}
        wanted = sum(paid.values()) == 0 if told else True
        return kind == CLEAR_DEBT and set(paid) == parties and paid[debtor] < 0 and wanted


def _stray(party: str, entry: AccountEntry) -> Check:
    detail = f"{entry.micros} micros were posted under {entry.reference}, which is nothing that the run found"
    return Check(f"{party}: postings", FaultCode.WRONG_POSTINGS, detail)


def _wrong(what: str, detail: str) -> Check:
    return Check(what, FaultCode.WRONG_DEBTS, detail)
