"""From a dispute to ledger transactions: what is disputed goes into suspense, and comes back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from settlement.postings import SOURCE

SUSPEND = "dispute_suspense"
RELEASE = "dispute_release"
SETTLE = "dispute_settle"
DISPUTE = "dispute"  # the ref of the legs that carry out a decision


@dataclass(frozen=True, slots=True)
class Suspension:
    """What of a dispute lies, or will lie, in suspense. `contract` is a symbol, the suspense account's qualifier."""

    dispute_id: int
    contract: str
    payee: AccountKey
    house_id: int
    micros: int

    @property
    def suspense(self) -> AccountKey:
        return AccountKey(self.house_id, self.payee.asset_id, Role.SUSPENSE, self.contract)


def payee_account(line_kind: str, party_id: int, *, currency_id: int, house_id: int) -> AccountKey:
    """Where the payee of a line has the money: a party in its cash, the house among its fees or unowned shares."""
    role = Role.CASH
    if party_id == house_id:
        role = Role.HELD_SHARE if line_kind == "share" else Role.FEES
    return AccountKey(party_id, currency_id, role)


def draft_suspension(suspension: Suspension, *, effective_at: datetime) -> TransactionDraft:
    """Take it from the payee into suspense."""
    return _draft(SUSPEND, suspension, -suspension.micros, "suspense", effective_at)


def draft_release(suspension: Suspension, *, effective_at: datetime) -> TransactionDraft:
    """Give it back to the payee."""
    return _draft(RELEASE, suspension, suspension.micros, "release", effective_at)


def draft_settlement(
    suspension: Suspension, creditor: AccountKey, decided_micros: int, *, effective_at: datetime
) -> TransactionDraft:
    """Give the payee back what was suspended, and take from it what was decided: the party that disputed gets that."""
    legs = (
        Leg(suspension.payee, suspension.micros, RELEASE),
        Leg(suspension.suspense, -suspension.micros, RELEASE),
        Leg(suspension.payee, -decided_micros, DISPUTE),
        Leg(creditor, decided_micros, DISPUTE),
    )
    return TransactionDraft(
        kind=SETTLE,
        source=SOURCE,
        reference=reference_of(suspension.dispute_id, "settle"),
        effective_at=effective_at,
        legs=tuple(leg for leg in legs if leg.amount),
    )


def reference_of(dispute_id: int, step: str) -> str:
    """The journal reference of a dispute's step."""
    return f"dispute/{dispute_id}/{step}"


def _draft(kind: str, suspension: Suspension, micros: int, step: str, effective_at: datetime) -> TransactionDraft:
    ref = f"dispute/{suspension.dispute_id}"
    legs = (Leg(suspension.payee, micros, ref), Leg(suspension.suspense, -micros, ref))
    return TransactionDraft(
        kind=kind,
        source=SOURCE,
        reference=reference_of(suspension.dispute_id, step),
        effective_at=effective_at,
        legs=legs,
    )
