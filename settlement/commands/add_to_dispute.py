"""One of the two sides of a dispute says more, or puts evidence beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from ledger.models import Party
from settlement.disputes.entries import UNDECIDED, add_entry, checked_text, lock_own, require_state
from settlement.disputes.errors import EvidenceTooLarge
from settlement.disputes.evidence import EvidenceFile, NamedRecord, check_files, find_records, keep_files
from settlement.disputes.notices import tell_of_dispute
from settlement.disputes.rules import MAX_ADDITIONS
from settlement.models import DisputeEntry, DisputeEntryKind


@transaction.atomic
def add_to_dispute(
    dispute_id: int,
    text: str,
    files: Sequence[EvidenceFile],
    *,
    usage_records: Sequence[NamedRecord] = (),
    party_id: int,
    actor: str,
    now: datetime,
) -> DisputeEntry:
    """Write it down until the dispute is decided, and tell the others.

    Raises `ReasonMissing`, `InvalidText`, `EvidenceTooLarge`, `EvidenceMismatch`, `WrongDisputeState`, and
    `DisputeNotFound` also for a dispute of others.
    """
    said = checked_text(text, "An addition")
    check_files(files)
    dispute = lock_own(dispute_id, party_id)
    require_state(dispute, *UNDECIDED)
    made = dispute.entries.filter(party_id=party_id).count()
    if made >= MAX_ADDITIONS:
        raise EvidenceTooLarge(f"The party has made {made} additions already.", most=MAX_ADDITIONS)
    records = find_records(dispute, usage_records)
    entry = add_entry(
        dispute,
        DisputeEntryKind.EVIDENCE if files or records else DisputeEntryKind.STATEMENT,
        actor=actor,
        now=now,
        party_id=party_id,
        text=said,
        details={"usage_records": records} if records else {},
    )
    keep_files(entry, files)
    code = Party.objects.values_list("code", flat=True).get(id=party_id)
    what = "puts evidence beside" if entry.kind == DisputeEntryKind.EVIDENCE else "says more in"
    tell_of_dispute(dispute, entry, "dispute_added", f"{code} {what} dispute {dispute.pk}.", now=now)
    return entry
