"""Deciding a batch: first what is due by itself, then the commands, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from exchange.models import IntakeKind
from exchange.sequencer import contract_decisions as contracts
from exchange.sequencer import order_decisions as orders
from exchange.sequencer.answers import Answer, failed, refused
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.outcome import Outcome
from exchange.sequencer.run import BatchRun
from exchange.sequencer.timers import BrokenTimer, Timer
from ledger.errors import DomainError

DECIDERS: Mapping[IntakeKind, Callable[[BatchRun, WaitingCommand], Answer]] = {
    IntakeKind.PLACE_ORDER: orders.place,
    IntakeKind.AMEND_ORDER: orders.amend,
    IntakeKind.CANCEL_ORDER: orders.cancel,
    IntakeKind.CANCEL_ALL: orders.cancel_all,
    IntakeKind.CANCEL_ALL_AFTER: orders.cancel_all_after,
    IntakeKind.OPEN_GATE: contracts.open_gate,
    IntakeKind.CLOSE_GATE: contracts.close_gate,
    IntakeKind.HALT: contracts.halt,
    IntakeKind.RESUME: contracts.resume,
    IntakeKind.CANCEL_CONTRACT: contracts.cancel_contract,
    IntakeKind.DEFAULT_PROVIDER: contracts.default_provider,
    IntakeKind.BUST_FILL: contracts.bust_fill,
}


class Poisoned(Exception):
    """A command cannot be processed: something is wrong with it, or with us. Memory is not to be trusted after it."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"Command {seq} cannot be processed.")
        self.seq = seq


def decide(
    run: BatchRun,
    commands: Sequence[WaitingCommand],
    *,
    timers: Sequence[Timer] = (),
    set_aside: Mapping[int, str] | None = None,
) -> Outcome:
    """Decide each command in its turn; a refusal is an answer, and the line goes on.

    `set_aside` are commands that were found to be poisoned, and why; they change nothing.

    Raises `Poisoned` and `BrokenTimer`.
    """
    outcome = run.outcome
    outcome.set_aside |= set_aside or {}
    for timer in timers:
        try:
            orders.fire(run, timer)
        except Exception as error:
            raise BrokenTimer(str(timer)) from error
    for command in commands:
        outcome.answers[command.seq] = failed() if command.seq in outcome.set_aside else _answer(run, command)
    return outcome


def _answer(run: BatchRun, command: WaitingCommand) -> Answer:
    try:
        return DECIDERS[command.kind](run, command)
    except DomainError as refusal:
        return refused(refusal)
    except Exception as error:
        raise Poisoned(command.seq) from error
