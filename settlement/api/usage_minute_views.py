"""Usage by minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView
from ledger.api.paging import CursorPage
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope
from settlement.api.usage_minute_serializers import UsageMinuteFilter, UsageMinuteSerializer
from settlement.metering.rollups import rolled_up_until
from settlement.models import UsageMinute
from settlement.selectors.usage_minutes import list_usage_minutes, name_minutes


class RolledUpPage(CursorPage):
    """A page that says how far the sums go."""

    rolled_up_until: datetime

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any]:
        self.rolled_up_until = rolled_up_until(get_clock().now())  # before the sums are read, so that it holds
        return super().paginate_queryset(queryset, request, view)

    def get_paginated_response(self, data: Any) -> Response:
        answer = super().get_paginated_response(data)
        answer.data["rolled_up_until"] = self.rolled_up_until
        return answer

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        page = super().get_paginated_response_schema(schema)
        page["required"].append("rolled_up_until")
        page["properties"]["rolled_up_until"] = {
            "type": "string",
            "format": "date-time",
            "description": "All that was received before this is in the sums; later calls may be.",
        }
        return page


class UsageMinutesView(PartyView, PageView[UsageMinute]):
    """What meters reported, summed by minute."""

    scopes: ClassVar = {"GET": (Scope.READ, Scope.AUDIT)}
    serializer_class = UsageMinuteSerializer  # type: ignore[assignment]  # renders the rows with their names
    filterset_class = UsageMinuteFilter
    pagination_class = RolledUpPage
    page_order = ("minute", "buyer_id", "provider_id", "side")

    def get_queryset(self) -> QuerySet[UsageMinute]:
        return list_usage_minutes(caller_of(self.request).readable_parties, now=get_clock().now())

    def rendered(self, page: Any) -> Any:
        return name_minutes(page)

    @extend_schema(tags=["metering"], operation_id="list_usage_minutes", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """What was reported of a contract in each minute, oldest first, a row for each pair and side.

        Of the party's own pairs: its own side at any time, the other sides once delivery has ended. All for an
        auditor's key.
        """
        return self.list(request)
