"""The ledger's log: its stored subtrees, and every signed head, against the batches themselves."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from django.conf import settings

from ledger.audit.findings import Finding, Looked, looked
from ledger.audit.layout import Span
from ledger.audit.registry import Check
from ledger.audit.snapshot import View
from ledger.keys.history import SOURCE as KEY_SOURCE
from ledger.log.note import MalformedNote, verify_note
from ledger.merkle import RootFold
from ledger.models.keys import KeyState

CHUNK = 8_192
_LEVELS = 62

_HASHES = "SELECT no, hash FROM ledger_batch WHERE no BETWEEN %(first)s AND %(last)s ORDER BY no"
# Subtrees whose last leaf is among leaves [start, end), level by level.
_NODES = """
    SELECT node.level::int, node.position, node.hash
      FROM generate_series(1, %(levels)s) AS tall(level)
     CROSS JOIN LATERAL (SELECT * FROM ledger_lognode
                          WHERE ledger_lognode.level = tall.level AND position >= %(start)s::bigint >> tall.level
                            AND position < %(end)s::bigint >> tall.level) AS node
"""
_PEAKS = """
    SELECT node.hash FROM unnest(%(levels)s::int[], %(positions)s::bigint[]) AS wanted(level, position)
      JOIN ledger_lognode AS node ON node.level = wanted.level AND node.position = wanted.position
     ORDER BY wanted.level DESC
"""
_CHECKPOINTS = """
    SELECT size, root, note FROM ledger_checkpoint WHERE size BETWEEN %(first)s AND %(last)s ORDER BY size
"""
_BEYOND = "SELECT size FROM ledger_checkpoint WHERE size > %(last)s ORDER BY size"
_KEYS = """
    SELECT kid, public_jwk ->> 'x',
           (SELECT batch_no FROM ledger_transaction
             WHERE source = %(source)s AND reference = kid || %(current)s),
           (SELECT batch_no FROM ledger_transaction
             WHERE source = %(source)s AND reference = kid || %(retired)s)
      FROM ledger_signingkey ORDER BY valid_from, kid
"""


@dataclass(frozen=True, slots=True)
class _Key:
    """A public key (32 bytes), and the sizes of checkpoints that it signs: `since` and more, less than `until`."""

    kid: str
    public: bytes
    since: int | None
    until: int | None


def _begin(view: View) -> RootFold:
    """Where the base's log ended, by its subtrees, which the audit before found right; else at the first batch."""
    size = view.base.batch
    if size == 0:
        return RootFold()
    levels, positions, place = [], [], 0
    for level in range(_LEVELS, 0, -1):
        if size >> level & 1:
            levels.append(level)
            positions.append(place >> level)
            place += 1 << level
    peaks = [peak for (peak,) in view.rows(_PEAKS, {"levels": levels, "positions": positions})]
    if size & 1:
        peaks += [hash_ for _, hash_ in view.rows(_HASHES, {"first": size, "last": size})]
    return RootFold(size, peaks) if len(peaks) == size.bit_count() else RootFold()


def _chunks(view: View, log: RootFold) -> Iterator[list[bytes]]:
    """The hashes of the batches after those in `log`, up to the first that is missing."""
    while True:
        first = log.size + 1
        rows = view.rows(_HASHES, {"first": first, "last": first - 1 + CHUNK - log.size % CHUNK})
        hashes = [hash_ for no, (number, hash_) in enumerate(rows, start=first) if number == no]
        if not hashes:
            return
        yield hashes


