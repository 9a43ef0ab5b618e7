"""What the sequencer saw that is not under the ledger's head: qualifications, and what time and settlement make of
contracts once they are closed.

Both carry the clock reading of whoever changed them, not the moment of the commit. A batch that ran within `DOUBT` of
such a reading may have seen either; then its recorded answers say which, where they tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from exchange.errors import NotQualified
from exchange.models import Contract, ContractState, IntakeKind
from exchange.replay.history import DecidedBatch
from exchange.sequencer.gates import read_gates
from exchange.sequencer.intake import WaitingCommand
from ledger.audit.snapshot import View

DOUBT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Qualification:
    """Known since `made_at`, None: always."""

    valid_from: datetime
    valid_until: datetime
    made_at: datetime | None
    revoked_at: datetime | None

    def in_force(self, at: datetime) -> bool | None:
        """None: nobody can tell from the times."""
        if not self.valid_from <= at < self.valid_until:
            return False
        made = self.made_at is None or _had_happened(self.made_at, at)
        revoked = self.revoked_at is not None and _had_happened(self.revoked_at, at)
        if made is False or revoked is True:
            return False
        return True if made and revoked is False else None


class Qualifications:
    """Who was qualified for what at a batch. `doubts` counts how often a recorded answer had to say it."""

    def __init__(self, record: View) -> None:
        self._record = record
        self._known: dict[tuple[int, int], list[_Qualification]] = defaultdict(list)
        self.doubts = 0
        for provider_id, product_id, *times in record.rows(_QUALIFICATIONS, {"made": "qualify_provider"}):
            self._known[provider_id, product_id].append(_Qualification(*times))

    def seen(self, sellers: Sequence[tuple[int, int, int]], at: datetime) -> set[tuple[int, int]]:
        """The (provider, product) that may sell, of commands given as (seq, provider, product)."""
        seqs: dict[tuple[int, int], list[int]] = defaultdict(list)
        for seq, provider_id, product_id in sellers:
            seqs[provider_id, product_id].append(seq)
        return {pair for pair, of_pair in seqs.items() if self._may_sell(pair, of_pair, at)}

    def _may_sell(self, pair: tuple[int, int], seqs: list[int], at: datetime) -> bool:
        found = [each.in_force(at) for each in self._known.get(pair, ())]
        if True in found or None not in found:
            return True in found
        self.doubts += 1
        ((refused,),) = self._record.rows(
            "SELECT EXISTS (SELECT FROM exchange_intakeresult"
            " WHERE seq = ANY(%(seqs)s) AND result ->> 'code' = %(code)s)",
            {"seqs": seqs, "code": NotQualified.code},
        )
        return not refused


@dataclass(frozen=True, slots=True)
class _Move:
    """A step of a contract's life that was taken outside the line."""

    at: datetime
    contract_id: int
    product_id: int
    to: ContractState


_BEFORE = {
    ContractState.DELIVERING: (ContractState.CLOSED,),
    ContractState.DELIVERED: (ContractState.DELIVERING,),
    ContractState.SETTLED: (ContractState.DELIVERED, ContractState.CANCELLED),
}


