"""Trades that are taken back: what such a decision is made on, and the rows that it leaves.

Such commands are decided in a batch of their own, so that every fill is in the tables by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.clearing.drafts import SOURCE
from exchange.clearing.fills import FillRecord
from exchange.matching.types import BrokenInvariant, ContractId, Lots, OrderId, PartyId, PriceTicks, Side
from exchange.models import Contract, Fill, FillReversal, IntakeKind
from exchange.rows import standing_fills
from exchange.sequencer.intake import WaitingCommand
from exchange.sequencer.outcome import Outcome
from ledger.actions import record_action
from ledger.money import Micros, Tokens

UNDOING = frozenset({IntakeKind.CANCEL_CONTRACT, IntakeKind.BUST_FILL})


@dataclass(frozen=True, slots=True)
class Undoable:
    """The fills that a command may take back, and what is true around them.

    `last_price_ticks` is the last price that stands without them.
    """

    delivery_start: datetime
    delivery_end: datetime
    fills: tuple[FillRecord, ...]
    last_price_ticks: int | None


def read_undoable(commands: Sequence[WaitingCommand]) -> Undoable | None:
    """What stands, for the command that undoes trades, if the batch is one. Under the ledger head's lock."""
    if len(commands) != 1 or commands[0].kind not in UNDOING:
        return None
    (command,) = commands
    if command.contract_id is None:
        raise BrokenInvariant(f"Command {command.seq} names no contract.")
    contract = Contract.objects.get(id=command.contract_id)
    standing = standing_fills().filter(contract_id=contract.id)
    wanted, last_price_ticks = standing, None
    if command.kind is IntakeKind.BUST_FILL:
        wanted = standing.filter(id=command.payload["fill_id"])
        others = standing.exclude(id=command.payload["fill_id"]).order_by("-trade_no")
        last_price_ticks = others.values_list("price_ticks", flat=True).first()
    return Undoable(
        delivery_start=contract.delivery_start,
        delivery_end=contract.delivery_end,
        fills=tuple(_record(row) for row in wanted.order_by("id")),
        last_price_ticks=last_price_ticks,
    )


def write_contract_life(outcome: Outcome, *, batch_no: int, now: datetime) -> None:
    """Fills taken back, contracts cancelled, and why trading stands still. The journal has been written."""
    FillReversal.objects.bulk_create(
        FillReversal(
            fill_id=each.fill.fill_id,
            contract_id=each.fill.contract_id,
            reason=each.reason,
            command_seq=each.command_seq,
            batch_no=batch_no,
            reversed_at=now,
        )
        for each in outcome.reversals
    )
    for contract_id, reason in outcome.state_reasons.items():
        Contract.objects.filter(id=contract_id).update(state_reason=reason)
    Contract.objects.filter(id__in=outcome.cancelled).update(cancelled_at=now)
    for contract_id, order_id in outcome.collar_halts.items():
        record_action(
            actor=SOURCE,
            action="halt",
            subject=f"contract:{outcome.moved_states[contract_id].symbol}",
            reason=outcome.state_reasons[contract_id],
            now=now,
            details={"order_id": order_id},
        )


def _record(row: Fill) -> FillRecord:
    return FillRecord(
        fill_id=row.id,
        contract_id=ContractId(row.contract_id),
        trade_no=row.trade_no,
        buy_order_id=OrderId(row.buy_order_id),
        sell_order_id=OrderId(row.sell_order_id),
        buyer_id=PartyId(row.buyer_id),
        provider_id=PartyId(row.provider_id),
        taker_side=Side(row.taker_side),
        price_ticks=PriceTicks(row.price_ticks),
        lots=Lots(row.lots),
        tokens=Tokens(row.tokens),
        notional_micros=Micros(row.notional),
        buyer_fee_micros=Micros(row.buyer_fee),
        buyer_fee_ppm=row.buyer_fee_ppm,
        provider_fee_ppm=row.provider_fee_ppm,
        bond_micros=Micros(row.bond),
        overage_tokens=Tokens(row.overage_tokens),
        overage_hold_micros=Micros(row.overage_hold),
    )
