"""Transactions before they are posted: pure values that every package may build.

A draft names accounts by key, not by row; the posting door (`ledger.journal.post`) resolves and writes them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as _quoted

from msgspec import Struct

from ledger.chart import AccountKey
from ledger.errors import InvalidAmount, UnbalancedTransaction
from ledger.money import MAX_AMOUNT
from ledger.texts import MAX_KIND, MAX_REF, MAX_REFERENCE, MAX_SOURCE, check_text


class Leg(Struct, frozen=True, gc=False):
    """One entry to be: a signed amount, never 0. `ref` is opaque to the ledger and stays in exports."""

    account: AccountKey
    amount: int
    ref: str = ""


class HoldChange(Struct, frozen=True, gc=False):
    """Raise (+) or lower (-) what an account holds back. `ref` says for what."""

    account: AccountKey
    delta: int
    ref: str = ""


@dataclass(frozen=True, slots=True)
class TransactionDraft:
    """A transaction to be posted.

    (`source`, `reference`) is the idempotency key: posted once, an identical repeat returns the first result,
    other content under the same key is a `ReferenceConflict`. Legs must sum to zero in every asset; a draft
    without legs only moves holds.

    Raises `InvalidText`, `InvalidAmount` or `UnbalancedTransaction` when it is made, never for an account's state.
    """

    kind: str
    source: str
    reference: str
    effective_at: datetime
    legs: tuple[Leg, ...]
    holds: tuple[HoldChange, ...] = ()
    reverses: int | None = None

    def __post_init__(self) -> None:
        check_text(self.kind, "kind", MAX_KIND)
        check_text(self.source, "source", MAX_SOURCE)
        check_text(self.reference, "reference", MAX_REFERENCE)
        for ref in {hold.ref for hold in self.holds} | {leg.ref for leg in self.legs}:
            check_text(ref, "ref", MAX_REF)
        sums: dict[int, int] = defaultdict(int)
        for leg in self.legs:
            if leg.amount == 0 or abs(leg.amount) > MAX_AMOUNT:
                raise InvalidAmount("A leg's amount must not be 0 and must fit 64 bits.", field="amount")
            sums[leg.account.asset_id] += leg.amount
        for asset_id, total in sums.items():
            if total:
                raise UnbalancedTransaction(
                    f"The legs of {self.source}/{self.reference} sum to {total} in asset {asset_id}, not 0.",
                    asset=asset_id,
                    total=str(total),
                )

    def request_hash(self) -> bytes:
        """SHA-256 over everything that must be equal in a repeat, as compact JSON."""
        effective_at = self.effective_at.astimezone(UTC).isoformat()
        legs = [_listed(leg.account, leg.amount, leg.ref) for leg in self.legs]
        holds = [_listed(hold.account, hold.delta, hold.ref) for hold in self.holds]
        reverses = "null" if self.reverses is None else self.reverses
        content = f'[{_quoted(self.kind)},"{effective_at}",{reverses},[{",".join(legs)}],[{",".join(holds)}]]'
        return hashlib.sha256(content.encode()).digest()


def _listed(account: AccountKey, amount: int, ref: str) -> str:
    """Written out, since the general encoder takes three times as long."""
    party_id, asset_id, role, qualifier = account
    return f'[{party_id},{asset_id},"{role}",{_quoted(qualifier)},{amount},{_quoted(ref)}]'
