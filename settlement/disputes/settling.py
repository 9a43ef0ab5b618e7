"""The end of a dispute that was upheld, posted in the transaction of its disputed-final run."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import TransactionDraft
from ledger.money import format_micros
from settlement.adjustments import cover
from settlement.disputes.entries import add_entry, lock_dispute, require_state
from settlement.disputes.notices import tell_of_dispute
from settlement.disputes.postings import draft_settlement
from settlement.disputes.suspending import free_micros, suspension_of
from settlement.market import load_parties
from settlement.models import Dispute, DisputeEntryKind, DisputeState


@transaction.atomic
def settle_dispute(dispute_id: int, *, actor: str, now: datetime) -> Dispute:
    """Release what is in suspense and give the party that disputed what was decided, as one ledger transaction.

    What the payee cannot cover becomes its debt and the other's claim. A dispute that is settled is returned as it is.
    Raises `DisputeNotFound` and `WrongDisputeState`.
    """
    dispute = lock_dispute(dispute_id)
    if dispute.state == DisputeState.SETTLED:
        return dispute
    require_state(dispute, DisputeState.UPHELD)
    journal.lock_head()  # what the payee can pay must not change until it is posted
    suspension, decided_micros = suspension_of(dispute), dispute.decided_micros or 0
    creditor = AccountKey(dispute.party_id, suspension.payee.asset_id, Role.CASH)
    draft = draft_settlement(suspension, creditor, decided_micros, effective_at=now)
    journal.post([_covered(draft, suspension.payee, creditor)], actor=actor, now=now)
    dispute.state = DisputeState.SETTLED
    dispute.save(update_fields=["state"])
    decided = format_micros(decided_micros)
    entry = add_entry(dispute, DisputeEntryKind.SETTLEMENT, actor=actor, now=now, details={"decided": decided})
    told = f"Dispute {dispute.pk} is settled: {decided} went to the party that was right to dispute it."
    tell_of_dispute(dispute, entry, "dispute_settled", told, now=now)
    return dispute


def _covered(draft: TransactionDraft, payee: AccountKey, creditor: AccountKey) -> TransactionDraft:
    codes = {party_id: party.code for party_id, party in load_parties({payee.party_id, creditor.party_id}).items()}
    covered, _ = cover(draft, {key: free_micros(key) for key in (payee, creditor)}, codes)
    return covered
