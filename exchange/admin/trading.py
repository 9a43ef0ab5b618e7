"""Orders, fills and the command log in the admin, to look at. A party's staff sees its own, without the other side."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import Case, OuterRef, Q, Subquery, Value, When
from django.db.models.fields.json import KT
from django.http import HttpRequest
from django.utils.safestring import SafeString

from exchange.models import Contract, Fill, Intake, IntakeResult, Order, ProductTerms, SequencerBatch, SequencerState
from exchange.selectors.positions import BEFORE_GATE
from exchange.wording import price_writer
from ledger.admin.base import InfinitePaginator, RecordAdmin, column, owned_by, state_label
from ledger.models import Party
from ledger.parties.access import Access
from ledger.templatetags.amounts import count, money, utc_seconds
from ledger.web import access_of

HIDDEN = "told at the gate"


class _ContractRows(RecordAdmin):
    """Rows that name their contract by number only; each row brings its symbol and tick along."""

    paginator = InfinitePaginator
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        contract = Contract.objects.filter(id=OuterRef("contract_id"))
        terms = ProductTerms.objects.filter(contract=OuterRef("contract_id"))
        return (
            super()
            .get_queryset(request)
            .annotate(
                symbol=Subquery(contract.values("symbol")[:1]),
                contract_state=Subquery(contract.values("state")[:1]),
                tick=Subquery(terms.annotate(tick=KT("terms__tick_micros")).values("tick")[:1]),
            )
        )

    @column("Contract", ordering="contract_id")
    def contract(self, row: Any) -> str:
        return str(row.symbol)

    @column("Price", ordering="price_ticks")
    def price(self, row: Any) -> str:
        return price_writer(int(row.tick))(row.price_ticks)


@admin.register(Order)
class OrderAdmin(_ContractRows):
    list_display = ("id", "contract", "side", "price", "lots_shown", "remaining", "state_shown", "party", "placed")
    list_filter = ("status", "side")
    party_columns = ("party",)
    fields = (
        "id", "contract", "party", "side", "price", "lots_shown", "remaining", "time_in_force", "overage_permille",
        "state_shown", "close_reason", "client_order_id", "offer_id", "placed", "closed_at",
    )  # fmt: skip
    readonly_fields = ("contract", "party", "price", "lots_shown", "remaining", "state_shown", "placed")

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("party_id", access.party_ids)

    def get_queryset(self, request: HttpRequest) -> Any:
        party = Party.objects.filter(id=OuterRef("party_id")).values("name")[:1]
        return super().get_queryset(request).annotate(party_name=Subquery(party))

    @column("Party", ordering="party_id")
    def party(self, order: Any) -> str:
        return str(order.party_name)

    @column("Lots", ordering="lots")
    def lots_shown(self, order: Order) -> str:
        return count(order.lots)

    @column("Not filled", ordering="remaining_lots")
    def remaining(self, order: Order) -> str:
        return count(order.remaining_lots)

    @column("State", ordering="status")
    def state_shown(self, order: Order) -> SafeString:
        return state_label(order.status)

    @column("Placed", ordering="placed_at")
    def placed(self, order: Order) -> str:
        return str(utc_seconds(order.placed_at))


@admin.register(Fill)
class FillAdmin(_ContractRows):
    """The book is anonymous: until the gate has closed a party sees its fills without their other side."""

    list_display = ("id", "contract", "price", "lots_shown", "value", "buyer", "provider", "executed")
    list_display_links = ("id", "contract")
    fields = (
        "id", "contract", "trade_no", "price", "lots_shown", "tokens_shown", "value", "buyer", "provider",
        "buyer_fee_shown", "bond_shown", "executed",
    )  # fmt: skip
    readonly_fields = (
        "contract", "price", "lots_shown", "tokens_shown", "value", "buyer", "provider", "buyer_fee_shown",
        "bond_shown", "executed",
    )  # fmt: skip

    def own_rows(self, access: Access) -> Q | None:
        own = list(access.party_ids)
        return Q(buyer_id__in=own) | Q(provider_id__in=own) if own else None

    def get_queryset(self, request: HttpRequest) -> Any:
        access = access_of(request)
        rows = super().get_queryset(request)
        for side in ("buyer", "provider"):
            name = Subquery(Party.objects.filter(id=OuterRef(f"{side}_id")).values("name")[:1])
            known = Q(**{f"{side}_id__in": access.party_ids}) | ~Q(contract_state__in=BEFORE_GATE)
            shown = name if access.reads_everything else Case(When(known, then=name), default=Value(HIDDEN))
            rows = rows.annotate(**{f"{side}_name": shown})
        return rows

    @column("Buyer", ordering="buyer_id")
    def buyer(self, fill: Any) -> str:
        return str(fill.buyer_name)

    @column("Provider", ordering="provider_id")
    def provider(self, fill: Any) -> str:
        return str(fill.provider_name)

    @column("Lots", ordering="lots")
    def lots_shown(self, fill: Fill) -> str:
        return count(fill.lots)

    @column("Contract tokens", ordering="tokens")
    def tokens_shown(self, fill: Fill) -> str:
        return count(fill.tokens)

    @column("Value", ordering="notional")
    def value(self, fill: Fill) -> str:
        return str(money(fill.notional))

    @column("Buyer's fee", ordering="buyer_fee")
    def buyer_fee_shown(self, fill: Fill) -> str:
        return str(money(fill.buyer_fee))

    @column("Provider's bond", ordering="bond")
    def bond_shown(self, fill: Fill) -> str:
        return str(money(fill.bond))

    @column("Executed", ordering="executed_at")
    def executed(self, fill: Fill) -> str:
        return str(utc_seconds(fill.executed_at))


@admin.register(Intake)
class IntakeAdmin(_ContractRows):
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


@admin.register(SequencerBatch)
class SequencerBatchAdmin(RecordAdmin):
    list_display = ("no", "ran_at", "first_seq", "last_seq", "epoch", "ledger_version", "ledger_transaction")
    ordering = ("-no",)
    paginator = InfinitePaginator


@admin.register(SequencerState)
class SequencerStateAdmin(RecordAdmin):
    list_display = ("shard", "epoch", "cursor", "last_batch", "last_fill")
