"""The history of the signing keys, in the journal itself and so under the log that they sign.

Each change of a key's state is a transaction without legs: source `keys`, reference `<kid>/<state>`; the kid is the
thumbprint of the public key. A checkpoint has no time of its own, its size is its clock: a key signs the sizes from the
batch that made it current up to, and without, the batch that retired it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


def batches_of_changes(kids: Iterable[str]) -> dict[tuple[str, KeyState], int]:
    """The number of the batch that recorded each (kid, state) of these keys.

    What else has found its way into the journal under this source is not looked at; the audit tells of it.
    """
    changes = {f"{kid}/{state.value}": (kid, state) for kid in kids for state in KeyState}
    rows = Transaction.objects.filter(source=SOURCE, kind=KIND, reference__in=changes)
    return {changes[reference]: batch_no for reference, batch_no in rows.values_list("reference", "batch_no")}
