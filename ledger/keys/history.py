"""The history of the signing keys, in the journal itself and so under the log that they sign.

Each change of a key's state is a transaction without legs: source `keys`, reference `<kid>/<state>`; the kid is the
thumbprint of the public key. A checkpoint has no time of its own, its size is its clock: a key signs the sizes from the
batch that made it current up to, and without, the batch that retired it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ledger import journal
from ledger.drafts import TransactionDraft
from ledger.models import Transaction
from ledger.models.keys import KeyState

KIND = "signing_key"
SOURCE = "keys"


def record_states(changes: Sequence[tuple[str, KeyState]], *, actor: str, now: datetime) -> None:
    """Put (kid, new state) of keys into the journal, in one batch."""
    drafts = [TransactionDraft(KIND, SOURCE, f"{kid}/{state.value}", now, ()) for kid, state in changes]
    journal.post(drafts, actor=actor, now=now)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """When a key came into a state: the batch that recorded it, and the time."""

    batch_no: int
    at: datetime


def changes_of(kids: Iterable[str]) -> dict[tuple[str, KeyState], KeyChange]:
    """When each of these keys came into each of its states, by (kid, state).

    What else has found its way into the journal under this source is not looked at; the audit tells of it.
    """
    changes = {f"{kid}/{state.value}": (kid, state) for kid in kids for state in KeyState}
    rows = Transaction.objects.filter(source=SOURCE, kind=KIND, reference__in=changes)
    found = rows.values_list("reference", "batch_no", "effective_at")
    return {changes[reference]: KeyChange(batch_no, at) for reference, batch_no, at in found}
