"""Reading disputes, their evidence, and what parties were told."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Length

from exchange.models import Contract
from ledger.models import Party
from ledger.selectors.parties import get_house_id
from settlement.disputes.entries import PENDING, not_found
from settlement.disputes.frozen import FrozenDispute
from settlement.disputes.postings import payee_account
from settlement.models import (
    Dispute,
    DisputeEntry,
    DisputeEvidence,
    DisputeState,
    PartyNotice,
    RunKind,
    RunState,
    SettlementRun,
    Statement,
)
from settlement.selectors.statements import list_statements


def list_disputes(party_ids: Collection[int] | None = None) -> QuerySet[Dispute]:
    """Disputes that some parties opened or that are about money they have, or all (None), the latest first.

    Each with the `symbol` of its contract and `party_code`, `payee_code`, `buyer_code` and `provider_code`.
    """
    codes = {
        f"{side}_code": _named(Party.objects.all(), f"{side}_id", "code")
        for side in ("party", "payee", "buyer", "provider")
    }
    disputes = (
        Dispute.objects.select_related("statement__currency", "statement__run")
        .order_by("-id")
        .annotate(symbol=_named(Contract.objects.all(), "contract_id", "symbol"), **codes)
    )
    return disputes if party_ids is None else disputes.filter(_own(party_ids))


def get_dispute(dispute_id: int, party_ids: Collection[int] | None = None) -> Dispute:
    """A dispute that one of these parties may see; None: whoever's it is. Raises `DisputeNotFound`."""
    dispute = list_disputes(party_ids).filter(id=dispute_id).first()
    if dispute is None:
        raise not_found(dispute_id)
    return dispute


def list_dispute_entries(dispute: Dispute) -> QuerySet[DisputeEntry]:
    """What happened in a dispute, in order; `party_code` says whose word it is, None: the exchange's.

    `files` are without their content; each has its `size` in bytes.
    """
    files = DisputeEvidence.objects.defer("content").annotate(size=Length("content")).order_by("id")
    entries = DisputeEntry.objects.filter(dispute=dispute).order_by("sequence")
    entries = entries.annotate(party_code=_named(Party.objects.all(), "party_id", "code"))
    return entries.prefetch_related(Prefetch("files", files))


def get_evidence(dispute_id: int, evidence_id: int, party_ids: Collection[int] | None = None) -> DisputeEvidence:
    """A file of a dispute that one of these parties may see. Raises `DisputeNotFound`."""
    dispute = get_dispute(dispute_id, party_ids)
    found = DisputeEvidence.objects.filter(id=evidence_id, entry__dispute=dispute).first()
    if found is None:
        raise not_found(dispute_id)
    return found


def list_disputable(party_ids: Collection[int], *, now: datetime) -> QuerySet[Statement]:
    """The statements of some parties whose lines may still be disputed, the latest first."""
    posted = Q(run__state=RunState.PUBLISHED, run__dispute_until__gt=now) & ~Q(run__kind=RunKind.INDICATIVE)
    return list_statements(party_ids).filter(posted)


def has_open_dispute(contract_id: int) -> bool:
    """Whether anything of a contract is still in dispute: open, proposed, or upheld and not settled yet."""
    return Dispute.objects.filter(contract_id=contract_id, state__in=PENDING).exists()


def disputes_to_settle() -> list[Dispute]:
    """Disputes that were upheld and have no disputed-final run yet, the oldest first."""
    runs = SettlementRun.objects.filter(dispute_id=OuterRef("id"))
    upheld = Dispute.objects.filter(~Exists(runs), state=DisputeState.UPHELD)
    return list(upheld.select_related("statement__run", "statement__currency").order_by("id"))


def frozen_dispute(dispute_id: int) -> FrozenDispute:
    """A decided dispute as its disputed-final run reads it. Raises `DisputeNotFound`."""
    dispute: Any = list_disputes().filter(id=dispute_id, decided_micros__isnull=False).first()
    if dispute is None:
        raise not_found(dispute_id)
    payee = payee_account(
        dispute.line_kind,
        dispute.payee_id,
        currency_id=dispute.statement.currency_id,
        house_id=get_house_id(),
    )
    return FrozenDispute(
        number=dispute.pk,
        buyer=dispute.buyer_code,
        provider=dispute.provider_code,
        party=dispute.party_code,
        payee=dispute.payee_code,
        payee_role=payee.role.value,
        line_kind=dispute.line_kind,
        decided_micros=dispute.decided_micros,
        suspended_micros=dispute.suspended_micros,
    )


def list_notices(party_ids: Collection[int] | None = None) -> QuerySet[PartyNotice]:
    """What parties, or all (None), were told, the latest first."""
    notices = PartyNotice.objects.select_related("party").order_by("-id")
    return notices if party_ids is None else notices.filter(party_id__in=list(party_ids))


def _own(party_ids: Collection[int]) -> Q:
    own = list(party_ids)
    return Q(party_id__in=own) | Q(payee_id__in=own)


def _named(table: QuerySet[Any], number: str, name: str) -> Subquery:
    return Subquery(table.filter(id=OuterRef(number)).values(name)[:1])
