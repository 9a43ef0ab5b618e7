"""The line of commands in the admin, to look at: what was asked for, what came of it, and where the sequencers are."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exchange.admin.contract_rows import ContractRows
from exchange.models import Contract, Intake, IntakeResult, SequencerBatch, SequencerState, SetAside
from ledger.admin.base import InfinitePaginator, RecordAdmin, column, state_label
from ledger.templatetags.amounts import utc_seconds


@admin.register(Intake)
class IntakeAdmin(ContractRows):
    """The command log: every command in its order, with what became of it."""

    list_display = ("seq", "kind", "contract", "actor", "outcome", "received")
    list_filter = ("kind",)
    search_fields = ("=seq", "actor", "client_order_id")
    ordering = ("-seq",)
    fields = ("seq", "kind", "contract", "actor", "party_id", "client_order_id", "payload", "received_at", "result")
    readonly_fields = ("contract", "result")

    def get_queryset(self, request: HttpRequest) -> Any:
        result = IntakeResult.objects.filter(seq=OuterRef("seq")).values("result")[:1]
        return super().get_queryset(request).annotate(found=Subquery(result))

    @column("Outcome")
    def outcome(self, command: Any) -> SafeString:
        return state_label(command.found["status"] if command.found else "waiting")

    @column("Result")
    def result(self, command: Any) -> str:
        return json.dumps(command.found, indent=2, ensure_ascii=False) if command.found else "not decided yet"

    @column("Received", ordering="received_at")
    def received(self, command: Intake) -> str:
        return str(utc_seconds(command.received_at))


_OF_COMMAND = {"of_kind": "kind", "of_contract": "contract_id", "of_actor": "actor"}


@admin.register(SetAside)
class SetAsideAdmin(RecordAdmin):
    """Commands that could not be processed and changed nothing, and why."""

    list_display = ("seq", "kind", "contract", "actor", "at")
    search_fields = ("=seq",)
    ordering = ("-seq",)
    paginator = InfinitePaginator
    fields = ("command", "kind", "contract", "actor", "at", "batch_no", "told")
    readonly_fields = ("command", "kind", "contract", "actor", "at", "told")

    def get_queryset(self, request: HttpRequest) -> Any:
        command = Intake.objects.filter(seq=OuterRef("seq"))
        contract = Contract.objects.filter(id=OuterRef("of_contract")).values("symbol")[:1]
        named = {name: Subquery(command.values(field)[:1]) for name, field in _OF_COMMAND.items()}
        return super().get_queryset(request).annotate(**named).annotate(symbol=Subquery(contract))

    @column("Command")
    def command(self, row: SetAside) -> SafeString:
        page = reverse("admin:exchange_intake_change", args=(row.seq,))
        return format_html('<a class="text-link" href="{}">{} in the command log</a>', page, row.seq)

    @column("Kind")
    def kind(self, row: Any) -> str:
        return str(row.of_kind)

    @column("Contract")
    def contract(self, row: Any) -> str:
        return str(row.symbol or "")

    @column("Actor")
    def actor(self, row: Any) -> str:
        return str(row.of_actor)

    @column("Set aside", ordering="set_aside_at")
    def at(self, row: SetAside) -> str:
        return str(utc_seconds(row.set_aside_at))

    @column("Why")
    def told(self, row: SetAside) -> SafeString:
        return format_html('<pre class="whitespace-pre-wrap">{}</pre>', row.reason)


@admin.register(SequencerBatch)
class SequencerBatchAdmin(RecordAdmin):
    list_display = ("no", "ran_at", "first_seq", "last_seq", "epoch", "ledger_version", "ledger_transaction")
    ordering = ("-no",)
    paginator = InfinitePaginator


@admin.register(SequencerState)
class SequencerStateAdmin(RecordAdmin):
    list_display = ("shard", "epoch", "cursor")
