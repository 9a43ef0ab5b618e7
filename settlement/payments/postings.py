"""What a payment does to the books: a pure function of the instruction.

| Step | Kind | Reference | Legs | Holds on the party's cash |
|---|---|---|---|---|
| created | `payout_hold` | `payout/<id>/hold` | – | +a |
| confirmed | `payout` | `payout/<id>` | cash −a, external +a | −a |
| cancelled or returned before it was confirmed | `payout_release` | `payout/<id>/release` | – | −a |
| returned after it was confirmed | `payout_return` | `payout/<id>/return` | cash +a, external −a | – |
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.chart import AccountKey
from ledger.drafts import HoldChange, Leg, TransactionDraft

SOURCE = "payments"
HOLD, PAYOUT, RELEASE, RETURN = "payout_hold", "payout", "payout_release", "payout_return"


@dataclass(frozen=True, slots=True)
class Payment:
    """An instruction as the books see it. `end_to_end_id` is what the bank knows it by."""

    end_to_end_id: str
    cash: AccountKey
    external: AccountKey
    micros: int

    @property
    def name(self) -> str:
        """What its postings and its hold are known by."""
        return f"payout/{self.end_to_end_id}"

    def hold(self, now: datetime) -> TransactionDraft:
        """Keep the amount from now on."""
        return self._draft(HOLD, "/hold", now, holds=(self._held(self.micros),))

    def pay(self, now: datetime) -> TransactionDraft:
        """The bank has paid: the money is outside."""
        legs = (Leg(self.cash, -self.micros, self.name), Leg(self.external, self.micros, self.name))
        return self._draft(PAYOUT, "", now, legs=legs, holds=(self._held(-self.micros),))

    def release(self, now: datetime) -> TransactionDraft:
        """It was not paid: the amount is free again."""
        return self._draft(RELEASE, "/release", now, holds=(self._held(-self.micros),))

    def take_back(self, paid_transaction_id: int, now: datetime) -> TransactionDraft:
        """It was paid, and the money came back."""
        legs = (Leg(self.cash, self.micros, self.name), Leg(self.external, -self.micros, self.name))
        return self._draft(RETURN, "/return", now, legs=legs, reverses=paid_transaction_id)

    def _held(self, micros: int) -> HoldChange:
        return HoldChange(self.cash, micros, self.name)

    def _draft(
        self,
        kind: str,
        step: str,
        now: datetime,
        *,
        legs: tuple[Leg, ...] = (),
        holds: tuple[HoldChange, ...] = (),
        reverses: int | None = None,
    ) -> TransactionDraft:
        return TransactionDraft(
            kind=kind,
            source=SOURCE,
            reference=self.name + step,
            effective_at=now,
            legs=legs,
            holds=holds,
            reverses=reverses,
        )
