"""Fee schedules, version by version, and which parties belong together."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, Subquery
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from exchange.admin.fee_forms import SetFeeScheduleForm, SetTradeGroupForm
from exchange.fee_schedule import Basis
from exchange.fees import read_schedule
from exchange.models import FeeSchedule, TradeGroup
from ledger.admin.base import column, owned_by
from ledger.admin.command_forms import AddsByCommand
from ledger.models import Party
from ledger.parties.access import Access
from ledger.templatetags.amounts import money, percent, utc

_HEADINGS = ("Traded in 30 days", "Buyer, maker", "Buyer, taker", "Provider, maker", "Provider, taker")


@admin.register(FeeSchedule)
class FeeScheduleAdmin(AddsByCommand):
    """The highest version that has begun counts. Everyone who may log in sees all of them."""

    list_display = ("product_shown", "currency", "version", "begins", "basis_shown", "tiers_counted", "created_by")
    list_select_related = ("currency", "product")
    ordering = ("-id",)
    fields = (
        "product_shown", "currency", "version", "begins", "basis_shown", "tiers_shown", "created_at", "created_by",
    )  # fmt: skip
    readonly_fields = ("product_shown", "begins", "basis_shown", "tiers_shown")
    add_form = SetFeeScheduleForm

    def own_rows(self, access: Access) -> Q | None:
        return Q() if access.party_ids else None

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    @column("Product", ordering="product__code")
    def product_shown(self, schedule: FeeSchedule) -> str:
        return schedule.product.code if schedule.product else "all without one of their own"

    @column("Begins", ordering="valid_from")
    def begins(self, schedule: FeeSchedule) -> str:
        return str(utc(schedule.valid_from))

    @column("Rates are parts of", ordering="basis")
    def basis_shown(self, schedule: FeeSchedule) -> str:
        return "the contract's own rate" if schedule.basis == Basis.CONTRACT else "the value traded"

    @column("Tiers")
    def tiers_counted(self, schedule: FeeSchedule) -> int:
        return len(schedule.tiers)

    @column("Tiers")
    def tiers_shown(self, schedule: FeeSchedule) -> SafeString:
        rows = (
            (
                money(tier.volume_micros),
                *(percent(ppm) for rates in (tier.buyer, tier.provider) for ppm in (rates.maker_ppm, rates.taker_ppm)),
            )
            for tier in read_schedule(schedule).tiers
        )
        return format_html(
            "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>",
            format_html_join("", "<th>{}</th>", ((heading,) for heading in _HEADINGS)),
            format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", rows),
        )


@admin.register(TradeGroup)
class TradeGroupAdmin(AddsByCommand):
    """Parties whose orders never trade with those of the party that stands for their group, or with each other's."""

    list_display = ("party", "stands_for_it")
    list_select_related = ("party",)
    ordering = ("group_id", "party_id")
    fields = ("party", "stands_for_it")
    readonly_fields = ("stands_for_it",)
    add_form = SetTradeGroupForm

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("party_id", access.party_ids)

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    def get_queryset(self, request: HttpRequest) -> Any:
        name = Party.objects.filter(id=OuterRef("group_id")).values("name")[:1]
        return super().get_queryset(request).annotate(group_name=Subquery(name))

    @column("In the group of", ordering="group_id")
    def stands_for_it(self, membership: Any) -> str:
        return str(membership.group_name)
