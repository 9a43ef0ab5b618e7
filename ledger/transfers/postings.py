"""What a transfer does to the books: a pure function of what was asked for, so that a repeat posts the same or nothing.

| Step | Kind | Reference | Legs | Holds on the party's cash |
|---|---|---|---|---|
| withdrawal asked for | `withdrawal_request` | `transfer/<id>/request` | – | +a |
| deposit approved | `deposit` | `transfer/<id>` | external −a, cash +a | – |
| withdrawal approved | `withdrawal` | `transfer/<id>` | external +a, cash −a | −a |
| withdrawal refused | `withdrawal_refusal` | `transfer/<id>/refusal` | – | −a |
| reversal approved | `reversal` | `transfer/<id>` | those it reverses, mirrored | – |
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.chart import AccountKey
from ledger.drafts import HoldChange, Leg, TransactionDraft

SOURCE = "treasury"


@dataclass(frozen=True, slots=True)
class Movement:
    """A transfer as the books see it: `into_cash` micros, negative when money leaves, effective when it was asked for.

    `held`: its amount is held from the request on. `reverses` is the transaction that it takes back.
    """

    transfer_id: int
    kind: str
    cash: AccountKey
    external: AccountKey
    into_cash: int
    payment_reference: str
    effective_at: datetime
    held: bool = False
    reverses: int | None = None

    @property
    def name(self) -> str:
        """What its postings and holds are known by."""
        return f"transfer/{self.transfer_id}"


def draft_hold(movement: Movement) -> TransactionDraft:
    """Hold the amount from the request on."""
    return _draft(movement, "withdrawal_request", "/request", holds=(_hold(movement, abs(movement.into_cash)),))


def draft_release(movement: Movement) -> TransactionDraft:
    """Let go of what the request held."""
    return _draft(movement, "withdrawal_refusal", "/refusal", holds=(_hold(movement, -abs(movement.into_cash)),))


def draft_transfer(movement: Movement) -> TransactionDraft:
    """Move the money, out of the hold if there is one."""
    legs = (
        Leg(movement.external, -movement.into_cash, movement.payment_reference),
        Leg(movement.cash, movement.into_cash, movement.payment_reference),
    )
    holds = (_hold(movement, -abs(movement.into_cash)),) if movement.held else ()
    return _draft(movement, movement.kind, "", legs=legs, holds=holds)


def _hold(movement: Movement, delta: int) -> HoldChange:
    return HoldChange(movement.cash, delta, movement.name)


def _draft(
    movement: Movement, kind: str, step: str, *, legs: tuple[Leg, ...] = (), holds: tuple[HoldChange, ...] = ()
) -> TransactionDraft:
    return TransactionDraft(
        kind=kind,
        source=SOURCE,
        reference=movement.name + step,
        effective_at=movement.effective_at,
        legs=legs,
        holds=holds,
        reverses=movement.reverses if legs else None,
    )
