"""Usage events in."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import ClassVar

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from ledger.api.authentication import caller_of
from ledger.api.base import PartyView
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope
from settlement.api.parsers import CloudEventBatchParser, CloudEventParser, UsageBody, UsageJSONParser
from settlement.api.serializers import UsageEventSerializer, UsageResultsSerializer
from settlement.metering.ingestion import ingest
from settlement.metering.signed_calls import find_signer, keep_signed


class UsageEventsView(PartyView):
    """Where meters report."""

    scopes: ClassVar = {"POST": (Scope.METER,)}
    parser_classes = (UsageJSONParser, CloudEventParser, CloudEventBatchParser)

    @extend_schema(
        tags=["metering"],
        operation_id="post_usage_events",
        request={
            CloudEventBatchParser.media_type: UsageEventSerializer(many=True),
            CloudEventParser.media_type: UsageEventSerializer,
            UsageJSONParser.media_type: UsageEventSerializer(many=True),
        },
        responses={200: UsageResultsSerializer} | refusals(400, 401, 403, 413),
    )
    def post(self, request: Request) -> HttpResponse:
        """Report usage: a list of at most 10,000 events in 10 MiB, or one event; gzip is welcome.

        Every event is answered by itself, in order; one that is wrong does not hold up the others. Events are told
        apart by (`source`, `id`), so the same list may be sent again at any time: no Idempotency-Key is needed. A call
        may be signed by its meter (RFC 9421).
        """
        caller = caller_of(request)
        data: object = request.data  # what our parsers make of it; without a body they are not asked
        body = data if isinstance(data, UsageBody) else UsageBody(b"", gzipped=False)
        now = get_clock().now()  # not before the body is there: a slow sender could tell of an earlier instant
        headers = {name.lower(): value for name, value in request.headers.items()}
        signer = find_signer(headers, path=request.path, body=body.sent, party_id=caller.party_id, now=now)
        results = ingest(
            body.content(),
            party_id=caller.party_id,
            actor=caller.actor,
            signer=signer,
            body_digest=hashlib.sha256(body.sent).digest(),
            now=now,
            keep_signed=signer
            and partial(keep_signed, signer=signer, path=request.path, headers=headers, body=body.sent),
        )
        # Thousands of results: what DRF would do for each takes longer than taking the event in.
        return HttpResponse(msgspec.json.encode({"items": results}), content_type="application/json")
