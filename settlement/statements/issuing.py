"""Signing what was stated. The proof and the signature are taken outside any lock, for the signer may be far away."""

from __future__ import annotations

import json
from datetime import datetime

from ledger.keys.ring import current_signer
from settlement.models import StatedCore, Statement
from settlement.statements.compose import Annex, statement_payload
from settlement.statements.proofs import log_proof
from settlement.statements.rows import transactions_of
from settlement.statements.signing import Signer
from settlement.statements.stating import KEY_SET


def sign_statement(stated: StatedCore, *, now: datetime) -> str:
    """The signed file of a stated core, with the proof that it is in the log. Writes nothing but a checkpoint.

    Raises `NotFound` without a signing key, and what `publish_checkpoint` and the signer raise.
    """
    annex = Annex(
        issued_at=now,
        transactions=transactions_of(stated.run_id, stated.party_id),
        log=log_proof(stated, now=now),
        key_set=KEY_SET,
    )
    payload = statement_payload(json.loads(bytes(stated.core)), annex)
    return Signer(current_signer()).sign(payload, signed_at=now).decode("ascii")


def keep_statement(stated: StatedCore, file: str, *, now: datetime) -> Statement:
    """Keep a signed file; inside the caller's transaction, once."""
    return Statement.objects.create(
        run_id=stated.run_id,
        party_id=stated.party_id,
        currency_id=stated.currency_id,
        stated=stated,
        sequence=stated.sequence,
        core_digest=bytes(stated.digest),
        previous_digest=None if stated.previous_digest is None else bytes(stated.previous_digest),
        jws=file,
        issued_at=now,
    )
