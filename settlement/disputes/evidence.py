"""Evidence in a dispute: files under their digests, and usage records by what they hash to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ledger.errors import InvalidText
from ledger.texts import check_text
from settlement.disputes.errors import EvidenceMismatch, EvidenceTooLarge
from settlement.disputes.rules import MAX_FILE_BYTES, MAX_FILES, MAX_FILES_OF_PARTY, MAX_USAGE_RECORDS
from settlement.models import Dispute, DisputeEntry, DisputeEvidence, Meter, UsageBatch, UsageDedup, UsageEvent

MAX_NAME = 120
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,38}/[a-z0-9][a-z0-9!#$&^_.+-]{0,38}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f/\\]")


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file. `digest`: what the sender says its SHA-256 is; None: nothing."""

    name: str
    media_type: str
    content: bytes
    digest: bytes | None = None

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.content).digest()


@dataclass(frozen=True, slots=True)
class NamedRecord:
    """A usage event by its meter's code and its id there. `content_hash`: what the sender says it hashes to."""

    meter: str
    event_id: str
    content_hash: bytes | None = None


def check_files(files: Sequence[EvidenceFile]) -> None:
    """Raises `EvidenceTooLarge`, `InvalidText` and `EvidenceMismatch`."""
    if len(files) > MAX_FILES:
        raise EvidenceTooLarge(f"At most {MAX_FILES} files come at once.", field="files", most=MAX_FILES)
    for file in files:
        if not 0 < len(file.content) <= MAX_FILE_BYTES:
            raise EvidenceTooLarge(
                f"A file has 1 to {MAX_FILE_BYTES} bytes.",
                field="files",
                file=file.name[:MAX_NAME],
                most=MAX_FILE_BYTES,
            )
        check_text(file.name, "files", MAX_NAME)
        if not file.name.strip() or _UNPRINTABLE.search(file.name):
            raise InvalidText("A file has a name without control characters and slashes.", field="files")
        if not _MEDIA_TYPE.fullmatch(file.media_type):
            raise InvalidText("A media type looks like text/csv.", field="files", file=file.name)
        if file.digest is not None and file.digest != file.sha256:
            raise EvidenceMismatch(
                f"The SHA-256 of {file.name} is not what was said.", field="files", digest=file.sha256.hex()
            )


def keep_files(entry: DisputeEntry, files: Sequence[EvidenceFile]) -> None:
    """Put checked files beside what a party said; the same content twice in an entry is one file.

    Raises `EvidenceTooLarge` once the party has as many in the dispute as it may.
    """
    fresh = {file.sha256: file for file in files}
    has = DisputeEvidence.objects.filter(entry__dispute_id=entry.dispute_id, entry__party_id=entry.party_id).count()
    if has + len(fresh) > MAX_FILES_OF_PARTY:
        raise EvidenceTooLarge(
            f"A party has at most {MAX_FILES_OF_PARTY} files in a dispute, and this one has {has}.",
            field="files",
            most=MAX_FILES_OF_PARTY,
        )
    DisputeEvidence.objects.bulk_create(
        DisputeEvidence(entry=entry, name=file.name, media_type=file.media_type, content=file.content, digest=digest)
        for digest, file in fresh.items()
    )


def find_records(dispute: Dispute, named: Sequence[NamedRecord]) -> list[dict[str, str]]:
    """What an entry keeps of usage records of the disputed position, so that it holds when the records are put aside.

    Raises `EvidenceTooLarge`, `InvalidText`, and `EvidenceMismatch` for a record that there is not, or that hashes to
    something else.
    """
    if len(named) > MAX_USAGE_RECORDS:
        raise EvidenceTooLarge(
            f"At most {MAX_USAGE_RECORDS} usage records come at once.", field="usage_records", most=MAX_USAGE_RECORDS
        )
    return [_found(dispute, each) for each in dict.fromkeys(named)]


def _found(dispute: Dispute, named: NamedRecord) -> dict[str, Any]:
    check_text(named.meter, "usage_records", MAX_NAME)
    check_text(named.event_id, "usage_records", MAX_NAME)
    event = _event(named)
    of_position = event is not None and (event.contract_id, event.buyer_id, event.provider_id) == (
        dispute.contract_id,
        dispute.buyer_id,
        dispute.provider_id,
    )
    if event is None or not of_position:
        raise EvidenceMismatch(
            f"Meter {named.meter!r} reported no {named.event_id!r} about this position.", field="usage_records"
        )
    if named.content_hash is not None and named.content_hash != bytes(event.content_hash):
        raise EvidenceMismatch(
            f"Record {event.event_id!r} of meter {named.meter!r} hashes to something else.",
            field="usage_records",
            content_hash=bytes(event.content_hash).hex(),
        )
    return {
        "meter": named.meter,
        "id": event.event_id,
        "request_id": event.request_id,
        "kind": event.kind,
        "accepted_at": event.accepted_at.isoformat(),
        "millitokens": str(event.millitokens),
        "content_hash": bytes(event.content_hash).hex(),
    }


def _event(named: NamedRecord) -> UsageEvent | None:
    meter = Meter.objects.filter(code=named.meter).first()
    seen = None if meter is None else UsageDedup.objects.filter(meter_id=meter.pk, event_id=named.event_id).first()
    if seen is None:
        return None
    received_at = UsageBatch.objects.values_list("received_at", flat=True).get(id=seen.batch_id)
    return UsageEvent.objects.filter(received_at=received_at, batch_id=seen.batch_id, place=seen.place).first()
