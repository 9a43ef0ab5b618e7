"""From the figures of a position to ledger transactions.

Every line is a transaction of its own under a reference that follows from run, position and line alone, so a
repeated run posts nothing twice. Figures may be negative (a later run's difference); the legs then run backwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from settlement.calculation import Payout, PositionOutcome
from settlement.splits import Recipient, Share

SOURCE = "settlement"


class Line(StrEnum):
    """The kinds of transaction that settlement posts."""

    DELIVERED = "delivered"
    UNUSED = "unused"
    SHORT = "short"
    PAY_PROVIDER = "pay_provider"
    REFUND_UNUSED = "refund_unused"
    REFUND_SHORT = "refund_short"
    OVERAGE = "overage"
    DAMAGES = "damages"
    RELEASE_HOLDS = "release_holds"


@dataclass(frozen=True, slots=True)
class PartyRef:
    """A party: its row and the code it is known by outside."""

    id: int
    code: str


@dataclass(frozen=True, slots=True)
class PositionAccounts:
    """Whose accounts a position's lines move, and under which refs its bond and overage are held."""

    contract: str  # symbol; also the qualifier of its escrow account
    contract_asset_id: int
    currency_id: int
    house_id: int
    buyer: PartyRef
    provider: PartyRef
    bond_hold_ref: str
    overage_hold_ref: str

    def reference(self, run_key: str, line: Line) -> str:
        """The journal reference of a line: unique to run, position and line, and the same after any restart."""
        return f"{run_key}/{self.contract}/{self.buyer.code}/{self.provider.code}/{line}"

    @property
    def escrow(self) -> AccountKey:
        return AccountKey(self.house_id, self.currency_id, Role.ESCROW, self.contract)

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


def draft_position(
    outcome: PositionOutcome, accounts: PositionAccounts, *, run_key: str, effective_at: datetime
) -> list[TransactionDraft]:
    """The transactions of a position's figures; a line of zeros gives none."""
    moves: list[tuple[Line, list[Leg], list[HoldChange]]] = [
        (Line.DELIVERED, _token_legs(outcome.delivered_tokens, accounts), []),
        (Line.UNUSED, _token_legs(outcome.unused_tokens, accounts), []),
        (Line.SHORT, _token_legs(outcome.short_tokens, accounts), []),
        (Line.PAY_PROVIDER, [Leg(accounts.escrow, -outcome.paid_micros), *_payout_legs(outcome.pay, accounts)], []),
        (Line.REFUND_UNUSED, _refund_legs(outcome.refund_unused_micros, accounts), []),
        (Line.REFUND_SHORT, _refund_legs(outcome.refund_short_micros, accounts), []),
        (Line.OVERAGE, *_overage(outcome, accounts)),
        (Line.DAMAGES, *_damages(outcome.damages_micros, accounts)),
    ]
    drafts = (_draft(line, legs, holds, accounts, run_key, effective_at) for line, legs, holds in moves)
    return [draft for draft in drafts if draft.legs]


def release_holds(
    outcome: PositionOutcome,
    accounts: PositionAccounts,
    *,
    bond_micros: int,
    overage_hold_micros: int,
    run_key: str,
    effective_at: datetime,
) -> list[TransactionDraft]:
    """Free what is left of bond and overage hold once a position is final; nothing if nothing is left.

    `outcome` is the cumulative one: its damages and overage have already been taken out of the holds.
    """
    overage = outcome.overage.gross_micros + outcome.overage_fee_micros
    holds = [
        HoldChange(accounts.provider_cash, outcome.damages_micros - bond_micros, accounts.bond_hold_ref),
        HoldChange(accounts.buyer_cash, overage - overage_hold_micros, accounts.overage_hold_ref),
    ]
    draft = _draft(Line.RELEASE_HOLDS, [], holds, accounts, run_key, effective_at)
    return [draft] if draft.holds else []


def _draft(
    line: Line,
    legs: Iterable[Leg],
    holds: Iterable[HoldChange],
    accounts: PositionAccounts,
    run_key: str,
    effective_at: datetime,
) -> TransactionDraft:
    """A draft without the legs and holds that came to 0 (a leg of 0 cannot be written at all)."""
    return TransactionDraft(
        kind=line.value,
        source=SOURCE,
        reference=accounts.reference(run_key, line),
        effective_at=effective_at,
        legs=tuple(leg for leg in legs if leg.amount),
        holds=tuple(hold for hold in holds if hold.delta),
    )


def _token_legs(tokens: int, accounts: PositionAccounts) -> list[Leg]:
    """Take tokens from what the buyer may still consume and from what the provider still owes."""
    return [
        Leg(AccountKey(accounts.buyer.id, accounts.contract_asset_id, Role.ENTITLEMENT), -tokens),
        Leg(AccountKey(accounts.provider.id, accounts.contract_asset_id, Role.OBLIGATION), tokens),
    ]


def _payout_legs(payout: Payout, accounts: PositionAccounts) -> list[Leg]:
    """Gross money spread over the provider, the beneficiaries and the house's fee."""
    shared = [share for share in payout.shares if share.share.recipient is not Recipient.PROVIDER]
    to_provider = payout.net_micros - sum(share.micros for share in shared)
    return [
        Leg(accounts.provider_cash, to_provider),
        Leg(accounts.fees, payout.fee_micros, "provider_fee"),
        *(Leg(accounts.share_account(share.share), share.micros, share.share.beneficiary) for share in shared),
    ]


def _refund_legs(micros: int, accounts: PositionAccounts) -> list[Leg]:
    return [Leg(accounts.escrow, -micros), Leg(accounts.buyer_cash, micros)]


def _overage(outcome: PositionOutcome, accounts: PositionAccounts) -> tuple[list[Leg], list[HoldChange]]:
    """Charge the buyer for use above the position, out of what was held for it."""
    charged = outcome.overage.gross_micros + outcome.overage_fee_micros
    legs = [
        Leg(accounts.buyer_cash, -charged),
        Leg(accounts.fees, outcome.overage_fee_micros, "buyer_fee"),
        *_payout_legs(outcome.overage, accounts),
    ]
    return legs, [HoldChange(accounts.buyer_cash, -charged, accounts.overage_hold_ref)]


def _damages(micros: int, accounts: PositionAccounts) -> tuple[list[Leg], list[HoldChange]]:
    """Pay the buyer out of the provider's bond."""
    legs = [Leg(accounts.provider_cash, -micros), Leg(accounts.buyer_cash, micros)]
    return legs, [HoldChange(accounts.provider_cash, -micros, accounts.bond_hold_ref)]
