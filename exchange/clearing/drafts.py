"""The fills and hold changes of a batch become one ledger transaction.

Each fill has its own legs for buyer and provider, referring to the fill; the house's escrow and fees take one leg a
contract, which can be proved against the fills and lose nothing, since those keep every price and fee.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from exchange.clearing.fills import FillRecord, net_holds
from exchange.clearing.terms import ContractTerms
from exchange.matching.types import ContractId
from ledger.drafts import HoldChange, Leg, TransactionDraft

KIND = "clearing"
SOURCE = "sequencer"


def fill_legs(terms: ContractTerms, fill: FillRecord) -> tuple[Leg, Leg, Leg]:
    """What a fill moves on the accounts of its buyer and provider: money paid, tokens owed, tokens due."""
    ref = str(fill.fill_id)
    return (
        Leg(terms.cash(fill.buyer_id), -(fill.notional_micros + fill.buyer_fee_micros), ref),
        Leg(terms.obligation(fill.provider_id), -fill.tokens, ref),
        Leg(terms.entitlement(fill.buyer_id), fill.tokens, ref),
    )


def house_legs(terms: ContractTerms, fills: Iterable[FillRecord], house_id: int) -> tuple[Leg, ...]:
    """What the fills of one contract bring to its escrow and to the fees."""
    notional_micros = fee_micros = 0
    for fill in fills:
        notional_micros += fill.notional_micros
        fee_micros += fill.buyer_fee_micros
    legs = (Leg(terms.escrow(house_id), notional_micros), Leg(terms.fees(house_id), fee_micros))
    return tuple(leg for leg in legs if leg.amount)


def draft_batch(
    terms: Mapping[ContractId, ContractTerms],
    fills: Sequence[FillRecord],
    holds: Iterable[HoldChange],
    *,
    house_id: int,
    reference: str,
    now: datetime,
) -> TransactionDraft | None:
    """The transaction of a whole batch over all its contracts; None when nothing moves.

    `holds` are those of all commands of the batch and are netted here. `reference` is the batch number.
    """
    by_contract: dict[ContractId, list[FillRecord]] = defaultdict(list)
    legs: list[Leg] = []
    for fill in fills:
        by_contract[fill.contract_id].append(fill)
        legs += fill_legs(terms[fill.contract_id], fill)
    for contract_id in sorted(by_contract):
        legs += house_legs(terms[contract_id], by_contract[contract_id], house_id)
    changes = net_holds(holds)
    if not legs and not changes:
        return None
    return TransactionDraft(
        kind=KIND, source=SOURCE, reference=reference, effective_at=now, legs=tuple(legs), holds=changes
    )
