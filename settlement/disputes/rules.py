"""What may be disputed, by how much and for how long. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.errors import InvalidAmount
from ledger.money import format_micros
from settlement.disputes.errors import (
    DisputesExceedPosition,
    DisputeTooLate,
    DisputeWithdrawnTooOften,
    LineNotDisputable,
)

MAX_TEXT = 4_000
MAX_FILES = 5  # with one act
MAX_FILES_OF_PARTY = 20  # in a dispute
MAX_FILE_BYTES = 1_000_000
MAX_USAGE_RECORDS = 100  # with one act
MAX_ADDITIONS = 100  # of a party in a dispute
MAX_AGAIN = 3  # disputes of a line after the first, each when the one before was withdrawn
DECISION_TIME = timedelta(days=30)  # within which operators decide

# Lines that follow from others or say that something is open already.
UNDISPUTED_KINDS = frozenset({"debt", "claim", "suspended", "dispute", "excess", "unmatched"})


@dataclass(frozen=True, slots=True)
class DisputedLine:
    """A line as a dispute needs it. `payee_id` has what the party misses; `most_micros` is the line's whole amount.

    For a line that credits the party the payee paid too little, for any other the payee got too much: both ways it is
    the other side, and what is disputed goes from it to the party if it is upheld.
    """

    kind: str
    contract_id: int
    buyer_id: int
    provider_id: int
    payee_id: int
    most_micros: int


def check_deadline(dispute_until: datetime | None, now: datetime) -> None:
    """Raises `DisputeTooLate` from the run's deadline on; a run that names none takes no disputes."""
    if dispute_until is None:
        raise DisputeTooLate("The settlement run of this statement names no time for disputes.")
    if now >= dispute_until:
        raise DisputeTooLate(
            f"Disputes of this statement were taken until {dispute_until.isoformat()}.",
            dispute_until=dispute_until.isoformat(),
        )


def check_again(withdrawn: int) -> None:
    """Whether a line may be disputed after so many disputes of it were withdrawn: each moves cash and tells everybody.

    Raises `DisputeWithdrawnTooOften`.
    """
    if withdrawn > MAX_AGAIN:
        raise DisputeWithdrawnTooOften(
            f"This line was disputed and withdrawn {withdrawn} times already.", field="line", most=MAX_AGAIN
        )


def check_position(open_micros: int, bought_micros: int, line: DisputedLine) -> None:
    """Whether all that a party disputes of a position may be disputed at a time, in micros.

    `bought_micros`: what the buyer paid for the position. One whole line may always be disputed. Raises
    `DisputesExceedPosition`.
    """
    most = max(bought_micros, line.most_micros)
    if open_micros > most:
        raise DisputesExceedPosition(
            f"The party's open disputes of this position would come to {format_micros(open_micros)}; "
            f"{format_micros(most)} was paid for it.",
            field="amount",
            maximum=format_micros(most),
        )


def check_amount(amount_micros: int, line: DisputedLine, *, minimum_micros: int) -> None:
    """Whether so much of a line may be disputed: what is too little to decide about only if it is the whole line.

    Raises `InvalidAmount` for too little and `LineNotDisputable` for more than the line.
    """
    if line.most_micros == 0:
        raise LineNotDisputable("The line moved no money and has no value: dispute the line that did.", field="line")
    if amount_micros > line.most_micros:
        raise LineNotDisputable(
            f"At most {format_micros(line.most_micros)}, the line's amount, can be disputed.",
            field="amount",
            maximum=format_micros(line.most_micros),
        )
    minimum = max(1, min(minimum_micros, line.most_micros))
    if amount_micros < minimum:
        raise InvalidAmount(
            f"At least {format_micros(minimum)} has to be in question.", field="amount", minimum=format_micros(minimum)
        )
