"""What commands would come to if they were decided now, told by the code that decides, on a copy.

One read-only transaction sees one moment: books and accounts are read from it into memory, the commands are decided
there as the sequencer would, what is due by itself first, and all of it is thrown away. Commands that wait in the line
are not counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from exchange.clearing.amounts import required_holds
from exchange.clearing.terms import MAX_BATCH_COMMANDS
from exchange.matching.lifecycle import OrderStatus
from exchange.models import Contract, ExchangeHead, Intake, IntakeKind, Order
from exchange.sequencer.answers import Answer
from exchange.sequencer.closed_accounts import read_closed_accounts
from exchange.sequencer.decide import decide
from exchange.sequencer.funds import Funds
from exchange.sequencer.intake import Submission, WaitingCommand
from exchange.sequencer.order_decisions import order_of
from exchange.sequencer.prepare import read_standing
from exchange.sequencer.run import BatchRun
from exchange.sequencer.state import Market
from exchange.sequencer.timers import DueOrder, DueSwitch, Timer, read_due
from ledger.chart import AccountKey
from ledger.journal import AccountState, load_accounts
from ledger.selectors.parties import get_house_id


@dataclass(frozen=True, slots=True)
class Trial:
    """What a buyer's command would come to.

    `required_hold` is what must be free for an order to be accepted, `hold` what is held more (or less) once it is
    decided, both on the buyer's cash, in micros.
    """

    answer: Answer
    required_hold: int
    hold: int


def dry_run(commands: Sequence[Submission], *, party_id: int, now: datetime) -> list[Trial]:
    """Decide a buyer's orders, amendments and cancels in their turn, and forget it. Call it outside a transaction."""
    with reading_one_moment():
        head = ExchangeHead.objects.get()
        last_seq = Intake.objects.order_by("-seq").values_list("seq", flat=True).first() or 0
        waiting = [
            WaitingCommand(seq, each.kind, each.contract_id, party_id, each.actor, each.client_order_id, each.payload)
            for seq, each in enumerate(commands, last_seq + 1)
        ]
        contracts = Contract.objects.filter(id__in={each.contract_id for each in commands})
        shards = dict(contracts.values_list("id", "shard"))
        by_shard: dict[int, list[WaitingCommand]] = defaultdict(list)
        for command in waiting:
            by_shard[shards[command.contract_id or 0]].append(command)
        accounts: dict[AccountKey, AccountState] = {}
        trials: dict[int, Trial] = {}
        for shard in sorted(by_shard):
            copy = _Copy(shard, party_id, by_shard[shard], accounts, head, max(now, head.last_ran_at or now))
            trials |= {command.seq: copy.decide(command) for command in by_shard[shard]}
    return [trials[command.seq] for command in waiting]


class _Copy:
    """A shard's memory, as far as the commands need it. Accounts are shared, since all shards draw on the same."""

    def __init__(
        self,
        shard: int,
        party_id: int,
        commands: Sequence[WaitingCommand],
        accounts: dict[AccountKey, AccountState],
        head: ExchangeHead,
        now: datetime,
    ) -> None:
        contracts = Contract.objects.filter(shard=shard).values("id")
        own = Order.objects.filter(party_id=party_id, status=OrderStatus.OPEN, contract_id__in=contracts)
        timers = read_due(shard, now, MAX_BATCH_COMMANDS)
        self.market = Market(get_house_id(), open_orders=Counter({party_id: own.count()}))
        self.market.load([*(command.contract_id for command in commands), *self._going(own, party_id, timers)])
        terms = [live.terms for live in self.market.contracts.values()]
        keys = {key for each in terms for key in (each.cash(party_id), each.entitlement(party_id))}
        accounts |= load_accounts(keys - accounts.keys())
        self.accounts = accounts
        self.run = BatchRun(
            self.market,
            Funds(accounts, read_closed_accounts()),
            qualified=set(),
            gates={},
            first_fill=head.last_fill + 1,
            now=now,
            standing=read_standing(
                [timer.party_id for timer in timers if isinstance(timer, DueSwitch)], list(self.market.contracts)
            ),
        )
        decide(self.run, [], timers=[timer for timer in timers if self._concerns(timer)])

    def decide(self, command: WaitingCommand) -> Trial:
        contract = self.run.contract_of(command)
        cash = contract.terms.cash(command.party_id or 0)
        required = 0
        if command.kind is IntakeKind.PLACE_ORDER:
            holds = required_holds(contract.terms, order_of(command, contract))
            required = sum(hold.delta for hold in holds if hold.account == cash)
        before = self._held(cash)
        answer = decide(self.run, [command]).answers[command.seq]
        return Trial(answer, required, self._held(cash) - before)

    def _held(self, cash: AccountKey) -> int:
        account = self.accounts.get(cash)
        changes = sum(hold.delta for hold in self.run.outcome.holds if hold.account == cash)
        return changes if account is None else account.held + changes

    def _going(self, own: QuerySet[Order], party_id: int, timers: Sequence[Timer]) -> list[int]:
        """The contracts in which the buyer's own orders are about to go, which frees what they hold."""
        expired = [timer.order_id for timer in timers if isinstance(timer, DueOrder)]
        going = own if DueSwitch(party_id) in timers else own.filter(id__in=expired)
        return list(going.values_list("contract_id", flat=True))

    def _concerns(self, timer: Timer) -> bool:
        return isinstance(timer, DueSwitch) or timer.contract_id in self.market.contracts


@contextmanager
def reading_one_moment() -> Iterator[None]:
    """A transaction that sees one moment and cannot write."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
