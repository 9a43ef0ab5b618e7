"""Audits on record, for those who read everything: which were made, what each check saw, and how to make one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from ledger.audit.registry import all_checks
from ledger.log.checkpoints import latest_checkpoint
from ledger.models import AuditRun
from ledger.web import newest_first, only_for, reads_everything, render_page


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding, and the page of what it is about where there is one."""

    subject: str
    detail: str
    link: str


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check as an audit recorded it. `advice` is of today, and empty for a check that there is no more."""

    name: str
    title: str
    rows: int
    milliseconds: int
    found: int
    findings: list[FindingRow]
    advice: str

    @property
    def left_out(self) -> int:
        """How many findings were only counted."""
        return self.found - len(self.findings)


@require_safe
@only_for(reads_everything)
def audit_runs(request: HttpRequest) -> HttpResponse:
    """All audits on record, newest first."""
    page = newest_first(request, AuditRun.objects.defer("report"), "id")
    newest = AuditRun.objects.order_by("-id").first() if page.from_top else None
    return render_page(
        request,
        "ledger/audit_runs.html",
        {
            "section": "audit",
            "tab": "checks",
            "page": page,
            "newest": newest,
            "checks": all_checks(),
            "checkpoint": latest_checkpoint(),
        },
    )


@require_safe
@only_for(reads_everything)
def audit_run(request: HttpRequest, number: int) -> HttpResponse:
    """One audit, check by check; those with findings first."""
    run = AuditRun.objects.filter(id=number).first()
    if run is None:
        raise Http404
    advice = {known.name: known.advice for known in all_checks()}
    rows = [_row(check, advice.get(check["check"], "")) for check in run.report]
    return render_page(
        request,
        "ledger/audit_run.html",
        {
            "section": "audit",
            "tab": "checks",
            "run": run,
            "broken": [row for row in rows if row.found],
            "rows": rows,
        },
    )


def _link(subject: str) -> str:
    kind, _, number = subject.partition(" ")
    if not number.isascii() or not number.isdigit():
        return ""
    match kind:
        case "transaction":
            return reverse("journal-transaction", args=[number])
        case "account":
            return reverse("account", args=[number])
        case "batch":
            return f"{reverse('batches')}?before={int(number) + 1}"
        case _:
            return ""


def _row(check: Mapping[str, Any], advice: str) -> CheckRow:
    return CheckRow(
        name=check["check"],
        title=check["title"],
        rows=check["rows"],
        milliseconds=check["milliseconds"],
        found=check["found"],
        findings=[FindingRow(each["subject"], each["detail"], _link(each["subject"])) for each in check["findings"]],
        advice=advice,
    )
