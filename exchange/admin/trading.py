"""Orders, fills and the command log in the admin, to look at. A party's staff sees its own, without the other side."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import Case, Exists, OuterRef, Q, Subquery, Value, When
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString

from exchange.admin.decisions import request_url
from exchange.matching.types import OrderType, PostOnly
from exchange.models import (
    OPEN_STATES,
    Contract,
    DecisionKind,
    Fill,
    FillReversal,
    Intake,
    IntakeResult,
    Order,
    PreventedMatch,
    ProductTerms,
    SequencerBatch,
    SequencerState,
)
from exchange.rows import standing_fills
from exchange.selectors.own_orders import asked_budget
from exchange.wording import price_writer
from ledger.admin.base import InfinitePaginator, RecordAdmin, action, column, number_or_404, owned_by, state_label
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
    list_display = (
        "id", "contract", "side", "kind", "price", "lots_shown", "remaining", "state_shown", "close_reason", "party",
        "placed",
    )  # fmt: skip
    list_filter = ("status", "side", "order_type", "time_in_force")
    party_columns = ("party",)
    fields = (
        "id", "contract", "party", "side", "order_type", "price", "lots_shown", "budget_shown", "remaining",
        "time_in_force", "expires_at", "post_only", "self_trade", "group_id", "priority", "overage_permille",
        "maker_fee_ppm", "taker_fee_ppm", "state_shown", "close_reason", "client_order_id", "offer_id", "placed",
        "closed_at",
    )  # fmt: skip
    readonly_fields = (
        "contract", "party", "price", "lots_shown", "budget_shown", "remaining", "state_shown", "placed",
    )  # fmt: skip

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("party_id", access.party_ids)

    def get_queryset(self, request: HttpRequest) -> Any:
        party = Party.objects.filter(id=OuterRef("party_id")).values("name")[:1]
        return super().get_queryset(request).annotate(party_name=Subquery(party), budget_micros=asked_budget())

    @column("Kind")
    def kind(self, order: Order) -> str:
        """The type where it is not the usual one, and what becomes of what does not trade at once."""
        words = [] if order.order_type == OrderType.LIMIT else [order.order_type]
        words.append(order.time_in_force)
        if order.post_only != PostOnly.NO:
            words.append("post-only")
        return " ".join(words)

    @column("Budget")
    def budget_shown(self, order: Any) -> str:
        return "" if order.budget_micros is None else str(money(order.budget_micros))

    @column("Party", ordering="party_id")
    def party(self, order: Any) -> str:
        return str(order.party_name)

    @column("Lots", ordering="lots")
    def lots_shown(self, order: Any) -> str:
        return count(order.lots) if order.budget_micros is None else "by budget"

    @column("Not filled", ordering="remaining_lots")
    def remaining(self, order: Any) -> str:
        return count(order.remaining_lots) if order.budget_micros is None else ""

    @column("State", ordering="status")
    def state_shown(self, order: Order) -> SafeString:
        return state_label(order.status)

    @column("Placed", ordering="placed_at")
    def placed(self, order: Order) -> str:
        return str(utc_seconds(order.placed_at))


@admin.register(Fill)
class FillAdmin(_ContractRows):
    """The book is anonymous: until the gate has closed a party sees its fills without their other side.

    A contract cancelled before its gate, or a trade busted, never tells it.
    """

    list_display = ("id", "contract", "price", "lots_shown", "value", "buyer", "provider", "executed", "taken_back")
    list_display_links = ("id", "contract")
    fields = (
        "id", "contract", "trade_no", "price", "lots_shown", "tokens_shown", "value", "buyer", "provider",
        "buyer_fee_shown", "bond_shown", "executed", "taken_back",
    )  # fmt: skip
    readonly_fields = (
        "contract", "price", "lots_shown", "tokens_shown", "value", "buyer", "provider", "buyer_fee_shown",
        "bond_shown", "executed", "taken_back",
    )  # fmt: skip
    actions_detail = ("bust",)

    def has_bust_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        standing = standing_fills().filter(pk=number_or_404(str(object_id))).values("contract_id")
        trading = Contract.objects.filter(id__in=standing, state__in=OPEN_STATES)
        return access_of(request).is_operator and trading.exists()

    @action(description="Request a bust", url_path="bust", icon="undo", permissions=["bust"])
    def bust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(request_url(DecisionKind.BUST_FILL, str(number_or_404(object_id))))

    def own_rows(self, access: Access) -> Q | None:
        own = list(access.party_ids)
        return Q(buyer_id__in=own) | Q(provider_id__in=own) if own else None

    def get_queryset(self, request: HttpRequest) -> Any:
        access = access_of(request)
        closed = Contract.objects.filter(id=OuterRef("contract_id"), obligations_hash__isnull=False)
        taken_back = FillReversal.objects.filter(fill_id=OuterRef("id"))
        rows = super().get_queryset(request).annotate(why_taken_back=Subquery(taken_back.values("reason")[:1]))
        rows = rows.annotate(gate_close=Subquery(closed.values("gate_close")[:1]))
        told = Q(gate_close__isnull=False) & ~Exists(taken_back.filter(reversed_at__lt=OuterRef("gate_close")))
        for side in ("buyer", "provider"):
            name = Subquery(Party.objects.filter(id=OuterRef(f"{side}_id")).values("name")[:1])
            known = Q(**{f"{side}_id__in": access.party_ids}) | told
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

    @column("Taken back")
    def taken_back(self, fill: Any) -> str:
        return str(fill.why_taken_back or "")


@admin.register(PreventedMatch)
class PreventedMatchAdmin(_ContractRows):
    """Trades that did not happen because both orders belong to one group."""

    list_display = ("id", "contract", "price", "lots", "how", "taker_order_id", "maker_order_id", "prevented")
    list_filter = ("how",)
    fields = ("id", "contract", "price", "lots", "how", "taker_order_id", "maker_order_id", "prevented", "batch_no")
    readonly_fields = ("contract", "price", "prevented")

    @column("Prevented", ordering="prevented_at")
    def prevented(self, match: PreventedMatch) -> str:
        return str(utc_seconds(match.prevented_at))


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
    list_display = ("shard", "epoch", "cursor")