def _nodes(view: View, _span: Span) -> Looked:
    """Up to the newest checkpoint every subtree must be there; a publisher at work may be further."""
    ((signed,),) = view.rows("SELECT coalesce(max(size), 0) FROM ledger_checkpoint")
    ((stored,),) = view.rows("SELECT count(*) FROM ledger_lognode")
    log = _begin(view)
    began = log.size

    def findings() -> Iterator[Finding]:
        known = 0 if began == 0 else _complete(began)
        for hashes in _chunks(view, log):
            start = log.size
            window = {"levels": _LEVELS, "start": start, "end": start + len(hashes)}
            nodes = {(level, position): hash_ for level, position, hash_ in view.rows(_NODES, window)}
            known += len(nodes)
            for leaf in hashes:
                for level, position, made in log.add(leaf):
                    found = nodes.get((level, position))
                    if found is None and log.size <= signed:
                        yield Finding(f"log node {level}/{position}", "it is missing, although a checkpoint needs it")
                    elif found not in (None, made):
                        told = f"the batches give {made.hex()}, stored is {found.hex() if found else ''}"
                        yield Finding(f"log node {level}/{position}", told)
        if known < stored:
            told = f"{stored - known} of its {stored} nodes stand above batches that are not there ({log.size} are)"
            yield Finding("log", told)

    return looked(stored, findings())


def _complete(size: int) -> int:
    """How many subtrees of level 1 and up a log of so many leaves has."""
    return sum(size >> level for level in range(1, _LEVELS + 1))


def _checkpoints(view: View, _span: Span) -> Looked:
    keys = _keys(view)
    log = _begin(view)
    began = log.size
    ((rows,),) = view.rows("SELECT count(*) FROM ledger_checkpoint WHERE size > %(began)s", {"began": began})

    def findings() -> Iterator[Finding]:
        for hashes in _chunks(view, log):
            window = {"first": log.size + 1, "last": log.size + len(hashes)}
            waiting = iter(view.rows(_CHECKPOINTS, window))
            due = next(waiting, None)
            for leaf in hashes:
                log.add(leaf)
                while due is not None and due[0] == log.size:
                    _, root, note = due
                    yield from _judge(log, root, note, keys)
                    due = next(waiting, None)
        for (size,) in view.rows(_BEYOND, {"last": log.size}):
            yield Finding(f"checkpoint {size}", f"it was signed over {size} batches, but only {log.size} are there")

    return looked(rows, findings())


def _judge(log: RootFold, root: bytes, note: str, keys: list[_Key]) -> Iterator[Finding]:
    size, found = log.size, log.root()
    subject = f"checkpoint {size}"
    if root != found:
        yield Finding(subject, f"the batches give the root {found.hex()}, recorded is {root.hex()}")
    signers = []
    for key in keys:
        try:
            signed = verify_note(note, settings.LEDGER_ORIGIN, key.public)
        except MalformedNote as error:
            yield Finding(subject, f"its note cannot be read: {error}")
            return
        except InvalidSignature:
            continue
        signers.append(key)
        if (signed.size, signed.root) != (size, root):
            yield Finding(subject, f"its note says size {signed.size} and root {signed.root.hex()}")
    if not signers:
        yield Finding(subject, "no key of the ring has signed its note")
    for key in signers:
        if key.since is None or size < key.since or (key.until is not None and size >= key.until):
            told = f"key {key.kid} signed it; that key signs sizes from {key.since} to below {key.until}"
            yield Finding(subject, told)


def _keys(view: View) -> list[_Key]:
    parameters = {"source": KEY_SOURCE, "current": f"/{KeyState.CURRENT}", "retired": f"/{KeyState.RETIRED}"}
    return [
        _Key(kid, base64.urlsafe_b64decode(x + "=" * (-len(x) % 4)), since, until)
        for kid, x, since, until in view.rows(_KEYS, parameters)
    ]


CHECKS = (
    Check(
        "log_nodes",
        "The stored nodes of the log's tree are those that its batches give",
        "Nothing is signed on wrong nodes. Find out who changed them; the batches tell what they should be.",
        _nodes,
    ),
    Check(
        "checkpoints",
        "Every checkpoint is signed by a key of its time, and its root is that of its batches",
        "History before this checkpoint was rewritten, or the checkpoint was. Compare it with a copy that somebody else"
        " has kept, and do not sign a new one before you know.",
        _checkpoints,
    ),
)
