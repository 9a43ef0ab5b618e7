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
from ledger.merkle import EMPTY_ROOT, node_hash
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


class Walk:
    """The log's tree, built again from the batches, one leaf after the other.

    `peaks` are the complete subtrees of what came so far, largest first; their number is that of the bits of `size`.
    """

    def __init__(self, size: int = 0, peaks: list[bytes] | None = None) -> None:
        self.size = size
        self.peaks = peaks or []

    def add(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Put one leaf at the end; gives the subtrees (level, position, hash) of level 1 and up that it completes."""
        made = []
        position, level, node = self.size, 0, leaf
        while position & 1:
            node = node_hash(self.peaks.pop(), node)
            level, position = level + 1, position >> 1
            made.append((level, position, node))
        self.peaks.append(node)
        self.size += 1
        return made

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        *rest, root = self.peaks
        for peak in reversed(rest):
            root = node_hash(peak, root)
        return root


@dataclass(frozen=True, slots=True)
class _Key:
    """A public key (32 bytes), and the sizes of checkpoints that it signs: `since` and more, less than `until`."""

    kid: str
    public: bytes
    since: int | None
    until: int | None


def _begin(view: View) -> Walk:
    """Where the base's log ended, by its subtrees, which the audit before found right; else at the first batch."""
    size = view.base.batch
    if size == 0:
        return Walk()
    levels, positions, place = [], [], 0
    for level in range(_LEVELS, 0, -1):
        if size >> level & 1:
            levels.append(level)
            positions.append(place >> level)
            place += 1 << level
    peaks = [peak for (peak,) in view.rows(_PEAKS, {"levels": levels, "positions": positions})]
    if size & 1:
        peaks += [hash_ for _, hash_ in view.rows(_HASHES, {"first": size, "last": size})]
    return Walk(size, peaks) if len(peaks) == size.bit_count() else Walk()


def _chunks(view: View, walk: Walk) -> Iterator[list[bytes]]:
    """The hashes of the batches after the walk's, up to the first that is missing."""
    while True:
        first = walk.size + 1
        rows = view.rows(_HASHES, {"first": first, "last": first - 1 + CHUNK - walk.size % CHUNK})
        hashes = [hash_ for no, (number, hash_) in enumerate(rows, start=first) if number == no]
        if not hashes:
            return
        yield hashes


def _nodes(view: View, _span: Span) -> Looked:
    """Up to the newest checkpoint every subtree must be there; a publisher at work may be further."""
    ((signed,),) = view.rows("SELECT coalesce(max(size), 0) FROM ledger_checkpoint")
    ((stored,),) = view.rows("SELECT count(*) FROM ledger_lognode")
    walk = _begin(view)
    began = walk.size

    def findings() -> Iterator[Finding]:
        known = 0 if began == 0 else _complete(began)
        for hashes in _chunks(view, walk):
            start = walk.size
            window = {"levels": _LEVELS, "start": start, "end": start + len(hashes)}
            nodes = {(level, position): hash_ for level, position, hash_ in view.rows(_NODES, window)}
            known += len(nodes)
            for leaf in hashes:
                for level, position, made in walk.add(leaf):
                    found = nodes.get((level, position))
                    if found is None and walk.size <= signed:
                        yield Finding(f"log node {level}/{position}", "it is missing, although a checkpoint needs it")
                    elif found not in (None, made):
                        told = f"the batches give {made.hex()}, stored is {found.hex() if found else ''}"
                        yield Finding(f"log node {level}/{position}", told)
        if known < stored:
            told = f"{stored - known} of its {stored} nodes stand above batches that are not there ({walk.size} are)"
            yield Finding("log", told)

    return looked(stored, findings())


def _complete(size: int) -> int:
    """How many subtrees of level 1 and up a log of so many leaves has."""
    return sum(size >> level for level in range(1, _LEVELS + 1))


def _checkpoints(view: View, _span: Span) -> Looked:
    keys = _keys(view)
    walk = _begin(view)
    began = walk.size
    ((rows,),) = view.rows("SELECT count(*) FROM ledger_checkpoint WHERE size > %(began)s", {"began": began})

    def findings() -> Iterator[Finding]:
        for hashes in _chunks(view, walk):
            window = {"first": walk.size + 1, "last": walk.size + len(hashes)}
            waiting = iter(view.rows(_CHECKPOINTS, window))
            due = next(waiting, None)
            for leaf in hashes:
                walk.add(leaf)
                while due is not None and due[0] == walk.size:
                    _, root, note = due
                    yield from _judge(walk, root, note, keys)
                    due = next(waiting, None)
        for (size,) in view.rows(_BEYOND, {"last": walk.size}):
            yield Finding(f"checkpoint {size}", f"it was signed over {size} batches, but only {walk.size} are there")

    return looked(rows, findings())


def _judge(walk: Walk, root: bytes, note: str, keys: list[_Key]) -> Iterator[Finding]:
    size, found = walk.size, walk.root()
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
