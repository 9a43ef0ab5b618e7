"""The one writer of a shard's books.

It holds an advisory lock on the very connection it writes on, and raises its shard's epoch when it takes over; every
batch compares the epoch in its own transaction. So a second sequencer waits, and one that was cut off and does not know
it cannot write. Memory is kept only over committed batches: after anything else it is dropped and read again.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import psycopg
from django.db import InterfaceError, OperationalError, connection, transaction

from exchange.clearing.terms import MAX_BATCH_COMMANDS
from exchange.sequencer.decide import Poisoned, decide
from exchange.sequencer.gates import split_batches, split_bundles
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.lease import Counters, Superseded, lock_state, try_to_take
from exchange.sequencer.outcome import Outcome
from exchange.sequencer.poison import reason_of, write_set_aside
from exchange.sequencer.prepare import prepare
from exchange.sequencer.run import BatchRun
from exchange.sequencer.state import Market, restore_market
from exchange.sequencer.taking import Taking
from exchange.sequencer.timers import BrokenTimer, Timer, read_due, read_next_due
from exchange.sequencer.writer import Batch, write_batch
from ledger import journal
from ledger.chart import AccountKey
from ledger.clock import Clock
from ledger.packing import open_outbox
from ledger.selectors.parties import has_house

IDLE_SECONDS_MAX = 0.5  # a lost notification costs this much
IDLE_SECONDS_MIN = 0.01
RETRY_SECONDS = 0.5
BATCHES_AT_ONCE = 4  # in one transaction: each is decided while the database writes the ones before
BATCHES_PER_COLLECTION = 256

log = logging.getLogger(__name__)


_STARTS_OVER = (OperationalError, InterfaceError, psycopg.OperationalError, Superseded)


class Sequencer:
    """Takes what waits in a shard's line, at most a few batches of `max_batch` commands, and makes it durable in one
    transaction.

    One that has its process to itself (`owns_process`) keeps the garbage collector away from its books.
    """

    def __init__(
        self, clock: Clock, shard: int = 1, *, max_batch: int = MAX_BATCH_COMMANDS, owns_process: bool = False
    ) -> None:
        self._clock = clock
        self._shard = shard
        self._max_batch = max_batch
        self._owns_process = owns_process
        self._epoch = 0
        self._market: Market | None = None
        self._accounts = journal.AccountMemory()
        self._taking = Taking(shard, BATCHES_AT_ONCE * max_batch)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; a lost connection costs a rebuild, not the process."""
        while not stop.is_set():
            try:
                if self.take_over(stop) and _await_house(stop):
                    self._remember()
                    self._work(stop)
            except _STARTS_OVER as error:
                log.warning("sequencer of shard %s starts over: %s", self._shard, error)
                self.let_go()
                stop.wait(RETRY_SECONDS)
        self.let_go()

    def take_over(self, stop: threading.Event) -> bool:
        """Wait for the lock, then begin a new epoch. False when told to stop before."""
        while not stop.is_set():
            epoch = try_to_take(self._shard)
            if epoch is not None:
                self._epoch, self._market = epoch, None
                log.info("sequencer of shard %s runs, epoch %s", self._shard, epoch)
                return True
            stop.wait(RETRY_SECONDS)
        return False

    def let_go(self) -> None:
        """Give up lock, connection and memory."""
        self._forget()
        connection.close()
        self._taking.close()

    def step(self) -> int:
        """Decide what waits, at most a few batches: how many commands and timers that was, 0 when nothing was to do."""
        commands = self._taking.next()
        if commands or self._is_due():
            return self._commit_what_can_be(commands)
        return 0

    def _remember(self) -> None:
        """Read all books before the first command comes, and leave them out of every garbage collection."""
        self._market = restore_market(self._shard)
        self._market.load_all(self._shard)
        if self._owns_process:
            gc.disable()
            gc.collect()
            gc.freeze()

    def _forget(self) -> None:
        self._market = None
        self._taking.forget()
        if self._owns_process:  # queues are cycles: nobody else would free them
            gc.unfreeze()
            gc.collect()

    def _work(self, stop: threading.Event) -> None:
        batches = 0
        while not stop.is_set():
            done = self.step()
            batches += 1
            if self._owns_process and (not done or not batches % BATCHES_PER_COLLECTION):
                gc.collect(0)
            if not done:
                _wait_for_commands(self._seconds_to_rest())

    def _seconds_to_rest(self) -> float:
        due_at = self._market.next_due if self._market is not None else None
        if due_at is None:
            return IDLE_SECONDS_MAX
        return min(IDLE_SECONDS_MAX, max(IDLE_SECONDS_MIN, (due_at - self._clock.now()).total_seconds()))

    def _is_due(self) -> bool:
        """Whether time alone has something to decide. It looks without a lock: nobody else closes what is due."""
        if self._market is None:
            if not has_house():
                return False
            self._market = restore_market(self._shard)
        now = self._clock.now()
        if self._market.next_due is None or now < self._market.next_due:
            return False
        if read_due(self._shard, now, 1):
            return True
        self._market.next_due = read_next_due(self._shard)
        return False

    def _commit_what_can_be(self, commands: Sequence[WaitingCommand]) -> int:
        """Commit what was taken without the commands that cannot be processed, so that they stop nobody behind them.

        Where nobody says which command it was, bundles and commands are tried one by one.
        """
        set_aside: dict[int, str] = {}
        while True:
            try:
                return self._commit(commands, set_aside)
            except (*_STARTS_OVER, BrokenTimer):
                raise
            except Exception as error:
                log.exception("batch of shard %s failed", self._shard)
                self._forget()
                if isinstance(error, Poisoned):
                    set_aside[error.seq] = reason_of(error)
                elif len(bundles := split_bundles(commands)) > 1:
                    return sum(self._commit_what_can_be(bundle) for bundle in bundles)
                elif len(set_aside) < len(commands):
                    set_aside = {command.seq: reason_of(error) for command in commands}
                else:
                    raise

    @transaction.atomic(durable=True)
    def _commit(self, commands: Sequence[WaitingCommand], set_aside: Mapping[int, str]) -> int:
        """All that was taken in one transaction. Memory is put back only when nothing went wrong."""
        market, self._market = self._market, None
        now = self._clock.now()
        head = journal.lock_head()
        counters = lock_state(self._shard, self._epoch, commands)
        now = max(now, counters.last_ran_at or now)
        if market is None:
            market = restore_market(self._shard)
        timers = self._due(market, now)
        if len(timers) == MAX_BATCH_COMMANDS:  # all that is due comes before any command
            commands = []
        if commands or timers:
            accounts = self._accounts.take(head.version)
            run = prepare(
                market,
                commands,
                timers,
                shard=self._shard,
                accounts=accounts,
                first_fill=counters.last_fill + 1,
                now=now,
            )
            version = self._write(run, commands, timers, set_aside, counters, head, accounts)
            transaction.on_commit(lambda: self._accounts.keep(accounts, version))
            if timers:
                market.next_due = read_next_due(self._shard)
            market.forget_closed()
        transaction.on_commit(lambda: self._keep(market))
        return len(commands) + len(timers)

    def _keep(self, market: Market) -> None:
        self._market = market

    def _due(self, market: Market, now: datetime) -> list[Timer]:
        if market.next_due is None or now < market.next_due:
            return []
        return read_due(self._shard, now, MAX_BATCH_COMMANDS)

    def _write(
        self,
        run: BatchRun,
        commands: Sequence[WaitingCommand],
        timers: Sequence[Timer],
        set_aside: Mapping[int, str],
        counters: Counters,
        head: journal.Head,
        accounts: dict[AccountKey, journal.AccountState],
    ) -> int:
        """Decide and write in batches: PostgreSQL works on one while the next is decided. Gives the head's version."""
        with open_outbox() as outbox:
            for part in split_batches(commands, self._max_batch):
                aside = {command.seq: set_aside[command.seq] for command in part if command.seq in set_aside}
                outcome = decide(run, part, timers=timers, set_aside=aside)
                batch = self._batch(part, counters, outcome, run.now, head)
                head = write_batch(outcome, batch, run.drafts(batch.no), accounts, outbox)
                if aside:
                    outbox.settle()
                    write_set_aside(outcome, batch)
                counters = replace(counters, cursor=batch.last_seq, last_batch=batch.no, last_fill=batch.last_fill)
                run.begin_batch()
                timers = ()
            self._taking.look_ahead(run.market, commands, accounts)
        return head.version

    def _batch(
        self,
        commands: Sequence[WaitingCommand],
        counters: Counters,
        outcome: Outcome,
        now: datetime,
        head: journal.Head,
    ) -> Batch:
        """The batch's place; one of time alone ends before it begins."""
        return Batch(
            no=counters.last_batch + 1,
            shard=self._shard,
            epoch=self._epoch,
            first_seq=commands[0].seq if commands else counters.cursor + 1,
            last_seq=commands[-1].seq if commands else counters.cursor,
            now=now,
            head=head,
            last_fill=counters.last_fill + len(outcome.fills),
        )


def _await_house(stop: threading.Event) -> bool:
    """Wait until the market has somebody who runs it, for whom every batch posts. False when told to stop before."""
    while not stop.is_set():
        if has_house():
            return True
        stop.wait(RETRY_SECONDS)
    return False


def drain(clock: Clock, shard: int = 1) -> int:
    """Take over, decide everything that waits or is due, let go; how much that was. For tools and tests."""
    sequencer = Sequencer(clock, shard)
    sequencer.take_over(threading.Event())
    decided = 0
    while done := sequencer.step():
        decided += done
    sequencer.let_go()
    return decided


def _wait_for_commands(seconds: float) -> None:
    """Sleep until something is put into the line, or so long. Drains what was told meanwhile."""
    raw = connection.connection
    for _ in raw.notifies(timeout=seconds, stop_after=1):
        pass
    for _ in raw.notifies(timeout=0):
        pass
