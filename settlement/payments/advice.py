"""What a bank says about payments, whatever form it says it in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Told(StrEnum):
    """What became of a payment."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"
    PENDING = "pending"  # nothing to do yet


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that a bank says about one payment, or about all payments of a file (`message_id`).

    `amount` is the decimal string as told, empty when it should have been told; None where banks need not tell it.
    `account` is the IBAN whose entry it is, under the same rule; `creditor` the IBAN that was paid, empty if not told.
    """

    told: Told
    end_to_end_id: str = ""
    message_id: str = ""
    amount: str | None = None
    currency: str | None = None
    bank_reference: str = ""
    reason: str = ""
    account: str | None = None
    creditor: str = ""
