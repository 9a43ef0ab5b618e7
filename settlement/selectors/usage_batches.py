"""Reading the calls that meters made, and the evidence of signed ones."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from msgspec import Struct

from ledger.errors import NotFound
from ledger.models import Party
from settlement.metering.signatures import METHOD, base64url, content_digest
from settlement.models import SignedBatch, UsageBatch

EVIDENCE_SCHEMA = "tokenbourse-signed-call/1"


class SignedCall(Struct, frozen=True):
    """All that proves a signed call, as JSON has it; `verify_call` checks it offline.

    `body` is base64 of the bytes as they arrived, `digest` their SHA-256 in hexadecimal, `public_key` base64url.
    """

    schema: str
    call: str
    party: str
    meter: str
    received_at: str  # RFC 3339, UTC
    method: str
    path: str
    headers: dict[str, str]
    body: str
    digest: str
    public_key: str


def list_usage_batches(party_ids: Collection[int] | None = None) -> QuerySet[UsageBatch]:
    """Calls, the latest first, each with `party_code` and `signed`: those of some parties' meters, or of all (None)."""
    signed = Exists(SignedBatch.objects.filter(batch_id=OuterRef("id")))
    party = Party.objects.filter(id=OuterRef("party_id")).values("code")
    batches = UsageBatch.objects.annotate(signed=signed, party_code=Subquery(party)).order_by("-id")
    return batches if party_ids is None else batches.filter(party_id__in=list(party_ids))


def get_usage_batch(batch_id: int, party_ids: Collection[int] | None = None) -> UsageBatch:
    """A call of one of these parties' meters; None: whoever's. Raises `NotFound`."""
    batch = list_usage_batches(party_ids).filter(id=batch_id).first()
    if batch is None:
        raise NotFound(f"There is no call {batch_id} of your meters.", call=str(batch_id))
    return batch


def find_signature(batch_id: int) -> SignedBatch | None:
    """The signature of a call with the key it was made with, but not the body; None if it was not signed."""
    return SignedBatch.objects.select_related("meter_key__meter").defer("body").filter(batch_id=batch_id).first()


def get_signed_call(batch: UsageBatch) -> SignedCall:
    """What proves a call. Raises `NotFound` if it was not signed."""
    signed = SignedBatch.objects.select_related("meter_key__meter__party").filter(batch_id=batch.pk).first()
    if signed is None:
        raise NotFound(f"Call {batch.pk} was not signed.", call=str(batch.pk))
    body, key = bytes(signed.body), signed.meter_key
    headers = {"content-type": signed.content_type, "content-digest": content_digest(body)}
    if signed.content_encoding:
        headers["content-encoding"] = signed.content_encoding
    return SignedCall(
        schema=EVIDENCE_SCHEMA,
        call=str(batch.pk),
        party=key.meter.party.code,
        meter=key.meter.code,
        received_at=batch.received_at.isoformat().replace("+00:00", "Z"),
        method=METHOD,
        path=signed.path,
        headers={
            **headers,
            "signature-input": f"sig1={signed.signature_input}",
            "signature": f"sig1=:{base64.b64encode(bytes(signed.signature)).decode()}:",
        },
        body=base64.b64encode(body).decode(),
        digest=hashlib.sha256(body).hexdigest(),
        public_key=base64url(bytes(key.public_key)),
    )
