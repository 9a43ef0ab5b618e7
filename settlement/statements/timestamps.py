"""Time tokens (RFC 3161) of an outside authority over statements' files, when the settings name one."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path

import requests
from cryptography.x509 import Certificate, load_pem_x509_certificates
from django.conf import settings
from rfc3161_client import TimestampRequestBuilder, VerifierBuilder, decode_timestamp_response
from rfc3161_client.errors import VerificationError

from settlement.models import Statement, StatementTimeToken
from settlement.statements.errors import TimeStampFailed

TIMEOUT_SECONDS = 10
MAX_ANSWER_BYTES = 64 * 1024
_CONTENT_TYPE = "application/timestamp-query"


def request_token(file: bytes) -> bytes:
    """The authority's token (DER) over a statement's file as it was signed, checked against its certificates.

    Asks over the network: outside any lock. Raises `TimeStampFailed`.
    """
    query = TimestampRequestBuilder().data(file).build()
    try:
        answer = requests.post(
            settings.TIME_STAMP_URL,
            data=query.as_bytes(),
            headers={"Content-Type": _CONTENT_TYPE},
            timeout=TIMEOUT_SECONDS,
        )
        answer.raise_for_status()
        if len(answer.content) > MAX_ANSWER_BYTES:
            raise TimeStampFailed(f"The answer has {len(answer.content)} bytes, which no time token has.")
        response = decode_timestamp_response(answer.content)
        verifier = VerifierBuilder.from_request(query)
        for root in _roots(settings.TIME_STAMP_ROOTS):
            verifier = verifier.add_root_certificate(root)
        verifier.build().verify_message(response, file)
    except (requests.RequestException, VerificationError, ValueError, OSError) as error:
        raise TimeStampFailed(f"No time token from {settings.TIME_STAMP_URL}: {str(error)[:200]}") from error
    return bytes(response.time_stamp_token())


def keep_token(statement: Statement, token: bytes, *, now: datetime) -> StatementTimeToken:
    """Keep a statement's token; inside the caller's transaction, once."""
    return StatementTimeToken.objects.create(
        statement=statement, authority=settings.TIME_STAMP_URL[:200], token=token, stamped_at=now
    )


@lru_cache(maxsize=4)
def _roots(path: str) -> list[Certificate]:
    return load_pem_x509_certificates(Path(path).read_bytes())
