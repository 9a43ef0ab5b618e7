"""The history happens again, on Django's own connection, by the code that made it the first time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import transaction

from exchange.clearing.terms import MAX_BATCH_COMMANDS
from exchange.models import ExchangeHead, SequencerState
from exchange.replay.difference import Diverged
from exchange.replay.facts import ContractLife, Qualifications
from exchange.replay.history import AccountChanges, DecidedBatch, Event, History, PostedBatch
from exchange.sequencer.decide import decide
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.outcome import Outcome
from exchange.sequencer.poison import write_set_aside
from exchange.sequencer.prepare import HOLDING, prepare
from exchange.sequencer.run import BatchRun
from exchange.sequencer.state import Market, restore_market
from exchange.sequencer.timers import read_due
from exchange.sequencer.writer import Batch, write_batch
from ledger import journal
from ledger.audit.snapshot import View
from ledger.chart import AccountKey
from ledger.drafts import TransactionDraft
from ledger.packing import open_outbox

MAX_ACCOUNTS = 200_000  # remembered


class Broken(Exception):
    """An event cannot happen again."""

    def __init__(self, event: Event, error: Exception) -> None:
        super().__init__(str(error))
        self.event = event


class Rerun:
    """Memory is that of all shards' sequencers, and of every other writer of the ledger."""

    def __init__(self, record: View, history: History) -> None:
        self._history = history
        self._set_aside: dict[int, str] = dict(record.rows("SELECT seq, reason FROM exchange_setaside"))
        self.qualifications = Qualifications(record)
        self.life = ContractLife(record)
        self.commands = 0
        self._read_memory()

    def happen(self, events: Sequence[Event]) -> None:
        """Some events in one transaction, or, if one fails, those before it.

        Raises `Broken`, or `Diverged` when the record itself is at fault.
        """
        kept, commands = self.life.keep(), self.commands
        try:
            with transaction.atomic(durable=True):
                self._happen(events)
        except Exception as error:  # whatever it is, the record says that it happened
            self.life.put_back(kept)
            self.commands = commands
            self._read_memory()
            if len(events) > 1:
                for event in events:
                    self.happen([event])
            elif isinstance(error, Diverged):
                raise
            else:
                raise Broken(events[0], error) from error

    def finish(self) -> None:
        """What happened to contracts after the last batch."""
        self.life.finish()

    @property
    def last_batch(self) -> int:
        return self._last_batch

    @property
    def head(self) -> journal.Head:
        return self._head

    @transaction.atomic
    def _read_memory(self) -> None:
        self._head = journal.lock_head()
        counters = ExchangeHead.objects.get()
        self._last_batch, self._last_fill = counters.last_batch, counters.last_fill
        self._cursors: dict[int, int] = dict(SequencerState.objects.values_list("shard", "cursor"))
        self._accounts: dict[AccountKey, journal.AccountState] = {}
        self._markets: dict[int, Market] = {}

    def _happen(self, events: Sequence[Event]) -> None:
        commands = self._history.commands([each for each in events if isinstance(each, DecidedBatch)])
        drafts = self._history.drafts([each for each in events if isinstance(each, PostedBatch)])
        for event in events:
            if len(self._accounts) > MAX_ACCOUNTS:
                self._accounts.clear()
            match event:
                case DecidedBatch():
                    self._decide(event, commands.get(event.no, []))
                case PostedBatch():
                    self._post(event, drafts.get(event.no, []))
                case AccountChanges():
                    self._change(event)

    def _decide(self, recorded: DecidedBatch, commands: Sequence[WaitingCommand]) -> None:
        shard, now = recorded.shard, recorded.ran_at
        self.life.advance(recorded, commands)
        market = self._markets.get(shard)
        if market is None:
            market = self._markets[shard] = restore_market(shard)
        timers = read_due(shard, now, MAX_BATCH_COMMANDS)
        run = prepare(
            market,
            commands,
            timers,
            shard=shard,
            accounts=self._accounts,
            first_fill=self._last_fill + 1,
            now=now,
        )
        run.qualified = self.qualifications.seen(_sellers(run, commands), now)
        aside = {command.seq: self._set_aside[command.seq] for command in commands if command.seq in self._set_aside}
        self._write(recorded, commands, run, decide(run, commands, timers=timers, set_aside=aside))
        market.forget_closed()
        self.commands += len(commands)

    def _write(
        self, recorded: DecidedBatch, commands: Sequence[WaitingCommand], run: BatchRun, outcome: Outcome
    ) -> None:
        cursor = self._cursors[recorded.shard]
        batch = Batch(
            no=self._last_batch + 1,
            shard=recorded.shard,
            epoch=recorded.epoch,
            first_seq=commands[0].seq if commands else cursor + 1,
            last_seq=commands[-1].seq if commands else cursor,
            now=run.now,
            head=self._head,
            last_fill=self._last_fill + len(outcome.fills),
        )
        with open_outbox() as outbox:
            self._head = write_batch(outcome, batch, run.drafts(batch.no), self._accounts, outbox)
        write_set_aside(outcome, batch)
        self._cursors[recorded.shard] = batch.last_seq
        self._last_batch, self._last_fill = batch.no, batch.last_fill

    def _post(self, recorded: PostedBatch, drafts: Sequence[TransactionDraft]) -> None:
        with open_outbox() as outbox:
            self._head = journal.post_new(
                drafts, self._accounts, self._head, outbox, actor=recorded.actor, now=recorded.posted_at
            )

    def _change(self, recorded: AccountChanges) -> None:
        first = recorded.changes[0]
        if first.what == "floor":
            floors: Mapping[AccountKey, int | None] = {
                change.key: None if change.after == "none" else int(change.after) for change in recorded.changes
            }
            journal.set_floors(floors, actor=first.actor, reason=first.reason, now=first.at)
        else:
            flags = dict(flag.split("=") for flag in first.after.split())
            journal.set_flags(
                first.key,
                frozen=flags["frozen"] == "t",
                closed=flags["closed"] == "t",
                actor=first.actor,
                reason=first.reason,
                now=first.at,
            )
        for change in recorded.changes:
            self._accounts.pop(change.key, None)
        for market in self._markets.values():
            market.closed = None
        self._head = journal.lock_head()


def _sellers(run: BatchRun, commands: Sequence[WaitingCommand]) -> list[tuple[int, int, int]]:
    """(seq, party, product) of the commands that may need a qualification."""
    contracts = run.market.contracts
    return [
        (command.seq, command.party_id, contracts[command.contract_id].product_id)
        for command in commands
        if command.kind in HOLDING and command.party_id is not None and command.contract_id in contracts
    ]
