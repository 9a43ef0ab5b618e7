"""A fill that is taken back: the posting that mirrors it, fee and all, and frees what its position held. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from exchange.clearing.drafts import SOURCE, fill_legs, house_legs
from exchange.clearing.fills import FillRecord, net_holds, position_holds
from exchange.clearing.terms import ContractTerms
from ledger.chart import AccountKey
from ledger.drafts import HoldChange, Leg, TransactionDraft

KIND = "fill_reversal"


def reversal_accounts(
    terms: ContractTerms, fills: Iterable[FillRecord], *, house_id: int
) -> tuple[set[AccountKey], set[AccountKey]]:
    """The accounts that give, and those that take or are freed, when fills of a contract are taken back."""
    giving: set[AccountKey] = set()
    taking: set[AccountKey] = set()
    for fill in fills:
        giving |= {terms.escrow(house_id), terms.entitlement(fill.buyer_id)}
        taking |= {terms.cash(fill.buyer_id), terms.obligation(fill.provider_id)}
        if fill.buyer_fee_micros:
            giving.add(terms.fees(house_id))
        if fill.bond_micros:
            taking.add(terms.cash(fill.provider_id))
    return giving, taking


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
