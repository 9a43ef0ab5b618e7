"""Whose signature a call carries, and the evidence that stays of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from settlement.errors import InvalidSignature
from settlement.metering.signatures import BadSignature, Signed, check, read_signature
from settlement.models import MeterKey, SignedBatch


class Signer(NamedTuple):
    """The meter that signed a call, with the key it did it with. Every event of the call must be this meter's."""

    meter_key_id: int
    meter_id: int
    meter_code: str
    signed: Signed


def find_signer(headers: Mapping[str, str], *, path: str, body: bytes, party_id: int, now: datetime) -> Signer | None:
    """The signer of a call that a party's API key made; None if the call is not signed.

    `headers` by lower-case name, or whatever their case; `body` as it arrived, still compressed. Raises
    `InvalidSignature` for one of another form, one that does not fit, and for keys that are unknown, another party's or
    revoked: which of these three is told to nobody.
    """
    try:
        signed = read_signature(headers)
        if signed is None:
            return None
        key = MeterKey.objects.select_related("meter").filter(thumbprint=signed.key_id).first()
        if key is None or key.meter.party_id != party_id or (key.revoked_at is not None and key.revoked_at <= now):
            raise BadSignature("No meter of your party has this key, or it was revoked.")
        check(signed, bytes(key.public_key), headers=headers, path=path, body=body, now=int(now.timestamp()))
    except BadSignature as bad:
        raise InvalidSignature(f"{bad} Nothing of this call was kept.") from None
    return Signer(key.pk, key.meter_id, key.meter.code, signed)


def keep_signed(batch_id: int, signer: Signer, *, path: str, headers: Mapping[str, str], body: bytes) -> None:
    """Keep what proves a signed call, in the transaction that writes its `UsageBatch`; as `find_signer` saw it."""
    SignedBatch.objects.create(
        batch_id=batch_id,
        meter_key_id=signer.meter_key_id,
        signature_input=signer.signed.parameters,
        signature=signer.signed.signature,
        path=path,
        content_type=headers["content-type"].strip(),
        content_encoding=headers.get("content-encoding", "").strip(),
        body=body,
    )
