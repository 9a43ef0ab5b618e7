"""From the figures of positions to ledger transactions. Pure.

The positions of a contract are posted many at a time: one transaction for each chunk of them, its legs summed by
account and line. The reference follows from run, contract and chunk alone, so a repeated run posts nothing twice.
Figures may be negative (a later run's difference); the legs then run backwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from msgspec import Struct

from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from settlement.calculation import Payout, PositionOutcome
from settlement.splits import Recipient, Share

T = TypeVar("T")
SOURCE = "settlement"
SETTLE = "settle"  # the kind of transaction that posts positions
RELEASE = "release_holds"
CHUNK = 500  # positions in one transaction
BOND, OVERAGE = "bond", "overage"  # what a position holds back; the `ref` of each hold


class Line(StrEnum):
    """What legs of settlement are for; the `ref` of each."""

    DELIVERED = "delivered"
    UNUSED = "unused"
    SHORT = "short"
    PAY_PROVIDER = "pay_provider"
    REFUND_UNUSED = "refund_unused"
    REFUND_SHORT = "refund_short"
    OVERAGE = "overage"
    DAMAGES = "damages"
    SLA = "sla"
    SUSPENDED = "suspended"
    MADE_UP = "made_up"


# Written on many legs; reading a member's value takes longer than making the leg.
_PAY, _OVERAGE, _MADE_UP = Line.PAY_PROVIDER.value, Line.OVERAGE.value, Line.MADE_UP.value
_DELIVERED, _UNUSED, _SHORT = Line.DELIVERED.value, Line.UNUSED.value, Line.SHORT.value
_SLA, _SUSPENDED, _DAMAGES = Line.SLA.value, Line.SUSPENDED.value, Line.DAMAGES.value
_REFUND_UNUSED, _REFUND_SHORT = Line.REFUND_UNUSED.value, Line.REFUND_SHORT.value


class PartyRef(Struct, frozen=True, gc=False):
    """A party: its row and the code it is known by outside."""

    id: int
    code: str


class PositionAccounts(Struct, frozen=True, gc=False):
    """Whose accounts a position's lines move, and under which refs its bond and overage are held."""

    contract: str  # symbol; also the qualifier of its escrow account
    contract_asset_id: int
    currency_id: int
    house_id: int
    buyer: PartyRef
    provider: PartyRef
    bond_hold_ref: str
    overage_hold_ref: str

    @property
    def escrow(self) -> AccountKey:
        return AccountKey(self.house_id, self.currency_id, Role.ESCROW, self.contract)

    @property
    def suspense(self) -> AccountKey:
        return AccountKey(self.house_id, self.currency_id, Role.SUSPENSE, self.contract)

    @property
    def fees(self) -> AccountKey:
        return AccountKey(self.house_id, self.currency_id, Role.FEES)

    @property
    def buyer_cash(self) -> AccountKey:
        return AccountKey(self.buyer.id, self.currency_id, Role.CASH)

    @property
    def provider_cash(self) -> AccountKey:
        return AccountKey(self.provider.id, self.currency_id, Role.CASH)

    def share_account(self, share: Share) -> AccountKey:
        """Where a share is paid: its owner's cash, or the house's account for shares without a known owner."""
        if share.recipient is Recipient.PROVIDER:
            return self.provider_cash
        if share.party_id is not None:
            return AccountKey(share.party_id, self.currency_id, Role.CASH)
        return AccountKey(self.house_id, self.currency_id, Role.HELD_SHARE)


def chunk_reference(run_key: str, contract: str, chunk: int) -> str:
    """The journal reference of a chunk of a contract's positions: the same after any restart."""
    return f"{run_key}/{contract}/{chunk:04d}"


def chunks(positions: Sequence[T]) -> Iterator[tuple[int, Sequence[T]]]:
    """The chunks of a contract's positions, numbered from 1."""
    for number, start in enumerate(range(0, len(positions), CHUNK), start=1):
        yield number, positions[start : start + CHUNK]


def draft_chunk(
    positions: Iterable[tuple[PositionOutcome, PositionAccounts]], *, reference: str, effective_at: datetime
) -> TransactionDraft | None:
    """The transaction of some positions of a contract; None if they come to nothing."""
    legs: dict[tuple[AccountKey, str], int] = defaultdict(int)
    holds: dict[tuple[AccountKey, str], int] = defaultdict(int)
    for outcome, accounts in positions:
        for leg in position_legs(outcome, accounts):
            legs[leg.account, leg.ref] += leg.amount
        for hold in position_holds(outcome, accounts):
            holds[hold.account, hold.ref] += hold.delta
    return _draft(
        SETTLE,
        [Leg(account, amount, ref) for (account, ref), amount in legs.items()],
        [HoldChange(account, delta, ref) for (account, ref), delta in holds.items()],
        reference,
        effective_at,
    )


