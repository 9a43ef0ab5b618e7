"""Settlement runs as operators and auditors read them."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from exchange.models import Contract
from ledger.errors import NotFound
from ledger.models import Party
from ledger.web import newest_first, only_for, reads_everything, render_page
from settlement.models import JobState, JobStep, RunContract, RunState, SettlementJob, SettlementRun
from settlement.selectors.run_lines import lines_after, parties_with_lines
from settlement.selectors.run_progress import failures_of, steps_of
from settlement.selectors.runs import get_run, list_jobs, list_position_settlements, list_runs, run_totals
from settlement.selectors.statements import list_statements

POSITIONS_SHOWN = 100
STATEMENTS_SHOWN = 100
LINES_SHOWN = 100
JOBS_SHOWN = 200
OF_SHARDS = (JobStep.SETTLE, JobStep.RELEASE)


@require_safe
@only_for(reads_everything)
def runs(request: HttpRequest) -> HttpResponse:
    """Settlement runs with how far they are."""
    page = newest_first(request, list_runs().select_related("product"), "id")
    steps = steps_of([run.id for run in page.rows])
    rows = [(run, steps[run.id]) for run in page.rows]
    return render_page(request, "settlement/runs.html", {"section": "audit", "tab": "runs", "page": page, "rows": rows})


@require_safe
@only_for(reads_everything)
def run(request: HttpRequest, number: int) -> HttpResponse:
    """One run: what it came to, its jobs, what it found for each position, and the statements it issued."""
    found = _run(number)
    positions = list(list_position_settlements(number)[:POSITIONS_SHOWN])
    contracts = Contract.objects.in_bulk({each.contract_id for each in positions})
    parties = Party.objects.in_bulk()
    statements = list_statements().filter(run_id=number).order_by("party__code")
    return render_page(
        request,
        "settlement/run.html",
        _progress(found)
        | {
            "section": "audit",
            "tab": "runs",
            "totals": run_totals(number),
            "positions": [
                (each, contracts[each.contract_id], parties[each.buyer_id], parties[each.provider_id])
                for each in positions
            ],
            "statements": statements[:STATEMENTS_SHOWN],
            "statements_count": statements.count(),
        },
    )


@require_safe
@only_for(reads_everything)
def run_progress(request: HttpRequest, number: int) -> HttpResponse:
    """How far a run is, as a part of its page that looks again by itself."""
    return render_page(request, "settlement/run_progress.html", _progress(_run(number)))


@require_safe
@only_for(reads_everything)
def run_lines(request: HttpRequest, number: int) -> HttpResponse:
    """The lines of a run as they are posted, a party's at a time: `?party=` its code, `?after=` the last line seen."""
    found = _run(number)
    parties = parties_with_lines(number)
    code = request.GET.get("party", "")
    party = next((each for each in parties if each.code == code), parties[0] if parties else None)
    page = lines_after(number, party.pk, request.GET.get("after", ""), LINES_SHOWN) if party is not None else None
    context = {"section": "audit", "tab": "runs", "run": found, "parties": parties, "party": party, "page": page}
    return render_page(request, "settlement/run_lines.html", context)


def _run(number: int) -> SettlementRun:
    try:
        return get_run(number)
    except NotFound as error:
        raise Http404 from error


def _progress(found: SettlementRun) -> dict[str, Any]:
    jobs = list_jobs(found.id)
    shown = list(jobs.exclude(state=JobState.DONE)[:JOBS_SHOWN])
    shown += list(jobs.filter(state=JobState.DONE)[: JOBS_SHOWN - len(shown)])
    failures = list(failures_of(found.id)[:JOBS_SHOWN])
    name = _Subjects(found.id)
    return {
        "run": found,
        "open": found.state != RunState.PUBLISHED,
        "steps": steps_of([found.id])[found.id],
        "failures": [(job, name(job)) for job in failures],
        "jobs": [(job, name(job)) for job in shown],
        "jobs_count": jobs.count(),
    }


class _Subjects:
    """What the jobs of a run are about, in words."""

    def __init__(self, run_id: int) -> None:
        covered = RunContract.objects.filter(run_id=run_id).order_by("place").values_list("shard", "contract_id")
        self._shards: dict[int, list[int]] = {}
        for shard, contract_id in covered:
            self._shards.setdefault(shard, []).append(contract_id)
        self._symbols = dict(Contract.objects.filter(id__in=[each for _, each in covered]).values_list("id", "symbol"))
        self._parties = {party.pk: str(party) for party in Party.objects.all()}

    def __call__(self, job: SettlementJob) -> str:
        if job.step not in OF_SHARDS:
            return self._parties.get(job.subject_id, str(job.subject_id))
        contracts = self._shards.get(job.subject_id, [])
        if len(contracts) == 1:
            return self._symbols.get(contracts[0], str(job.subject_id))
        return f"shard {job.subject_id}, {len(contracts)} contracts" if contracts else f"shard {job.subject_id}"
