"""The ring of signing keys, against the history of it that the journal holds."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.audit.findings import Finding, Looked, looked
from ledger.audit.layout import Span
from ledger.audit.registry import Check
from ledger.audit.snapshot import View
from ledger.keys.history import KIND, SOURCE
from ledger.models.keys import KeyState

_KEYS = "SELECT kid, state FROM ledger_signingkey ORDER BY valid_from, kid"
_RECORDS = "SELECT id, kind, legs, reference FROM ledger_transaction WHERE source = %(source)s ORDER BY id"
# Where a key can come from to a state; None before its first record.
_BEFORE: dict[str, tuple[str | None, ...]] = {
    KeyState.NEXT: (None,),
    KeyState.CURRENT: (None, KeyState.NEXT),
    KeyState.RETIRED: (KeyState.CURRENT,),
    KeyState.REVOKED: (KeyState.NEXT, KeyState.RETIRED),
}


def _signing_keys(view: View, _span: Span) -> Looked:
    """All of them every time: they are few, and a state can be changed long after the last record of it."""
    states: dict[str, str] = dict(view.rows(_KEYS))
    records = view.rows(_RECORDS, {"source": SOURCE})

    def findings() -> Iterator[Finding]:
        recorded: dict[str, str] = {}
        for number, kind, legs, reference in records:
            kid, _, state = reference.rpartition("/")
            if (kind, legs) != (KIND, 0) or kid not in states or state not in _BEFORE:
                what = f"{reference!r} of kind {kind!r} with {legs} legs"
                told = f"its source is {SOURCE}, but {what} is no record of a key of the ring"
                yield Finding(f"transaction {number}", told)
                continue
            before = recorded.get(kid)
            if before not in _BEFORE[state]:
                told = f"it makes key {kid} {state}, which was {before or 'not on record'}"
                yield Finding(f"transaction {number}", told)
            recorded[kid] = state
        for kid, state in states.items():
            if recorded.get(kid) != state:
                told = f"it is {state}, by the journal's last record it is {recorded.get(kid, 'not there at all')}"
                yield Finding(f"signing key {kid}", told)

    return looked(len(states), findings())


CHECKS = (
    Check(
        "signing_keys",
        "Every signing key is in the state that the journal's last record of it says, and no record is of another key",
        "Sign nothing and let nobody trust the key before you know who changed it: a revoked key may have been made to"
        " look good again, or a key slipped in. The journal tells which state is right.",
        _signing_keys,
    ),
)
