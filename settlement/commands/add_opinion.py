"""Take an auditor's opinion of a statement: a further signature over the very payload that the exchange signed."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import connection, transaction

from ledger.actions import record_action
from ledger.errors import NotFound
from settlement.models import AuditorKey, Opinion, Statement, StatementOpinion
from settlement.statements.canonical import canonical_bytes
from settlement.statements.errors import InvalidOpinion
from settlement.statements.signing import ALGORITHM, TYPE, envelope_parts

MAX_OPINIONS = 7  # a verifier reads eight signatures, one of them the exchange's
OPINION_LOCK = 0x4F50  # "OP"; advisory, with the statement
MAX_LENGTH = 4_000  # characters of a protected header
CLOCKS_APART = timedelta(minutes=10)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MEMBERS = {"alg", "typ", "kid", "iat", "opinion"}


@transaction.atomic
def add_opinion(statement_id: int, protected: str, signature: str, *, actor: str, now: datetime) -> StatementOpinion:
    """Keep an opinion: the members `protected` and `signature` of a JWS over the statement's payload, base64url.

    The protected header has alg, typ, kid, iat, opinion, and findings_digest (SHA-256, hex) when there are findings.
    The same again returns what was kept. Raises `NotFound` and `InvalidOpinion`.
    """
    statement = Statement.objects.filter(pk=statement_id).first()
    if statement is None:
        raise NotFound(f"There is no statement {statement_id}.", statement=str(statement_id))
    header = _read_header(protected)
    key = AuditorKey.objects.select_for_update().filter(kid=header["kid"]).first()
    if key is None or key.revoked_at is not None:
        raise InvalidOpinion("The key is not one that an auditor has registered and not revoked.", field="kid")
    _check_time(header["iat"], key, now)
    payload, _ = envelope_parts(statement.jws.encode())
    _check_signature(key, f"{protected}.{payload}".encode(), signature)
    _lock(statement)
    earlier = StatementOpinion.objects.filter(statement=statement)
    same = earlier.filter(key=key).first()
    if same is not None:
        if (same.protected, same.signature) != (protected, signature):
            raise InvalidOpinion("The key has given its opinion of this statement, and that stays.", field="kid")
        return same
    if earlier.count() >= MAX_OPINIONS:
        raise InvalidOpinion(f"A statement carries {MAX_OPINIONS} opinions at most.", field="statement")
    findings = header.get("findings_digest")
    opinion = StatementOpinion.objects.create(
        statement=statement,
        key=key,
        opinion=header["opinion"],
        findings_digest=None if findings is None else bytes.fromhex(findings),
        protected=protected,
        signature=signature,
        given_at=now,
        actor=actor,
    )
    record_action(
        actor=actor,
        action="add_opinion",
        subject=f"statement:{statement.pk}",
        now=now,
        details={"auditor": key.auditor, "opinion": opinion.opinion},
    )
    return opinion


def _lock(statement: Statement) -> None:
    """Opinions of a statement come one after the other; its row, which never changes, cannot be locked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [OPINION_LOCK, statement.pk % 2**31])


def _read_header(protected: str) -> dict[str, Any]:
    """The protected header, if it is that of an opinion, in the one form that verifiers take."""
    header = _json(_base64url(protected, "protected"))
    if not isinstance(header, dict) or canonical_bytes(header) != _base64url(protected, "protected"):
        raise InvalidOpinion("The protected header is not a JSON object in canonical form.", field="protected")
    if set(header) - {"findings_digest"} != _MEMBERS or (header["alg"], header["typ"]) != (ALGORITHM, TYPE):
        raise InvalidOpinion(
            f"The protected header has alg {ALGORITHM}, typ {TYPE}, kid, iat, opinion, and findings_digest if there "
            "are findings.",
            field="protected",
        )
    if not isinstance(header["kid"], str) or type(header["iat"]) is not int:
        raise InvalidOpinion("kid is a string and iat a whole number of seconds.", field="protected")
    findings, opinion = header.get("findings_digest"), header["opinion"]
    if opinion not in Opinion.values or (opinion == Opinion.AGREED_WITH_FINDINGS and findings is None):
        raise InvalidOpinion("An opinion is agreed, agreed_with_findings with a digest, or refused.", field="opinion")
    if findings is not None and not (isinstance(findings, str) and _DIGEST.fullmatch(findings)):
        raise InvalidOpinion("findings_digest is a SHA-256 in hexadecimal.", field="findings_digest")
    return header


def _json(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidOpinion("The protected header is not JSON.", field="protected") from None


def _check_time(iat: int, key: AuditorKey, now: datetime) -> None:
    if not key.valid_from.timestamp() - 1 < iat <= (now + CLOCKS_APART).timestamp():
        raise InvalidOpinion("iat is before the key was registered, or in the future.", field="iat")


def _check_signature(key: AuditorKey, message: bytes, signature: str) -> None:
    public = Ed25519PublicKey.from_public_bytes(_base64url(key.public_jwk["x"], "x"))
    try:
        public.verify(_base64url(signature, "signature"), message)
    except InvalidSignature:
        raise InvalidOpinion("The signature does not fit the statement's payload.", field="signature") from None


def _base64url(text: str, field: str) -> bytes:
    """Strictly: no padding, no spare bits."""
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        raise InvalidOpinion(f"{field} is not base64url.", field=field) from None
    if len(text) > MAX_LENGTH or base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise InvalidOpinion(f"{field} is not base64url in its one form.", field=field)
    return data
