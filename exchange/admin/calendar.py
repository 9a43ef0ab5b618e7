"""The rules of the listing calendar, which are an operator's to make."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.safestring import SafeString

from exchange.admin.calendar_forms import GoOnForm, ListingRuleForm, PauseRuleForm
from exchange.models import ListingRule
from exchange.selectors.products import get_product
from exchange.windows import MINUTE
from exchange.wording import describe_length, price_writer
from ledger.admin.base import action, column, number_or_404, state_label
from ledger.admin.command_forms import AddsByCommand, CommandForm, command_page
from ledger.parties.access import Access
from ledger.web import access_of


@admin.register(ListingRule)
class ListingRuleAdmin(AddsByCommand):
    list_display = ("product", "length", "windows_ahead", "state_shown", "refusal", "changed_by")
    list_display_links = ("product", "length")
    list_select_related = ("product",)
    list_filter = ("product",)
    ordering = ("product__code", "window_seconds")
    fields = (
        "product", "length", "windows_ahead", "gate_opens", "gate_closes", "price", "band", "collar_permille", "shard",
        "state_shown", "refusal", "changed_at", "changed_by",
    )  # fmt: skip
    readonly_fields = ("length", "gate_opens", "gate_closes", "price", "band", "state_shown")
    add_form = ListingRuleForm
    actions_detail = ("edit", "pause", "go_on")

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    def has_edit_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return access_of(request).is_operator

    def has_pause_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self._is(request, object_id, paused=False)

    def has_go_on_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self._is(request, object_id, paused=True)

    @action(description="Change", url_path="edit", icon="edit", permissions=["edit"])
    def edit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, ListingRuleForm)

    @action(description="Pause", url_path="pause", icon="pause", permissions=["pause"])
    def pause(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, PauseRuleForm)

    @action(description="Go on", url_path="go-on", icon="play_arrow", permissions=["go_on"])
    def go_on(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, GoOnForm)

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        rule = get_object_or_404(ListingRule.objects.select_related("product"), pk=number_or_404(object_id))
        return command_page(self, request, form, subject=rule, rule=rule)

    def _is(self, request: HttpRequest, object_id: object, *, paused: bool) -> bool:
        found = ListingRule.objects.filter(pk=number_or_404(str(object_id)), paused=paused)
        return access_of(request).is_operator and found.exists()

    @column("Windows of", ordering="window_seconds")
    def length(self, rule: ListingRule) -> str:
        return describe_length(rule.window_seconds)

    @column("Gate opens")
    def gate_opens(self, rule: ListingRule) -> str:
        return f"{rule.gate_open_lead_seconds // MINUTE} minutes before delivery"

    @column("Gate closes")
    def gate_closes(self, rule: ListingRule) -> str:
        return f"{rule.gate_close_lead_seconds // MINUTE} minutes before delivery"

    @column("Listing price")
    def price(self, rule: ListingRule) -> str:
        figure = price_writer(get_product(rule.product.code).terms.tick_micros)(rule.listing_price_ticks)
        return f"the last reference price, or {figure} before there is one" if rule.follow_reference else figure

    @column("Price band")
    def band(self, rule: ListingRule) -> str:
        return f"{rule.band_low_permille} to {rule.band_high_permille} permille of the listing price"

    @column("State", ordering="paused")
    def state_shown(self, rule: ListingRule) -> SafeString:
        return state_label("paused" if rule.paused else "open")