class ContractLife:
    """Moves contracts of the replay through delivery and settlement, as early as a batch can have seen it.

    `doubts` counts the moves that a recorded answer showed to have been seen.
    """

    def __init__(self, record: View) -> None:
        self._record = record
        self.doubts = 0
        actions = {f"contract_{state.value}": state for state in _BEFORE}
        rows = record.rows(_MOVES, {"actions": list(actions)})
        self._moves = [
            _Move(at, contract_id, product_id, actions[action]) for at, contract_id, product_id, action in rows
        ]
        self._next = 0  # of the moves that no batch can have seen yet
        self._waiting: list[_Move] = []

    def keep(self) -> tuple[int, list[_Move]]:
        """Where it stands, for `put_back` when the moves since were rolled back."""
        return self._next, self._waiting.copy()

    def put_back(self, kept: tuple[int, list[_Move]]) -> None:
        self._next, self._waiting = kept[0], kept[1].copy()

    def advance(self, batch: DecidedBatch, commands: Sequence[WaitingCommand]) -> None:
        """Make everything so that these commands see what they saw."""
        while self._next < len(self._moves) and self._moves[self._next].at < batch.ran_at + DOUBT:
            self._waiting.append(self._moves[self._next])
            self._next += 1
        if not self._waiting:
            return
        self._take([move for move in self._waiting if _had_happened(move.at, batch.ran_at)])
        if self._waiting:
            self._match_states(commands)
            self._match_references(commands)

    def finish(self) -> None:
        """All that is left."""
        self._take([*self._waiting, *self._moves[self._next :]])

    def _take(self, moves: Sequence[_Move]) -> None:
        """Take those that are possible by now: one that closes upon a gate's closure may have the gate's own time."""
        for move in moves:
            before = Contract.objects.filter(id=move.contract_id, state__in=_BEFORE[move.to])
            if before.update(state=move.to) and move in self._waiting:
                self._waiting.remove(move)

    def _match_states(self, commands: Sequence[WaitingCommand]) -> None:
        """A refusal names the state in which it saw the contract."""
        in_doubt = {move.contract_id for move in self._waiting}
        of_contract = {each.seq: each.contract_id for each in commands if each.contract_id in in_doubt}
        if not of_contract:
            return
        told = self._record.rows(
            "SELECT seq, result -> 'fields' ->> 'state' FROM exchange_intakeresult"
            " WHERE seq = ANY(%(seqs)s) AND result -> 'fields' ->> 'state' = ANY(%(states)s)",
            {"seqs": list(of_contract), "states": [state.value for state in _BEFORE]},
        )
        for seq, state in told:
            moves = [move for move in self._waiting if move.contract_id == of_contract[seq]]
            reached = [place for place, move in enumerate(moves, start=1) if move.to == state]
            for move in moves[: reached[0] if reached else 0]:
                self.doubts += 1
                self._take([move])

    def _match_references(self, commands: Sequence[WaitingCommand]) -> None:
        """A gate's closure names the reference price, which may be that of the contract that settled last."""
        for command in commands:
            if command.kind is not IntakeKind.CLOSE_GATE or command.contract_id is None:
                continue
            told = self._record.rows(
                "SELECT result ->> 'reference_price_micros', result ->> 'reference_step'"
                " FROM exchange_intakeresult WHERE seq = %(seq)s AND result ? 'reference_step'",
                {"seq": command.seq},
            )
            product_id = Contract.objects.values_list("product_id", flat=True).get(id=command.contract_id)
            settled = [
                each for each in self._waiting if each.to is ContractState.SETTLED and each.product_id == product_id
            ]
            while told and settled and _reference(command) != told[0]:
                self.doubts += 1
                self._take([settled.pop(0)])


def _reference(command: WaitingCommand) -> tuple[str, str]:
    (figures,) = read_gates([command]).values()
    return str(figures.reference.micros), figures.reference.step.value


def _had_happened(what: datetime, at: datetime) -> bool | None:
    """Whether a batch that ran at `at` saw what was done with this clock reading; None: it may have."""
    if at >= what + DOUBT:
        return True
    return None if at > what - DOUBT else False


_QUALIFICATIONS = """
    SELECT provider_id, product_id, valid_from, valid_until, made.at, revoked_at
      FROM exchange_qualification AS qualification
      LEFT JOIN ledger_actionlog AS made
        ON made.action = %(made)s AND made.details ->> 'qualification' = qualification.id::text
"""
_MOVES = """
    SELECT action.at, contract.id, product_id, action.action
      FROM ledger_actionlog AS action
      JOIN exchange_contract AS contract ON action.subject = 'contract:' || contract.symbol
     WHERE action.action = ANY(%(actions)s)
     ORDER BY action.at, action.id
"""
