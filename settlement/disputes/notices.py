"""Telling parties what concerns them. A notice is a row that they read on a page or over REST; it is never changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ledger.models import Party, PartyKind
from settlement.models import Dispute, DisputeEntry, PartyNotice


def tell(parties: Iterable[int], kind: str, subject: str, text: str, *, now: datetime) -> None:
    """Tell each of these parties, by id, once of this kind and subject; a repeat tells nobody.

    `subject` names what it is about, such as `dispute:7` or `run:12`. Inside the caller's transaction.
    """
    PartyNotice.objects.bulk_create(
        (
            PartyNotice(party_id=party_id, kind=kind, subject=subject, text=text, at=now)
            for party_id in sorted(set(parties))
        ),
        ignore_conflicts=True,
    )


def tell_of_dispute(dispute: Dispute, entry: DisputeEntry, kind: str, text: str, *, now: datetime) -> None:
    """Tell everybody whom a dispute concerns of an entry: both sides, the operators and the auditors."""
    others = Party.objects.filter(kind__in=[PartyKind.HOUSE, PartyKind.AUDITOR]).values_list("id", flat=True)
    subject = f"dispute:{dispute.pk}/{entry.sequence}"
    tell({dispute.party_id, dispute.payee_id, *others}, kind, subject, text, now=now)
