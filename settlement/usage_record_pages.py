"""What meters reported, as people read it: single events, what was kept aside, and the calls that they came in."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from django.db.models import F, QuerySet
from django.db.models.expressions import CombinedExpression
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from exchange.models import Contract
from ledger.clock import get_clock
from ledger.errors import NotFound
from ledger.texts import is_storable
from ledger.web import NewestFirst, access_of, belongs_to_a_party, newest_first, only_for, render_page
from settlement.metering.bodies import MAX_BATCH
from settlement.metering.buckets import INPUT_BUCKETS, OUTPUT_BUCKETS
from settlement.metering.verify_call import Fault, verify_call
from settlement.models import UsageBatch, UsageEvent
from settlement.quarantine_wording import REASONS
from settlement.selectors.meters import list_meters
from settlement.selectors.usage_batches import find_signature, get_signed_call, get_usage_batch, list_usage_batches
from settlement.selectors.usage_events import WantedRecords, list_usage_conflicts, list_usage_events, name_records

CONTRACTS_OFFERED = 50
CONFLICTS_SHOWN = 50

Context = dict[str, Any]


@require_safe
@only_for(belongs_to_a_party)
def usage_records(request: HttpRequest) -> HttpResponse:
    """The events of one contract; `?contract=`, `?request_id=`, `?meter=`, `?buyer=` and `?provider=` say which."""
    now = get_clock().now()
    wanted = WantedRecords(
        contract=_asked(request, "contract"),
        request_id=_asked(request, "request_id"),
        meter=_asked(request, "meter"),
        buyer=_asked(request, "buyer"),
        provider=_asked(request, "provider"),
    )
    begun = Contract.objects.filter(delivery_start__lte=now).order_by("-delivery_start", "symbol")
    context: Context = {
        "wanted": wanted,
        "contracts": begun[:CONTRACTS_OFFERED],
    }
    if wanted.contract:
        context |= _page_of(request, list_usage_events(wanted, _own_parties(request), now=now))
    return _render(request, "settlement/usage_records.html", {"tab": "records", **context})


@require_safe
@only_for(belongs_to_a_party)
def usage_quarantine(request: HttpRequest) -> HttpResponse:
    """What moves no money, and why: quarantined events of the caller's own meters, and ids that came twice."""
    own, meter = _own_parties(request), _asked(request, "meter")
    events = list_usage_events(WantedRecords(quarantined=True, meter=meter), own, now=get_clock().now())
    context: Context = {
        "tab": "quarantine",
        "meter": meter,
        "meters": list_meters(own).order_by("code"),
        "conflicts": list_usage_conflicts(own, meter=meter)[:CONFLICTS_SHOWN],
        **_page_of(request, events),
    }
    return _render(request, "settlement/usage_quarantine.html", context)


@require_safe
@only_for(belongs_to_a_party)
def usage_calls(request: HttpRequest) -> HttpResponse:
    """The calls of the caller's own meters."""
    page = newest_first(request, list_usage_batches(_own_parties(request)), "id")
    return _render(request, "settlement/usage_calls.html", {"tab": "calls", "page": page})


@require_safe
@only_for(belongs_to_a_party)
def usage_call(request: HttpRequest, number: int) -> HttpResponse:
    """One call: what became of its events, and, if it was signed, what an offline verifier finds."""
    call = _visible_call(request, number)
    signature = find_signature(call.pk)
    context: Context = {"tab": "calls", "call": call, "signature": signature, "fault": ""}
    if signature is not None:
        try:
            context["proven"] = verify_call(msgspec.json.encode(get_signed_call(call)))
        except Fault as fault:
            context["fault"] = str(fault)
    events = list_usage_events(WantedRecords(batch=call.pk), _own_parties(request), now=get_clock().now())
    return _render(request, "settlement/usage_call.html", {**context, **_page_of(request, events)})


@require_safe
@only_for(belongs_to_a_party)
def usage_call_evidence(request: HttpRequest, number: int) -> HttpResponse:
    """What proves a signed call, as a file for `verify_call`."""
    try:
        evidence = get_signed_call(_visible_call(request, number))
    except NotFound as error:
        raise Http404 from error
    return HttpResponse(
        msgspec.json.encode(evidence),
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="usage-call-{number}.json"'},
    )


def _own_parties(request: HttpRequest) -> Collection[int] | None:
    """Whose records the person may see; None: everybody's."""
    access = access_of(request)
    return None if access.reads_everything else access.party_ids


def _asked(request: HttpRequest, name: str) -> str:
    text = request.GET.get(name, "").strip()
    return text if is_storable(text) else ""


def _visible_call(request: HttpRequest, number: int) -> UsageBatch:
    try:
        return get_usage_batch(number, _own_parties(request))
    except NotFound as error:
        raise Http404 from error


def _page_of(request: HttpRequest, events: QuerySet[UsageEvent]) -> Context:
    """A stretch of the events, the latest call first: each with its names, its input and output tokens, whether the
    person may open its call, and why it is kept aside.
    """
    own = _own_parties(request)
    place_of_all: CombinedExpression = F("batch_id") * MAX_BATCH + F("place")
    numbered = events.annotate(number=place_of_all)
    page: NewestFirst[UsageEvent] = newest_first(request, numbered, "number")
    rows = [
        (
            record,
            sum(getattr(record.event, bucket) for bucket in INPUT_BUCKETS),
            sum(getattr(record.event, bucket) for bucket in OUTPUT_BUCKETS),
            own is None or record.meter_party_id in own,
            REASONS.get(record.event.quarantine_reason or "", ""),
        )
        for record in name_records(page.rows)
    ]
    return {"page": page, "rows": rows}


def _render(request: HttpRequest, template: str, context: Context) -> HttpResponse:
    return render_page(request, template, {"section": "usage", **context})
