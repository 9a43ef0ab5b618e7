"""Proofs out of the log, each a JSON document that holds all it takes to be checked offline with `ledger/verify.py`.

LEAF_FORMAT.md describes the documents. Hashes and bytes are standard base64. What a party is shown of a transaction is
its header and the party's own items; paths of hashes stand for everything else.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from ledger.errors import NotFound
from ledger.log.checkpoints import get_checkpoint, latest_checkpoint
from ledger.log.errors import EvidenceBroken, NotInCheckpointYet
from ledger.log.evidence import Evidence, Item, accounts_of_party, batch_of, get_transaction, items_of, leaf_of
from ledger.log.seals import get_seal, prove_balance
from ledger.log.tree import with_nodes
from ledger.merkle import consistency_path, inclusion_path, inclusion_proof, tree_root
from ledger.models import Checkpoint, Transaction

TRANSACTION_PROOF = "tokenbourse-transaction-proof/1"
CONSISTENCY_PROOF = "tokenbourse-consistency-proof/1"
SEALED_BALANCE_PROOF = "tokenbourse-sealed-balance-proof/1"

Document = dict[str, Any]


def prove_transaction(transaction_id: int, *, party_id: int | None, checkpoint_size: int | None = None) -> Document:
    """The proof that a transaction, with the items a party may see, is under a checkpoint: the newest unless one is
    named. Without a party, an auditor's: with all items.

    Raises `NotFound` when there is no such transaction, the party has no item in it, or no such checkpoint was
    published; `NotInCheckpointYet`; `EvidenceBroken`.
    """
    posted = get_transaction(transaction_id)
    items = items_of(transaction_id)
    shown = set(range(len(items)))
    if party_id is not None:
        accounts = accounts_of_party(party_id, items)
        shown = {index for index in shown if items[index].account_id in accounts}
        if not shown:
            raise NotFound(f"There is no transaction {transaction_id}.", transaction=str(transaction_id))
    return _transaction_proof(posted, items, shown, checkpoint_size)


def prove_consistency(first: int, second: int) -> Document:
    """The proof that the log under the checkpoint of size `first` is the beginning of that of size `second`.

    Raises `NotFound` unless both were published, the first not after the second.
    """
    if first > second:
        raise NotFound(f"The log of size {first} is not the beginning of one of size {second}.", size=str(first))
    before, after = get_checkpoint(first), get_checkpoint(second)
    path = with_nodes(lambda read: consistency_path(first, second, read))
    return {"type": CONSISTENCY_PROOF, "first": before.note, "second": after.note, "path": _texts(path)}


def prove_sealed_balance(period: str, account_id: int, *, checkpoint_size: int | None = None) -> Document:
    """The proof of what an account stood at, with its last sequence numbers, when a period was sealed.

    Raises `NotFound` for a period that is not sealed or an account that had no entry by then; `NotInCheckpointYet`;
    `EvidenceBroken`.
    """
    seal = get_seal(period)
    posted = get_transaction(seal.transaction_id)
    sealed = _transaction_proof(posted, items_of(posted.id), set(), checkpoint_size)
    balance, path = prove_balance(seal, account_id)
    steps = [{side: _text(sibling)} for side, sibling in path]
    return {
        "type": SEALED_BALANCE_PROOF,
        "period": period,
        "balance": {"leaf": _text(balance.data), "decoded": balance.decoded, "path": steps},
        "seal": sealed,
    }


def _transaction_proof(
    posted: Transaction, items: list[Item], shown: set[int], checkpoint_size: int | None
) -> Document:
    checkpoint = _covering(posted, checkpoint_size)
    leaf = leaf_of(posted, items)
    item_hashes = [item.evidence.hash for item in items]
    batch, batch_path = _place_in_batch(posted)
    log_path = with_nodes(lambda read: inclusion_path(posted.batch_no - 1, checkpoint.size, read))
    return {
        "type": TRANSACTION_PROOF,
        "transaction": {"leaf": _text(leaf.data), "decoded": leaf.decoded, "path": _texts(batch_path)},
        "items": [
            {
                "item": _text(items[index].evidence.data),
                "decoded": items[index].evidence.decoded,
                "index": index,
                "path": _texts(inclusion_proof(item_hashes, index)),
            }
            for index in sorted(shown)
        ],
        "batch": {"record": _text(batch.data), "decoded": batch.decoded, "path": _texts(log_path)},
        "checkpoint": checkpoint.note,
    }


def _covering(posted: Transaction, size: int | None) -> Checkpoint:
    checkpoint = latest_checkpoint() if size is None else get_checkpoint(size)
    if checkpoint is None or checkpoint.size < posted.batch_no:
        raise NotInCheckpointYet(
            f"Transaction {posted.id} is in batch {posted.batch_no}; the checkpoint covers "
            f"{0 if checkpoint is None else checkpoint.size}. Ask again, or for a later one.",
            batch=str(posted.batch_no),
        )
    return checkpoint


def _place_in_batch(posted: Transaction) -> tuple[Evidence, list[bytes]]:
    """The batch's record, and the path of a transaction's leaf under its root."""
    batch = batch_of(posted.batch_no)
    first, last = batch.decoded["first_transaction"], batch.decoded["last_transaction"]
    rows = Transaction.objects.filter(id__gte=first, id__lte=last).order_by("id")
    leaves = [bytes(leaf) for leaf in rows.values_list("leaf", flat=True)]
    if len(leaves) != last - first + 1 or tree_root(leaves).hex() != batch.decoded["root"]:
        raise EvidenceBroken(
            f"The transactions of batch {posted.batch_no} do not give the root that was recorded with it.",
            batch=str(posted.batch_no),
        )
    return batch, inclusion_proof(leaves, posted.id - first)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _texts(hashes: Sequence[bytes]) -> list[str]:
    return [_text(value) for value in hashes]
