"""Offers in the admin: post one, see what became of each window, withdraw it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from exchange.admin.offer_form import PostOfferForm
from exchange.commands.withdraw_offer import WithdrawOffer, withdraw_offer
from exchange.matching.lifecycle import OrderStatus
from exchange.models import Offer, OfferState, ProductTerms
from exchange.selectors.offer_windows import list_offered_windows
from exchange.selectors.offers import get_offer
from exchange.selectors.products import get_product
from exchange.wording import describe_length, price_writer
from ledger.admin.base import action, column, number_or_404, owned_by, state_label
from ledger.admin.command_forms import AddsByCommand, CommandForm, Done, command_page
from ledger.clock import get_clock
from ledger.parties.access import Access
from ledger.templatetags.amounts import count, utc
from ledger.web import access_of


class WithdrawOfferForm(CommandForm):
    title = "Withdraw an offer"
    intro = "What is still open of its orders is cancelled and the bonds for it are released. What is sold stays sold."
    submit = "Withdraw the offer"
    dangerous = True

    def __init__(self, *arguments: Any, offer: Offer, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.offer = offer

    def act(self) -> Done:
        command = WithdrawOffer(self.offer.pk, self.offer.provider_id)
        withdrawn = withdraw_offer(command, actor=self.access.actor, now=self.now)
        return Done(
            f"Offer {withdrawn.offer_id} is withdrawn; {len(withdrawn.seqs)} orders are being cancelled.",
            reverse("admin:exchange_offer_change", args=(withdrawn.offer_id,)),
        )


@admin.register(Offer)
class OfferAdmin(AddsByCommand):
    """A provider's staff sees and withdraws its own; nobody posts or withdraws for somebody else."""

    list_display = ("id", "provider", "product", "length", "first", "last", "lots_shown", "price", "state_shown")
    list_display_links = ("id", "product")
    list_filter = ("state", "product")
    list_select_related = ("provider", "product")
    party_columns = ("provider",)
    ordering = ("-id",)
    add_form = PostOfferForm
    add_template = "admin/exchange/post_offer.html"
    actions_detail = ("withdraw",)

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("provider_id", access.provider_ids)

    def get_queryset(self, request: HttpRequest) -> Any:
        terms = ProductTerms.objects.filter(product=OuterRef("product_id")).order_by("-version")
        tick = terms.annotate(tick=KT("terms__tick_micros")).values("tick")[:1]
        return super().get_queryset(request).annotate(tick=Subquery(tick))

    def may_add(self, access: Access) -> bool:
        return bool(access.provider_ids)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The offer window by window. There is nothing to change, so a POST is refused like everywhere else."""
        if request.method not in ("GET", "HEAD"):
            return super().change_view(request, object_id, form_url, extra_context)
        offer = get_object_or_404(self.get_queryset(request), pk=number_or_404(str(object_id)))
        windows = list_offered_windows(offer.pk)
        terms = get_product(offer.product.code).terms
        context = {
            **self.admin_site.each_context(request),
            "title": f"Offer {offer.pk}",
            "offer": get_offer(offer.pk),
            "price": price_writer(terms.tick_micros)(offer.price_ticks),
            "terms": terms,
            "windows": windows,
            "unsettled": any(window.status in (OrderStatus.PENDING, OrderStatus.OPEN) for window in windows),
            "may_withdraw": self.has_withdraw_permission(request, object_id) and offer.state == OfferState.OPEN,
        }
        return TemplateResponse(request, "admin/exchange/offer.html", context)

    def has_withdraw_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self._withdrawable(request).filter(pk=number_or_404(str(object_id))).exists()

    @action(description="Withdraw", url_path="withdraw", permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        offer = get_object_or_404(self._withdrawable(request), pk=number_or_404(object_id))
        return command_page(self, request, WithdrawOfferForm, subject=offer, offer=offer)

    def _withdrawable(self, request: HttpRequest) -> QuerySet[Offer]:
        return Offer.objects.filter(provider_id__in=access_of(request).provider_ids)

    @column("Windows of", ordering="window_seconds")
    def length(self, offer: Offer) -> str:
        return describe_length(offer.window_seconds)

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
    def price(self, offer: Any) -> str:
        return price_writer(int(offer.tick))(offer.price_ticks)

    @column("State", ordering="state")
    def state_shown(self, offer: Offer) -> SafeString:
        over = offer.state == OfferState.OPEN and offer.last_delivery <= get_clock().now()
        return state_label("over" if over else offer.state)
