"""What settlement keeps, to look at; and the few acts on it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.safestring import SafeString

from exchange.models import Contract
from ledger.admin.base import InfinitePaginator, RecordAdmin, action, column, number_or_404, owned_by, state_label
from ledger.admin.command_forms import AddsByCommand, command_page
from ledger.models import Party
from ledger.parties.access import Access
from ledger.templatetags.amounts import count, micros, percent, utc, whole_hex
from ledger.web import access_of
from settlement.admin.forms import RetryJobForm, SetShareScheduleForm
from settlement.models import (
    JobState,
    PositionSettlement,
    SettlementJob,
    SettlementRun,
    ShareSchedule,
    Statement,
    UnmatchedUsage,
)

ERROR_SHOWN = 200  # characters, in a list


@admin.register(ShareSchedule)
class ShareScheduleAdmin(AddsByCommand):
    """Versions; the latest at a gate's closure counts."""

    list_display = ("product", "provider", "version", "shares", "created_at", "created_by")
    party_columns = ("provider",)
    list_select_related = ("provider", "product")
    ordering = ("-id",)
    fields = ("provider", "product", "version", "shares", "created_at", "created_by")
    readonly_fields = ("shares",)
    add_form = SetShareScheduleForm
    add_template = "admin/settlement/share_schedule.html"

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("provider_id", access.provider_ids)

    def may_add(self, access: Access) -> bool:
        return bool(access.provider_ids)

    @column("Shares")
    def shares(self, schedule: ShareSchedule) -> str:
        return ", ".join(
            f"{role} {percent(part['ppm'])}{' to ' + part['party'] if part['party'] else ''}"
            for role, part in schedule.weights.items()
        )


