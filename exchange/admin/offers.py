"""Offers in the admin: post one, see what became of each window, pause, resume, reprice and withdraw it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, Case, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from exchange.admin.offer_changes import ChangeOfferForm, PauseOfferForm, ResumeOfferForm, WithdrawOfferForm
from exchange.admin.offer_form import PostOfferForm
from exchange.matching.lifecycle import OrderStatus
from exchange.models import Offer, OfferState
from exchange.offer_orders import schedule_of
from exchange.offer_schedule import describe_curve, describe_weekdays, unpack_weekdays
from exchange.selectors.offer_windows import OfferedWindow, count_unlisted_windows, list_offered_windows
from exchange.selectors.offers import get_offer
from exchange.terms import ProductTerms
from exchange.wording import describe_length, price_writer
from ledger.admin.base import action, column, number_or_404, owned_by, state_label
from ledger.admin.command_forms import AddsByCommand, CommandForm, command_page
from ledger.clock import get_clock
from ledger.parties.access import Access
from ledger.templatetags.amounts import count, utc
from ledger.web import access_of

STEPS = {  # what can be done in which state, as addresses and links are named
    OfferState.OPEN: (("reprice", "Reprice"), ("pause", "Pause"), ("withdraw", "Withdraw")),
    OfferState.PAUSED: (("resume", "Resume"), ("reprice", "Reprice"), ("withdraw", "Withdraw")),
}


@admin.register(Offer)
class OfferAdmin(AddsByCommand):
    """A provider's staff sees and moves its own; nobody acts on somebody else's."""

    list_display = (
        "id",
        "provider",
        "product",
        "state_shown",
        "steps",
        "windows",
        "first",
        "last",
        "lots_shown",
        "price",
    )
    list_display_links = ("id", "product")
    list_filter = ("state", "product")
    list_select_related = ("provider", "product", "terms")
    party_columns = ("provider",)
    ordering = ("-id",)
    add_form = PostOfferForm
    add_template = "admin/exchange/post_offer.html"
    actions_detail = ("pause", "resume", "reprice", "withdraw")

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("provider_id", access.provider_ids)

    def get_queryset(self, request: HttpRequest) -> Any:
        own = When(provider_id__in=access_of(request).provider_ids, then=Value(True))
        return super().get_queryset(request).annotate(own=Case(own, default=False, output_field=BooleanField()))

    def may_add(self, access: Access) -> bool:
        return bool(access.provider_ids)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The offer window by window. There is nothing to change, so a POST is refused like everywhere else."""
        if request.method not in ("GET", "HEAD"):
            return super().change_view(request, object_id, form_url, extra_context)
        rows = self.get_queryset(request).select_related(*self.list_select_related)
        offer, now = get_object_or_404(rows, pk=number_or_404(str(object_id))), get_clock().now()
        windows = list_offered_windows(offer.pk, now=now)
        terms = ProductTerms.from_json(offer.terms.terms)
        write = price_writer(terms.tick_micros)
        view = get_offer(offer.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Offer {offer.pk}",
            "offer": view,
            "price": describe_curve(view.curve, write),
            "terms": terms,
            "windows": [(window, write(window.price_ticks)) for window in windows],
            "unlisted": count_unlisted_windows(offer.pk, now=now) if offer.state != OfferState.WITHDRAWN else 0,
            "moves": any(map(_may_move, windows)),
            "steps": _steps(offer),
        }
        return TemplateResponse(request, "admin/exchange/offer.html", context)

    def has_move_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self._own(request).filter(pk=number_or_404(str(object_id))).exists()

    @action(description="Pause", url_path="pause", permissions=["move"])
    def pause(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._step(request, object_id, PauseOfferForm)

    @action(description="Resume", url_path="resume", permissions=["move"])
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._step(request, object_id, ResumeOfferForm)

    @action(description="Reprice", url_path="reprice", permissions=["move"])
    def reprice(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._step(request, object_id, ChangeOfferForm, template="admin/exchange/reprice_offer.html")

    @action(description="Withdraw", url_path="withdraw", permissions=["move"])
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._step(request, object_id, WithdrawOfferForm)

    def _step(
        self,
        request: HttpRequest,
        object_id: str,
        form: type[CommandForm],
        *,
        template: str = "admin/command_form.html",
    ) -> HttpResponse:
        offer = get_object_or_404(self._own(request), pk=number_or_404(object_id))
        return command_page(self, request, form, template=template, subject=offer, offer=offer)

    def _own(self, request: HttpRequest) -> QuerySet[Offer]:
        rows = Offer.objects.select_related("product", "terms")
        return rows.filter(provider_id__in=access_of(request).provider_ids)

    @column("Windows of", ordering="window_seconds")
    def windows(self, offer: Offer) -> str:
        return f"{describe_length(offer.window_seconds)}, {describe_weekdays(unpack_weekdays(offer.weekdays))}"

    @column("First window", ordering="first_delivery")
    def first(self, offer: Offer) -> str:
        return str(utc(offer.first_delivery))

    @column("Last window", ordering="last_delivery")
    def last(self, offer: Offer) -> str:
        return str(utc(offer.last_delivery))

    @column("Lots a window", ordering="lots")
    def lots_shown(self, offer: Offer) -> str:
        return count(offer.lots)

    @column("Price", ordering="price_ticks")
    def price(self, offer: Offer) -> str:
        return describe_curve(schedule_of(offer).curve, price_writer(int(offer.terms.terms["tick_micros"])))

    @column("State", ordering="state")
    def state_shown(self, offer: Offer) -> SafeString:
        return state_label("over" if _is_over(offer) else offer.state)

    @column("Actions")
    def steps(self, offer: Offer) -> SafeString:
        links = ((url, name, f"{name} offer {offer.pk}") for url, name, _ in _steps(offer))
        return format_html_join(" ", '<a class="text-link" href="{0}" aria-label="{2}">{1}</a>', links)


def _is_over(offer: Offer) -> bool:
    return offer.state != OfferState.WITHDRAWN and offer.last_delivery <= get_clock().now()


def _may_move(window: OfferedWindow) -> bool:
    return window.status in (OrderStatus.PENDING, OrderStatus.OPEN, "due")


def _steps(offer: Any) -> list[tuple[str, str, bool]]:
    """Address, name and whether it is for good, of what the person who looks may do with an offer."""
    if not offer.own or _is_over(offer):
        return []
    return [
        (reverse(f"admin:exchange_offer_{step}", args=(offer.pk,)), name, step == "withdraw")
        for step, name in STEPS.get(offer.state, ())
    ]
