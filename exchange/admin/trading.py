"""Orders, fills and prevented matches in the admin, to look at. A party's staff sees its own, not the other side."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Case, Exists, OuterRef, Q, Subquery, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString

from exchange.admin.contract_rows import ContractRows
from exchange.admin.decisions import request_url
from exchange.matching.types import OrderType, PostOnly
from exchange.models import (
    OPEN_STATES,
    Contract,
    DecisionKind,
    Fill,
    FillReversal,
    Order,
    PreventedMatch,
)
from exchange.rows import standing_fills
from exchange.selectors.own_orders import asked_budget
from ledger.admin.base import action, column, number_or_404, owned_by, state_label
from ledger.models import Party
from ledger.parties.access import Access
from ledger.templatetags.amounts import count, money, utc_seconds
from ledger.web import access_of

HIDDEN = "told at the gate"


@admin.register(Order)
class OrderAdmin(ContractRows):
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
class FillAdmin(ContractRows):
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
class PreventedMatchAdmin(ContractRows):
    """Trades that did not happen because both orders belong to one group."""

    list_display = ("id", "contract", "price", "lots", "how", "taker_order_id", "maker_order_id", "prevented")
    list_filter = ("how",)
    fields = ("id", "contract", "price", "lots", "how", "taker_order_id", "maker_order_id", "prevented", "batch_no")
    readonly_fields = ("contract", "price", "prevented")

    @column("Prevented", ordering="prevented_at")
    def prevented(self, match: PreventedMatch) -> str:
        return str(utc_seconds(match.prevented_at))