@admin.register(SettlementRun)
class SettlementRunAdmin(RecordAdmin):
    list_display = ("id", "kind", "period", "product", "currency", "state_shown", "progress", "failed", "published_at")
    list_filter = ("state", "kind")
    list_select_related = ("currency", "product")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        done, failed = (Count("jobs", filter=Q(jobs__state=state)) for state in (JobState.DONE, JobState.FAILED))
        runs = super().get_queryset(request)
        return runs.annotate(jobs_total=Count("jobs"), jobs_done=done, jobs_failed=failed)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A run has a page of its own."""
        if request.method in ("GET", "HEAD") and self.has_view_permission(request):
            return HttpResponseRedirect(reverse("run", args=(number_or_404(object_id),)))
        return super().change_view(request, object_id, form_url, extra_context)

    @column("Period", ordering="period_start")
    def period(self, run: SettlementRun) -> str:
        return f"{run.period_start:%Y-%m-%d %H:%M} to {run.period_end:%Y-%m-%d %H:%M} UTC"

    @column("State", ordering="state")
    def state_shown(self, run: SettlementRun) -> SafeString:
        return state_label(run.state)

    @column("Jobs done")
    def progress(self, run: Any) -> str:
        return f"{run.jobs_done} of {run.jobs_total}"

    @column("Failed")
    def failed(self, run: Any) -> str:
        return str(run.jobs_failed or "")


@admin.register(SettlementJob)
class SettlementJobAdmin(RecordAdmin):
    list_display = ("id", "run", "step", "subject_id", "state_shown", "attempt", "why")
    list_filter = ("state", "step")
    list_select_related = ("run",)
    ordering = ("-id",)
    paginator = InfinitePaginator
    actions_detail = ("retry",)
    fields = (
        "run", "step", "subject_id", "state", "attempt", "error", "not_before", "lease_owner", "lease_until", "fencing",
        "finished_at", "inputs", "result",
    )  # fmt: skip
    readonly_fields = ("inputs", "result")

    @column("Error")
    def why(self, job: SettlementJob) -> str:
        return job.error[:ERROR_SHOWN]

    @column("Digest of the inputs")
    def inputs(self, job: SettlementJob) -> str:
        return whole_hex(job.input_digest)

    @column("Digest of the result")
    def result(self, job: SettlementJob) -> str:
        return whole_hex(job.result_digest)

    @column("State", ordering="state")
    def state_shown(self, job: SettlementJob) -> SafeString:
        return state_label(job.state)

    def has_retry_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        failed = SettlementJob.objects.filter(pk=number_or_404(str(object_id)), state=JobState.FAILED)
        return access_of(request).is_operator and failed.exists()

    @action(description="Send again", url_path="retry", icon="replay", permissions=["retry"])
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        job = get_object_or_404(SettlementJob, pk=number_or_404(object_id))
        return command_page(self, request, RetryJobForm, subject=job, job=job)


def _named(table: QuerySet[Any], number: str, name: str) -> Subquery:
    return Subquery(table.filter(id=OuterRef(number)).values(name)[:1])


class PairRows(RecordAdmin):
    """Rows of a buyer and a provider, with the names that their numbers stand for."""

    ordering = ("-id",)
    paginator = InfinitePaginator

    def own_rows(self, access: Access) -> Q | None:
        own = list(access.party_ids)
        return Q(buyer_id__in=own) | Q(provider_id__in=own) if own else None

    def get_queryset(self, request: HttpRequest) -> Any:
        return (
            super()
            .get_queryset(request)
            .annotate(
                buyer_name=_named(Party.objects.all(), "buyer_id", "name"),
                provider_name=_named(Party.objects.all(), "provider_id", "name"),
            )
        )

    @column("Buyer", ordering="buyer_id")
    def buyer(self, row: Any) -> str:
        return str(row.buyer_name)

    @column("Provider", ordering="provider_id")
    def provider(self, row: Any) -> str:
        return str(row.provider_name)


class PositionRows(PairRows):
    """Rows of a position: of a pair, in a contract."""

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(symbol=_named(Contract.objects.all(), "contract_id", "symbol"))

    @column("Contract", ordering="contract_id")
    def contract(self, row: Any) -> str:
        return str(row.symbol)


@admin.register(PositionSettlement)
class PositionSettlementAdmin(PositionRows):
    """What a run found for a position; its buyer's and its provider's staff see it too."""

    list_display = ("contract", "buyer", "provider", "delivered", "unused", "short", "paid", "run")
    list_select_related = ("run",)
    fields = ("run", "contract", "buyer", "provider", "delivered", "unused", "short", "paid", "outcome", "evidence")
    readonly_fields = ("contract", "buyer", "provider", "delivered", "unused", "short", "paid")

    @column("Delivered")
    def delivered(self, row: PositionSettlement) -> str:
        return count(row.outcome["delivered_tokens"])

    @column("Unused")
    def unused(self, row: PositionSettlement) -> str:
        return count(row.outcome["unused_tokens"])

    @column("Short")
    def short(self, row: PositionSettlement) -> str:
        return count(row.outcome["short_tokens"])

    @column("Paid")
    def paid(self, row: PositionSettlement) -> str:
        return str(micros(row.outcome["pay"]["gross_micros"]))


@admin.register(UnmatchedUsage)
class UnmatchedUsageAdmin(PositionRows):
    """Usage without a position: visible to both sides, moves no money."""

    list_display = ("contract", "buyer", "provider", "tokens", "run")
    fields = ("run", "contract", "buyer", "provider", "tokens", "evidence")
    readonly_fields = ("contract", "buyer", "provider")


@admin.register(Statement)
class StatementAdmin(RecordAdmin):
    """Statements, each with a page that reads like one."""

    list_display = ("party", "currency", "sequence", "period", "kind", "issued", "digest")
    list_filter = ("currency", "run__kind")
    list_select_related = ("party", "currency", "run")
    search_fields = ("party__code",)
    ordering = ("-id",)

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("party_id", access.party_ids)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Its own page shows a statement better than a form does; who may see it is decided there again."""
        if request.method in ("GET", "HEAD") and self.has_view_permission(request):
            return HttpResponseRedirect(reverse("statement", args=(number_or_404(object_id),)))
        return super().change_view(request, object_id, form_url, extra_context)

    @column("Period", ordering="run__period_start")
    def period(self, statement: Statement) -> str:
        return f"{statement.run.period_start:%Y-%m-%d %H:%M} to {statement.run.period_end:%Y-%m-%d %H:%M} UTC"

    @column("Run", ordering="run__kind")
    def kind(self, statement: Statement) -> str:
        return statement.run.get_kind_display()

    @column("Issued", ordering="issued_at")
    def issued(self, statement: Statement) -> str:
        return str(utc(statement.issued_at))

    @column("Digest")
    def digest(self, statement: Statement) -> str:
        return whole_hex(statement.core_digest)[:16]
