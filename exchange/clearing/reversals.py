"""A fill that is taken back: the posting that mirrors it, fee and all, and frees what its position held. Pure."""

from __future__ import annotations

from datetime import datetime

from exchange.clearing.drafts import SOURCE, fill_legs, house_legs
from exchange.clearing.fills import FillRecord, net_holds, position_holds
from exchange.clearing.terms import ContractTerms
from ledger.drafts import HoldChange, Leg, TransactionDraft

KIND = "fill_reversal"


def draft_reversal(terms: ContractTerms, fill: FillRecord, *, house_id: int, now: datetime) -> TransactionDraft:
    """The transaction that takes a fill back.

    It has its own reference, since the one that posted the fill posted others too and is not to be reversed as a whole.
    """
    legs = (*fill_legs(terms, fill), *house_legs(terms, [fill], house_id))
    held = position_holds(terms, fill)
    return TransactionDraft(
        kind=KIND,
        source=SOURCE,
        reference=f"reversal-{fill.fill_id}",
        effective_at=now,
        legs=tuple(Leg(leg.account, -leg.amount, str(fill.fill_id)) for leg in legs),
        holds=net_holds(HoldChange(hold.account, -hold.delta) for hold in held),
    )