def draft_release(
    positions: Iterable[tuple[PositionOutcome, PositionAccounts, int, int]],
    *,
    reference: str,
    effective_at: datetime,
) -> TransactionDraft | None:
    """Free what is left of the bonds and overage holds of some positions, each with both; None if nothing is left.

    Outcomes are the cumulative ones: their damages and charges have been taken out of the holds.
    """
    holds: dict[tuple[AccountKey, str], int] = defaultdict(int)
    for outcome, accounts, bond_micros, overage_hold_micros in positions:
        holds[accounts.provider_cash, accounts.bond_hold_ref] += outcome.damages_micros - bond_micros
        holds[accounts.buyer_cash, accounts.overage_hold_ref] += outcome.held_charge_micros - overage_hold_micros
    changes = [HoldChange(account, delta, ref) for (account, ref), delta in holds.items()]
    return _draft(RELEASE, [], changes, reference, effective_at)


def position_legs(outcome: PositionOutcome, accounts: PositionAccounts) -> list[Leg]:
    """All legs of a position's figures, also those that came to 0."""
    escrow, buyer_cash = accounts.escrow, accounts.buyer_cash
    return [
        *_token_legs(_DELIVERED, outcome.delivered_tokens, accounts),
        *_token_legs(_UNUSED, outcome.unused_tokens, accounts),
        *_token_legs(_SHORT, outcome.short_tokens, accounts),
        Leg(escrow, -outcome.paid_micros, _PAY),
        *_payout_legs(_PAY, outcome.pay, accounts),
        *_move(_SLA, outcome.sla_micros, escrow, buyer_cash),
        *_move(_REFUND_UNUSED, outcome.refund_unused_micros, escrow, buyer_cash),
        *_move(_REFUND_SHORT, outcome.refund_short_micros, escrow, buyer_cash),
        *_move(_SUSPENDED, outcome.suspended_micros, escrow, accounts.suspense),
        *_charge(_OVERAGE, outcome.overage, outcome.overage_fee_micros, accounts),
        *_charge(_MADE_UP, outcome.made_up, outcome.made_up_fee_micros, accounts),
        *_move(_DAMAGES, outcome.damages_micros, accounts.provider_cash, buyer_cash),
    ]


def position_holds(outcome: PositionOutcome, accounts: PositionAccounts) -> list[HoldChange]:
    """What a position's figures take out of the provider's bond, and of what the buyer had put by."""
    return [
        HoldChange(accounts.buyer_cash, -outcome.held_charge_micros, accounts.overage_hold_ref),
        HoldChange(accounts.provider_cash, -outcome.damages_micros, accounts.bond_hold_ref),
    ]


def _draft(
    kind: str, legs: Iterable[Leg], holds: Iterable[HoldChange], reference: str, effective_at: datetime
) -> TransactionDraft | None:
    """A draft without the legs and holds that came to 0 (a leg of 0 cannot be written at all)."""
    legs, holds = tuple(leg for leg in legs if leg.amount), tuple(hold for hold in holds if hold.delta)
    if not legs and not holds:
        return None
    return TransactionDraft(
        kind=kind, source=SOURCE, reference=reference, effective_at=effective_at, legs=legs, holds=holds
    )


def _token_legs(ref: str, tokens: int, accounts: PositionAccounts) -> tuple[Leg, ...]:
    """Take tokens from what the buyer may still consume and from what the provider still owes."""
    if not tokens:
        return ()
    return (
        Leg(AccountKey(accounts.buyer.id, accounts.contract_asset_id, Role.ENTITLEMENT), -tokens, ref),
        Leg(AccountKey(accounts.provider.id, accounts.contract_asset_id, Role.OBLIGATION), tokens, ref),
    )


def _payout_legs(ref: str, payout: Payout, accounts: PositionAccounts) -> Iterator[Leg]:
    """Gross money spread over the provider, the beneficiaries and the house's fee."""
    to_provider = payout.net_micros
    for share in payout.shares:
        if share.share.recipient is not Recipient.PROVIDER:
            to_provider -= share.micros
            yield Leg(accounts.share_account(share.share), share.micros, ref)
    yield Leg(accounts.provider_cash, to_provider, ref)
    yield Leg(accounts.fees, payout.fee_micros, ref)


def _move(ref: str, micros: int, payer: AccountKey, payee: AccountKey) -> tuple[Leg, ...]:
    return (Leg(payer, -micros, ref), Leg(payee, micros, ref)) if micros else ()


def _charge(ref: str, payout: Payout, fee_micros: int, accounts: PositionAccounts) -> tuple[Leg, ...]:
    """Charge the buyer for use above the position, out of what was held for it."""
    if not payout.gross_micros and not fee_micros:
        return ()
    return (
        Leg(accounts.buyer_cash, -payout.gross_micros - fee_micros, ref),
        Leg(accounts.fees, fee_micros, ref),
        *_payout_legs(ref, payout, accounts),
    )
