"""The one writer of the book.

It holds an advisory lock on the very connection it writes on, and raises its shard's epoch when it takes over; every
batch compares the epoch in its own transaction. So a second sequencer waits, and one that was cut off and does not know
it cannot write. Memory is kept only over committed batches: after anything else it is dropped and read again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from django.db import InterfaceError, OperationalError, connection, transaction

from exchange.clearing.drafts import draft_batch
from exchange.clearing.terms import MAX_BATCH_COMMANDS
from exchange.matching.types import Side
from exchange.models import IntakeKind, SequencerBatch, SequencerState
from exchange.qualifications import qualified_pairs
from exchange.sequencer.answers import failed
from exchange.sequencer.batch import BatchRun, Outcome
from exchange.sequencer.funds import Funds
from exchange.sequencer.gates import cut_batch, read_gates
from exchange.sequencer.intake import INTAKE_CHANNEL, WaitingCommand, fetch_waiting
from exchange.sequencer.state import Market, restore_market
from exchange.sequencer.writer import RESULTS_CHANNEL, write_outcome
from ledger import journal
from ledger.chart import AccountKey
from ledger.clock import Clock

ACTOR = "sequencer"
SHARD = 1
SEQUENCER_LOCK = 0x544F_4B53  # any number that nothing else in this database locks
IDLE_SECONDS_MAX = 0.5  # a lost notification costs this much
RETRY_SECONDS = 0.5

log = logging.getLogger(__name__)


class Superseded(Exception):
    """Another sequencer has taken over the shard."""


class Sequencer:
    """Takes what waits, at most `max_batch` commands, and makes it durable in one transaction."""

    def __init__(self, clock: Clock, *, max_batch: int = MAX_BATCH_COMMANDS) -> None:
        self._clock = clock
        self._max_batch = max_batch
        self._epoch = 0
        self._market: Market | None = None
        self._accounts = journal.AccountMemory()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; a lost connection costs a rebuild, not the process."""
        while not stop.is_set():
            try:
                if self.take_over(stop):
                    self._work(stop)
            except (OperationalError, InterfaceError, psycopg.OperationalError, Superseded) as error:
                log.warning("sequencer starts over: %s", error)
                self.let_go()
                stop.wait(RETRY_SECONDS)
        self.let_go()

    def take_over(self, stop: threading.Event) -> bool:
        """Wait for the lock, then begin a new epoch. False when told to stop before."""
        while not stop.is_set():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [SEQUENCER_LOCK])
                (locked,) = cursor.fetchone()
                if not locked:
                    stop.wait(RETRY_SECONDS)
                    continue
                cursor.execute(
                    "UPDATE exchange_sequencerstate SET epoch = epoch + 1 WHERE shard = %s RETURNING epoch", [SHARD]
                )
                (self._epoch,) = cursor.fetchone()
                cursor.execute(f"LISTEN {INTAKE_CHANNEL}")
            self._market = None
            log.info("sequencer runs, epoch %s", self._epoch)
            return True
        return False

    def let_go(self) -> None:
        """Give up lock, connection and memory."""
        self._market = None
        connection.close()

    def step(self) -> int:
        """Decide one batch; the number of its commands, 0 when none waits."""
        commands = cut_batch(fetch_waiting(self._max_batch))
        if not commands:
            return 0
        try:
            self._commit(commands)
        except (OperationalError, InterfaceError, Superseded):
            raise
        except Exception:
            log.exception("batch from %s to %s failed", commands[0].seq, commands[-1].seq)
            self._commit_each(commands)
        return len(commands)

    def _work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if not self.step():
                _wait_for_commands()

    def _commit_each(self, commands: Sequence[WaitingCommand]) -> None:
        """One command a batch, so that the one that cannot be processed stops nobody behind it."""
        for command in commands:
            try:
                self._commit([command])
            except (OperationalError, InterfaceError, Superseded):
                raise
            except Exception:
                log.exception("command %s set aside", command.seq)
                self._set_aside(command)

    @transaction.atomic(durable=True)
    def _commit(self, commands: Sequence[WaitingCommand]) -> None:
        """The whole batch in one transaction. Memory is put back only when nothing went wrong."""
        market, self._market = self._market, None
        now = self._clock.now()
        head = journal.lock_head()
        state = self._lock_state(commands)
        if market is None:
            market = restore_market()
        outcome = self._decide(market, commands, state, now)
        batch = _Batch(state.last_batch + 1, commands, now, head.version)
        transaction_id = _post(market, outcome, batch, self._accounts)
        write_outcome(outcome, batch_no=batch.no, now=now)
        self._advance(batch, state.last_fill + len(outcome.fills), transaction_id)
        market.forget_closed()
        transaction.on_commit(lambda: self._keep(market))

    def _keep(self, market: Market) -> None:
        self._market = market

    @transaction.atomic(durable=True)
    def _set_aside(self, command: WaitingCommand) -> None:
        head = journal.lock_head()
        state = self._lock_state([command])
        batch = _Batch(state.last_batch + 1, [command], self._clock.now(), head.version)
        write_outcome(Outcome(answers={command.seq: failed()}), batch_no=batch.no, now=batch.now)
        self._advance(batch, state.last_fill, None)

    def _lock_state(self, commands: Sequence[WaitingCommand]) -> SequencerState:
        state = SequencerState.objects.select_for_update().get(shard=SHARD)
        if state.epoch != self._epoch or state.cursor >= commands[0].seq:
            raise Superseded(f"epoch {state.epoch} at {state.cursor} instead of {self._epoch}")
        return state

    def _decide(
        self, market: Market, commands: Sequence[WaitingCommand], state: SequencerState, now: datetime
    ) -> Outcome:
        market.load(command.contract_id for command in commands)
        sellers = {command.party_id for command in commands if command.payload.get("side") == Side.SELL}
        run = BatchRun(
            market,
            Funds(journal.load_accounts(_taker_accounts(market, commands))),
            qualified=qualified_pairs([seller for seller in sellers if seller is not None], now) if sellers else set(),
            gates=read_gates(commands),
            first_fill=state.last_fill + 1,
            now=now,
        )
        return run.decide(commands)

    def _advance(self, batch: _Batch, last_fill: int, transaction_id: int | None) -> None:
        last_seq = batch.commands[-1].seq
        SequencerBatch.objects.create(
            no=batch.no,
            epoch=self._epoch,
            first_seq=batch.commands[0].seq,
            last_seq=last_seq,
            ran_at=batch.now,
            ledger_version=batch.ledger_version,
            ledger_transaction=transaction_id,
        )
        SequencerState.objects.filter(shard=SHARD).update(cursor=last_seq, last_batch=batch.no, last_fill=last_fill)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [RESULTS_CHANNEL, str(last_seq)])


