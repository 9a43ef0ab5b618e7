"""Statements as people read them, with what their verification finds; and settlement runs, for the auditor."""

from __future__ import annotations

import json

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from exchange.models import Contract
from ledger.errors import NotFound
from ledger.keys.ring import public_jwks
from ledger.models import Party
from ledger.web import access_of, belongs_to_a_party, newest_first, only_for, reads_everything, render_page
from settlement.errors import InvalidStatement
from settlement.models import JobStep, Statement
from settlement.selectors.runs import get_run, list_jobs, list_position_settlements, list_runs, progress_of, run_totals
from settlement.selectors.statements import get_statement, list_statements, previous_of
from settlement.statements.readable import ReadableStatement, read_statement
from settlement.statements.verify import Report, verify

POSITIONS_SHOWN = 500

# What each check of the verifier means, for someone who does not read its source.
CHECK_WORDS = {
    "key set": "The published keys can be read",
    "signatures": "Signed by a published key, while that key was valid",
    "canonical form": "The signed bytes are the one canonical form of their content",
    "content": "The content is a statement, and its digest is right",
    "lines": "Every line is there, in order, under the stated Merkle root",
    "balances": "Opening balance and movements give the closing balance",
    "totals": "The totals are the sums of the lines",
    "chain": "It follows on the statement before it",
}


@require_safe
@only_for(belongs_to_a_party)
def statements(request: HttpRequest) -> HttpResponse:
    """The statements of the caller's own parties."""
    page = newest_first(request, list_statements(access_of(request).party_ids), "id")
    return render_page(request, "settlement/statements.html", {"section": "statements", "page": page})


@require_safe
@only_for(reads_everything)
def audit(request: HttpRequest) -> HttpResponse:
    """All statements; `?party=` narrows them down to one code."""
    code = request.GET.get("party", "")
    found = list_statements()
    page = newest_first(request, found.filter(party__code=code) if code else found, "id")
    parties = Party.objects.filter(pk__in=Statement.objects.values("party_id")).order_by("code")
    context = {"section": "audit", "tab": "statements", "page": page, "code": code, "parties": parties}
    return render_page(request, "settlement/audit.html", context)


@require_safe
@only_for(belongs_to_a_party)
def statement(request: HttpRequest, number: int) -> HttpResponse:
    """One statement in words, and what an offline verifier says about the stored file."""
    found = _visible_statement(request, number)
    previous = previous_of(found)
    report = verify_stored(found, previous)
    chain = Statement.objects.filter(party_id=found.party_id, currency_id=found.currency_id)
    return render_page(
        request,
        "settlement/statement.html",
        {
            "section": "audit" if access_of(request).reads_everything else "statements",
            "statement": found,
            "content": _content(found),
            "report": report,
            "checks": [(check, CHECK_WORDS.get(check.name, check.name.capitalize())) for check in report.checks],
            "previous": previous,
            "following": chain.filter(sequence=found.sequence + 1).first(),
        },
    )


@require_safe
@only_for(belongs_to_a_party)
def statement_file(request: HttpRequest, number: int) -> HttpResponse:
    """The signed file, byte for byte as it was issued."""
    found = _visible_statement(request, number)
    name = f"statement-{found.party.code}-{found.currency.code}-{found.sequence}.json"
    return HttpResponse(
        found.jws.encode(),
        content_type="application/jose+json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_safe
@only_for(reads_everything)
def runs(request: HttpRequest) -> HttpResponse:
    """Settlement runs with how far they are."""
    page = newest_first(request, list_runs(), "id")
    progress = progress_of([run.id for run in page.rows])
    rows = [(run, progress[run.id]) for run in page.rows]
    return render_page(request, "settlement/runs.html", {"section": "audit", "tab": "runs", "page": page, "rows": rows})


@require_safe
@only_for(reads_everything)
def run(request: HttpRequest, number: int) -> HttpResponse:
    """One run: what it came to, its jobs, what it found for each position, and the statements it issued."""
    try:
        found = get_run(number)
    except NotFound as error:
        raise Http404 from error
    jobs = list(list_jobs(number))
    positions = list(list_position_settlements(number)[:POSITIONS_SHOWN])
    settled = {job.subject_id for job in jobs if job.step == JobStep.SETTLE}
    contracts = Contract.objects.in_bulk({each.contract_id for each in positions} | settled)
    parties = Party.objects.in_bulk()
    return render_page(
        request,
        "settlement/run.html",
        {
            "section": "audit",
            "tab": "runs",
            "run": found,
            "totals": run_totals(number),
            "jobs": [(job, (contracts if job.step == JobStep.SETTLE else parties).get(job.subject_id)) for job in jobs],
            "positions": [
                (each, contracts[each.contract_id], parties[each.buyer_id], parties[each.provider_id])
                for each in positions
            ],
            "statements": list_statements().filter(run_id=number).order_by("party__code"),
        },
    )


def verify_stored(found: Statement, previous: Statement | None) -> Report:
    """What the offline verifier says, given the file as stored and the keys as published."""
    keys = json.dumps(public_jwks()).encode()
    return verify(found.jws.encode(), keys, previous.jws.encode() if previous else None)


def _content(found: Statement) -> ReadableStatement | None:
    """What it says; None if the stored file was spoilt, which the verification then tells."""
    try:
        return read_statement(found.jws)
    except InvalidStatement:
        return None


def _visible_statement(request: HttpRequest, number: int) -> Statement:
    access = access_of(request)
    try:
        return get_statement(number, None if access.reads_everything else access.party_ids)
    except NotFound as error:
        raise Http404 from error
