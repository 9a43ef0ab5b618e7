"""What has to be read before a batch can be decided in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from exchange.clearing.reversals import reversal_accounts
from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import OrderId, Side
from exchange.models import Contract, IntakeKind, Order
from exchange.qualifications import qualified_pairs
from exchange.sequencer.closed_accounts import read_closed_accounts
from exchange.sequencer.funds import Funds
from exchange.sequencer.gates import read_gates
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.run import BatchRun
from exchange.sequencer.state import Market, contracts_of
from exchange.sequencer.timers import DueOrder, DueSwitch, Timer
from exchange.sequencer.undoing import Undoable, read_undoable
from ledger.chart import AccountKey
from ledger.journal import AccountState, load_accounts

PARTY_WIDE = frozenset({IntakeKind.CANCEL_ALL, IntakeKind.DEFAULT_PROVIDER})
HOLDING = frozenset({IntakeKind.PLACE_ORDER, IntakeKind.AMEND_ORDER})


def prepare(
    market: Market,
    commands: Sequence[WaitingCommand],
    timers: Sequence[Timer] = (),
    *,
    shard: int = 1,
    accounts: dict[AccountKey, AccountState],
    first_fill: int,
    now: datetime,
) -> BatchRun:
    """A run that knows all that these commands and timers of a shard ask for, at one instant.

    `accounts` are those that the caller remembers; the ones it lacks are read.
    """
    losing = {command.party_id for command in commands if command.kind in PARTY_WIDE}
    losing |= {timer.party_id for timer in timers if isinstance(timer, DueSwitch)}
    standing = read_standing(losing, contracts_of(shard)) if losing else {}
    market.load(
        {command.contract_id for command in commands}
        | {timer.contract_id for timer in timers if isinstance(timer, DueOrder)}
        | {contract_id for orders in standing.values() for contract_id in orders.values()}
    )
    sellers = {command.party_id for command in commands if _may_sell(command)}
    undoable = read_undoable(commands)
    if market.closed is None or not accounts:  # whoever closes one makes the caller forget
        market.closed = read_closed_accounts()
    wanted = taker_accounts(market, commands)
    if undoable is not None:
        wanted |= _undone_accounts(market, commands[0], undoable)
    accounts |= load_accounts([key for key in wanted if key not in accounts])
    return BatchRun(
        market,
        Funds(accounts, market.closed),
        qualified=qualified_pairs([seller for seller in sellers if seller is not None], now) if sellers else set(),
        gates=read_gates(commands),
        first_fill=first_fill,
        now=now,
        standing=standing,
        undoable=undoable,
    )


def _may_sell(command: WaitingCommand) -> bool:
    return command.kind is IntakeKind.AMEND_ORDER or command.payload.get("side") == Side.SELL


def read_standing(
    party_ids: Collection[int | None], contracts: Collection[int] | QuerySet[Contract, Any]
) -> Mapping[int, dict[OrderId, int]]:
    """The open orders of these parties in these contracts, and in which of them each is."""
    standing: dict[int, dict[OrderId, int]] = {party_id: {} for party_id in party_ids if party_id is not None}
    if standing:
        orders = Order.objects.filter(party_id__in=standing.keys(), status=OrderStatus.OPEN, contract_id__in=contracts)
        for party_id, order_id, contract_id in orders.values_list("party_id", "id", "contract_id"):
            standing[party_id][OrderId(order_id)] = contract_id
    return standing


def taker_accounts(market: Market, commands: Sequence[WaitingCommand]) -> set[AccountKey]:
    """The accounts that the batch's new and amended orders may need to hold something of, and what their fills move.

    The other side of a fill was read when its order came; one that is not here yet is read when it is moved.
    """
    keys: set[AccountKey] = set()
    for command in commands:
        if command.kind in HOLDING and command.party_id is not None and command.contract_id in market.contracts:
            terms = market.contracts[command.contract_id].terms
            keys.add(terms.cash(command.party_id))
            selling = _may_sell(command)
            if selling:
                keys.add(terms.obligation(command.party_id))
            if not selling or command.kind is IntakeKind.AMEND_ORDER:  # of whichever side it is
                keys.add(terms.entitlement(command.party_id))
    return keys


def _undone_accounts(market: Market, command: WaitingCommand, undoable: Undoable) -> set[AccountKey]:
    """The accounts that taking fills back would move."""
    terms = market.contracts[command.contract_id or 0].terms
    giving, taking = reversal_accounts(terms, undoable.fills, house_id=market.house_id)
    return giving | taking