@dataclass(frozen=True, slots=True)
class _Batch:
    no: int
    commands: Sequence[WaitingCommand]
    now: datetime
    ledger_version: int


def drain(clock: Clock) -> int:
    """Take over, decide everything that waits, let go; the number of commands. For tools and tests."""
    sequencer = Sequencer(clock)
    sequencer.take_over(threading.Event())
    decided = 0
    while done := sequencer.step():
        decided += done
    sequencer.let_go()
    return decided


def _taker_accounts(market: Market, commands: Sequence[WaitingCommand]) -> set[AccountKey]:
    """The accounts that the batch's new orders need to hold something of."""
    keys: set[AccountKey] = set()
    for command in commands:
        if command.kind is IntakeKind.PLACE_ORDER and command.party_id is not None:
            terms = market.contracts[command.contract_id].terms
            keys.add(terms.cash(command.party_id))
            if command.payload["side"] == Side.SELL:
                keys.add(terms.obligation(command.party_id))
    return keys


def _post(market: Market, outcome: Outcome, batch: _Batch, memory: journal.AccountMemory) -> int | None:
    """The batch's one ledger transaction; None when no account moves."""
    draft = draft_batch(
        {contract.id: contract.terms for contract in outcome.moved_books.values()},
        outcome.fills,
        outcome.holds,
        house_id=market.house_id,
        reference=str(batch.no),
        now=batch.now,
    )
    if draft is None:
        return None
    (posted,) = journal.post([draft], actor=ACTOR, now=batch.now, memory=memory)
    return posted.transaction_id


def _wait_for_commands() -> None:
    """Sleep until something is put into the line, or a moment has passed. Drains what was told meanwhile."""
    raw = connection.connection
    for _ in raw.notifies(timeout=IDLE_SECONDS_MAX, stop_after=1):
        pass
    for _ in raw.notifies(timeout=0):
        pass
