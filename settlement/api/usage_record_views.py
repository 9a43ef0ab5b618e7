"""Single usage events."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope
from settlement.api.usage_record_serializers import UsageRecordSerializer, WantedRecordsSerializer
from settlement.models import UsageEvent
from settlement.selectors.usage_events import WantedRecords, list_usage_events, name_records


class UsageRecordsView(PartyView, PageView[UsageEvent]):
    """What meters reported, event by event."""

    scopes: ClassVar = {"GET": (Scope.READ, Scope.AUDIT)}
    serializer_class = UsageRecordSerializer  # type: ignore[assignment]  # renders the rows with their names
    page_order = ("-batch_id", "-place")
    own_parameters = tuple(WantedRecordsSerializer().fields)

    def get_queryset(self) -> QuerySet[UsageEvent]:
        asked = WantedRecordsSerializer(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        wanted = WantedRecords(**asked.validated_data)
        return list_usage_events(wanted, caller_of(self.request).readable_parties, now=get_clock().now())

    def rendered(self, page: Any) -> Any:
        return name_records(page)

    @extend_schema(
        tags=["metering"],
        operation_id="list_usage_records",
        parameters=[WantedRecordsSerializer],
        responses=refusals(400, 401, 403),
    )
    def get(self, request: Request) -> Response:
        """Events of a contract or of a call, or quarantined ones, the latest call first.

        Those of the party's own meters; in a contract whose delivery has ended, also what other meters reported of the
        party's own pairs. All of them for an auditor's key.
        """
        return self.list(request)
