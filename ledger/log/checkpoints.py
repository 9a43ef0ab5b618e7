"""Signed heads of the log. A checkpoint is a promise: every later one holds the same batches in the same places.

Before a new one is signed, what is stored is held against the last one, so that a history which was rewritten behind
the ledger's back is never signed. Published checkpoints are kept for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from django.conf import settings
from django.db import connection, transaction

from ledger.errors import NotFound
from ledger.keys.ring import current_signer, public_keys
from ledger.log.errors import LogInconsistent
from ledger.log.note import MalformedNote, checkpoint_text, sign_note_with, verify_note
from ledger.log.tree import extend_tree, lock_log, with_nodes
from ledger.merkle import Read, inclusion_path, root_of, verify_inclusion
from ledger.models import Checkpoint


def publish_checkpoint(*, now: datetime, progress: Callable[[int, int], None] | None = None) -> Checkpoint | None:
    """Sign the head of the log as of the newest committed batch, and return the newest checkpoint.

    It is the one that was there before when nothing is new, and None as long as the ledger is empty. `progress` is told
    (batches put into the tree, of how many) on the way. Raises `LogInconsistent`, signing nothing, when the batches do
    not follow from what was signed before, and `NotFound` without a signing key.
    """
    if _newest_batch() == _newest_size():  # nearly always, and then nobody waits for anybody
        return latest_checkpoint()
    with transaction.atomic():
        lock_log()
        last, size = latest_checkpoint(), _newest_batch()
        if last is not None:
            _check_last(last, size)
            if last.size == size:
                return last
        extend_tree(0 if last is None else last.size, size, progress)
        root = with_nodes(lambda read: root_of(size, read))
        signer, origin = current_signer(), settings.LEDGER_ORIGIN
        public = signer.public_key.public_bytes_raw()
        note = sign_note_with(signer.sign, checkpoint_text(origin, size, root), origin, public)
        return Checkpoint.objects.create(size=size, root=root, note=note, signed_at=now)


def latest_checkpoint() -> Checkpoint | None:
    """The newest checkpoint; None before the first."""
    return Checkpoint.objects.order_by("-size").first()


def get_checkpoint(size: int) -> Checkpoint:
    """The checkpoint over the first `size` batches. Raises `NotFound`: not every size was signed."""
    checkpoint = Checkpoint.objects.filter(size=size).first()
    if checkpoint is None:
        raise NotFound(f"No checkpoint of size {size} was published.", size=str(size))
    return checkpoint


def _newest_batch() -> int:
    """What is committed, read without the ledger head's lock; batches commit in the order of their numbers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(no), 0) FROM ledger_batch")
        return int(cursor.fetchone()[0])


def _newest_size() -> int:
    return Checkpoint.objects.order_by("-size").values_list("size", flat=True).first() or 0


def _check_last(last: Checkpoint, size: int) -> None:
    """Hold what is stored against the last checkpoint, and the checkpoint against the keys."""
    if size < last.size:
        raise LogInconsistent(
            f"A checkpoint over {last.size} batches was signed, but there are {size}.", signed=str(last.size)
        )
    root = bytes(last.root)
    text = checkpoint_text(settings.LEDGER_ORIGIN, last.size, root)
    if not last.note.startswith(f"{text}\n") or not _is_ours(last.note):
        raise LogInconsistent(
            f"The checkpoint of size {last.size} is not one that this ledger signed as {settings.LEDGER_ORIGIN}. If "
            "the ledger's origin was changed, change it back: it is the log's name for ever.",
            signed=str(last.size),
        )

    def look(read: Read) -> tuple[bytes, bytes, list[bytes]]:
        return root_of(last.size, read), read(0, last.size - 1), inclusion_path(last.size - 1, last.size, read)

    found, newest, path = with_nodes(look)
    if found != root or not verify_inclusion(newest, last.size - 1, last.size, path, root):
        raise LogInconsistent(
            f"The first {last.size} batches are not those that were signed: history was rewritten. Nothing is signed "
            "until somebody has looked; `manage.py audit_ledger` says where.",
            signed=str(last.size),
        )


def _is_ours(note: str) -> bool:
    for public in public_keys():
        try:
            verify_note(note, settings.LEDGER_ORIGIN, public)
        except (InvalidSignature, MalformedNote):
            continue
        return True
    return False
