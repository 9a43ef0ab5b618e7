"""Many orders in one call."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from exchange.api.batch_serializers import OrderBatchOutcomeSerializer, OrderBatchSerializer
from exchange.api.batches import ItemOutcome, read_items, send_items, tell_items, try_items
from exchange.api.order_views import DRY_RUN, SYMBOL, wants_dry_run
from ledger.api.authentication import caller_of
from ledger.api.base import PartyView
from ledger.api.idempotency import IDEMPOTENCY_KEY, answer_once
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope

BATCH_EXAMPLE = OpenApiExample(
    "move to another price",
    value={
        "items": [
            {"action": "cancel", "client_order_id": "o-1"},
            {"action": "amend", "order_id": "1234", "price": "4.150000"},
            {
                "action": "place",
                "contract": SYMBOL,
                "side": "buy",
                "price": "4.100000",
                "lots": "5",
                "client_order_id": "o-5",
            },
        ]
    },
    request_only=True,
)


class OrderBatchView(PartyView):
    """Many orders at once."""

    scopes: ClassVar = {"POST": (Scope.TRADE,)}
    body_bytes_max = 1024 * 1024

    @extend_schema(
        tags=["orders"],
        operation_id="send_orders",
        parameters=[IDEMPOTENCY_KEY, DRY_RUN],
        request=OrderBatchSerializer,
        examples=[BATCH_EXAMPLE],
        responses={200: OrderBatchOutcomeSerializer} | refusals(400, 401, 403, 409, 413, 503),
    )
    def post(self, request: Request) -> Response:
        """Place, amend and cancel up to 1,000 orders; each item has its own outcome, and none stops another.

        What is valid is recorded at once and decided in the order given, the items of one shard in one transaction. An
        item may name only orders of earlier calls. With `dry_run=true` nothing is recorded or claimed, no
        Idempotency-Key is needed, and the outcomes are those the items would have one after the other.
        """
        dry_run = wants_dry_run(request)
        body = OrderBatchSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        sent = body.validated_data["items"]
        caller, now = caller_of(request), get_clock().now()
        items = read_items(caller.party_id, sent)
        if dry_run:
            return self._answer(try_items(caller, items, now=now))
        content = {"items": hashlib.sha256(json.dumps(sent, sort_keys=True, default=str).encode()).hexdigest()}
        kept = answer_once(
            request, "send_orders", content, lambda: {"items": send_items(caller, items, now=now)}, now=now
        )
        return self._answer(tell_items(items, kept.content["items"]))

    def _answer(self, outcomes: list[ItemOutcome]) -> Response:
        return Response({"items": [self._outcome(each) for each in outcomes]})

    def _outcome(self, outcome: ItemOutcome) -> dict[str, Any]:
        """A refusal looks as it would alone."""
        if outcome.refusal is None:
            return {"status": outcome.status, "result": outcome.result}
        problem = self.get_exception_handler()(outcome.refusal, self.get_exception_handler_context())
        if problem is None:
            raise outcome.refusal
        return {"status": problem.status_code, "problem": problem.data}
