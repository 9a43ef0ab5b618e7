"""The proof that what a statement says is in the ledger's log."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ledger.errors import NotFound
from ledger.log.checkpoints import publish_checkpoint
from ledger.log.errors import NotInCheckpointYet
from ledger.log.proofs import prove_transaction
from settlement.models import StatedCore, Statement
from settlement.statements.compose import LogProof


def log_proof(stated: StatedCore, *, now: datetime) -> LogProof | None:
    """The proof of a core's digest under a published checkpoint; one that covers it is published if there is none yet.
    None for an indicative statement. Outside any lock: publishing signs."""
    if stated.transaction_id is None:
        return None
    try:
        proof = prove_transaction(stated.transaction_id, party_id=None)
    except NotInCheckpointYet:
        publish_checkpoint(now=now)
        proof = prove_transaction(stated.transaction_id, party_id=None)
    text = json.dumps(proof, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return LogProof(text, proof["checkpoint"])


def statement_proof(statement: Statement) -> dict[str, Any]:
    """The same under the newest checkpoint: what `verify --proof` takes when the key that signed the statement was
    revoked since. Raises `NotFound` for a statement that is not in the log."""
    transaction_id = None if statement.stated is None else statement.stated.transaction_id
    if transaction_id is None:
        raise NotFound(f"Statement {statement.pk} is not in the log by itself.", statement=str(statement.pk))
    return prove_transaction(transaction_id, party_id=None)
