"""Discrepancy cases: where the meters of both sides disagree, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from ledger.web import access_of, belongs_to_a_party, newest_first, only_for, render_page
from settlement.case_wording import KINDS, NEXT_STEPS, RULINGS, STATE_STYLES
from settlement.errors import CaseNotFound
from settlement.models import CaseEntry, CaseState, DiscrepancyCase
from settlement.selectors.cases import (
    UNSETTLED_STATES,
    get_case,
    list_cases,
    list_entries,
    list_zeroed,
)


@require_safe
@only_for(belongs_to_a_party)
def cases(request: HttpRequest) -> HttpResponse:
    """The caller's cases, those that are not settled; `?state=all` for all."""
    own = _readable(request)
    found = list_cases(own)
    every = request.GET.get("state") == "all"
    page = newest_first(request, found if every else found.filter(state__in=UNSETTLED_STATES), "id")
    context = {
        "section": _section(request),
        "tab": "cases",
        "page": page,
        "rows": [(case, *_told(case.kind, case.state)) for case in page.rows],
        "every": every,
        "zeroed": list_zeroed(own),
    }
    return render_page(request, "settlement/cases.html", context)


@require_safe
@only_for(belongs_to_a_party)
def case(request: HttpRequest, number: int) -> HttpResponse:
    """One case: what it is about, the requests of the last finding, and all that was said."""
    try:
        found = get_case(number, _readable(request))
    except CaseNotFound as error:
        raise Http404 from error
    entries = list(list_entries(found))
    findings = [entry for entry in entries if entry.details.get("shown")]
    title, meaning = KINDS[found.kind]
    context = {
        "section": _section(request),
        "tab": "cases",
        "case": found,
        "title": title,
        "meaning": meaning,
        "style": STATE_STYLES[found.state],
        "next_step": NEXT_STEPS[found.state],
        "may_act": _may_act(request, found),
        "ruling": RULINGS.get(found.ruling, ""),
        "requests": _requests(findings[-1].details) if findings else [],
        "entries": [(entry, _said(entry)) for entry in entries],
        "finding": findings[-1] if findings and found.state != CaseState.RESOLVED else None,
        "buckets": _buckets(findings[-1].details) if findings else [],
    }
    return render_page(request, "settlement/case.html", context)


def _readable(request: HttpRequest) -> frozenset[int] | None:
    access = access_of(request)
    return None if access.reads_everything else access.party_ids


def _may_act(request: HttpRequest, found: DiscrepancyCase) -> bool:
    """Whether the workspace has anything to do for the person: each side may answer, operators rule in twos."""
    access = access_of(request)
    if found.state not in UNSETTLED_STATES:
        return False
    if access.party_ids & {found.buyer_id, found.provider_id}:
        return True
    return access.is_operator and (found.state != CaseState.PROPOSED or found.proposed_by != access.actor)


def _section(request: HttpRequest) -> str:
    return "audit" if access_of(request).reads_everything else "usage"


def _told(kind: str, state: str) -> tuple[str, str]:
    return KINDS[kind][0], STATE_STYLES[state]


def _said(entry: CaseEntry) -> str:
    """What an entry says beyond its text."""
    if "ruling" in entry.details:
        return f"That {RULINGS[entry.details['ruling']]}."
    if "requests" in entry.details:
        return f"Requests in question: {entry.details['requests']}."
    return ""


def _requests(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [shown | {"accepted_at": datetime.fromisoformat(shown["accepted_at"])} for shown in details["shown"]]


def _buckets(details: Mapping[str, Any]) -> list[tuple[str, int, int, int]]:
    """Bucket, provider's tokens, buyer's, and the difference."""
    return [
        (name, int(said["provider"]), int(said["buyer"]), int(said["provider"]) - int(said["buyer"]))
        for name, said in details["buckets"].items()
    ]
