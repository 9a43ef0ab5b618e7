"""Disputes of statement lines and what became of them, and what parties were told."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from ledger.clock import get_clock
from ledger.web import access_of, belongs_to_a_party, newest_first, only_for, render_page
from settlement.dispute_wording import NEXT_STEPS, REASONS, STATE_STYLES
from settlement.disputes.entries import PENDING, UNDECIDED
from settlement.disputes.errors import DisputeNotFound
from settlement.models import Dispute, DisputeEntry, DisputeState, PartyNotice
from settlement.selectors.disputes import get_dispute, get_evidence, list_dispute_entries, list_disputes, list_notices


@require_safe
@only_for(belongs_to_a_party)
def disputes(request: HttpRequest) -> HttpResponse:
    """The caller's disputes that are not over; `?state=all` for all."""
    found = list_disputes(_readable(request))
    every = request.GET.get("state") == "all"
    page = newest_first(request, found if every else found.filter(state__in=PENDING), "id")
    rows = [(each, STATE_STYLES[each.state]) for each in page.rows]
    context = {"section": _section(request), "tab": "disputes", "page": page, "rows": rows, "every": every}
    return render_page(request, "settlement/disputes.html", context)


@require_safe
@only_for(belongs_to_a_party)
def dispute(request: HttpRequest, number: int) -> HttpResponse:
    """One dispute: what it is about, the money, and all that was said, with its evidence."""
    try:
        found = get_dispute(number, _readable(request))
    except DisputeNotFound as error:
        raise Http404 from error
    access = access_of(request)
    context = {
        "section": _section(request),
        "tab": "disputes",
        "dispute": found,
        "reason": REASONS[found.reason],
        "style": STATE_STYLES[found.state],
        "next_step": NEXT_STEPS[found.state],
        "overdue": found.state in UNDECIDED and found.decide_by <= get_clock().now(),
        "in_suspense": found.suspended_micros if found.state in PENDING else 0,
        "reads_statement": access.reads_everything or found.party_id in access.party_ids,
        "may_act": _may_act(request, found),
        "entries": [(entry, _said(entry)) for entry in list_dispute_entries(found)],
    }
    return render_page(request, "settlement/dispute.html", context)


@require_safe
@only_for(belongs_to_a_party)
def evidence_file(request: HttpRequest, number: int, evidence: int) -> HttpResponse:
    """A file of evidence: saved, never shown, whatever it says it is."""
    try:
        found = get_evidence(number, evidence, _readable(request))
    except DisputeNotFound as error:
        raise Http404 from error
    return HttpResponse(
        bytes(found.content),
        content_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="dispute-{number}-evidence-{found.pk}"'},
    )


@require_safe
@only_for(belongs_to_a_party)
def notices(request: HttpRequest) -> HttpResponse:
    """What the caller's parties were told; everybody's notices for who reads everything."""
    found: QuerySet[PartyNotice] = list_notices(_readable(request))
    page = newest_first(request, found, "id")
    rows = [(notice, _address(notice)) for notice in page.rows]
    context = {"section": _section(request), "tab": "notices", "page": page, "rows": rows}
    return render_page(request, "settlement/dispute_notices.html", context)


def _readable(request: HttpRequest) -> Collection[int] | None:
    access = access_of(request)
    return None if access.reads_everything else access.party_ids


def _section(request: HttpRequest) -> str:
    return "audit" if access_of(request).reads_everything else "statements"


def _may_act(request: HttpRequest, found: Dispute) -> bool:
    """Whether the workspace has anything to do for the person: each side may add, operators decide in twos."""
    access = access_of(request)
    if found.state not in UNDECIDED:
        return False
    if access.party_ids & {found.party_id, found.payee_id}:
        return True
    return access.is_operator and (found.state != DisputeState.PROPOSED or found.proposed_by != access.actor)


def _said(entry: DisputeEntry) -> dict[str, Any]:
    """What an entry says beyond its text."""
    return {"decided": entry.details.get("decided", ""), "records": entry.details.get("usage_records", [])}


def _address(notice: PartyNotice) -> str:
    """The page of what a notice is about, if there is one."""
    what, _, which = notice.subject.partition(":")
    number, _, _ = which.partition("/")
    return reverse("dispute", args=(int(number),)) if what == "dispute" and number.isdigit() else ""
