"""The operator's forms for the rules of the listing calendar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.urls import reverse

from exchange.admin.listing_forms import WINDOW_LENGTHS, price_ticks
from exchange.commands.set_listing_rule import SetListingRule, pause_listing_rule, set_listing_rule
from exchange.models import ListingRule, Product
from exchange.models.contract_life import MAX_WINDOWS_AHEAD
from exchange.selectors.products import get_product
from exchange.windows import HOUR, MINUTE
from exchange.wording import describe_length
from ledger.admin.command_forms import (
    CommandForm,
    Done,
    ReasonForm,
    choice_field,
    decimal_field,
    number_field,
    text_field,
)
from ledger.money import format_micros, parse_count

FIXED, REFERENCE = "fixed", "reference"
LEADS = ("gate_open_lead", "gate_close_lead")
PERMILLES = ("band_low_permille", "band_high_permille", "collar_permille")


class ListingRuleForm(CommandForm):
    """Makes a rule, or changes the one of the same product and length; `rule` fills its figures in."""

    title = "List windows ahead"
    intro = (
        "The next windows of this length are listed by themselves, each under the product's latest terms. A rule of "
        "the same product and length is replaced; contracts that are listed stay as they are."
    )
    submit = "Save the rule"
    columns = True
    field_of: ClassVar[Mapping[str, str]] = {
        "listing_price_ticks": "listing_price",
        "gate_open_lead_seconds": "gate_open_lead",
        "gate_close_lead_seconds": "gate_close_lead",
    }

    product = choice_field("Product")
    length = choice_field("Windows of", [(str(each), describe_length(each)) for each in WINDOW_LENGTHS])
    windows_ahead = number_field("Windows listed ahead", maximum=MAX_WINDOWS_AHEAD)
    gate_open_lead = text_field("Gate opens, minutes before delivery", inputmode="numeric")
    gate_close_lead = text_field("Gate closes, minutes before delivery", inputmode="numeric")
    listing_price = decimal_field("Listing price", help_text="Per million contract tokens.")
    price_from = choice_field(
        "Taken from",
        [(FIXED, "this figure"), (REFERENCE, "the last reference price of this length, as soon as there is one")],
    )
    band_low_permille = text_field("Lowest price in permille of it", inputmode="numeric")
    band_high_permille = text_field("Highest price in permille of it", inputmode="numeric")
    collar_permille = text_field(
        "Price collar in permille of the last price",
        help_text="Trading halts instead of trading further away than this. 0: no collar.",
        inputmode="numeric",
    )
    shard = text_field("Shard", help_text="Whose sequencer decides the orders.", inputmode="numeric")

    def __init__(self, *arguments: Any, rule: ListingRule | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        codes = Product.objects.order_by("code").values_list("code", flat=True)
        self.choose_from("product", [(code, code) for code in codes])
        usual = {"length": str(HOUR), "price_from": FIXED, "collar_permille": "0", "shard": "1"}
        self.initial = {**(usual if rule is None else _as_typed(rule)), **self.initial}

    def act(self) -> Done:
        data = self.cleaned_data
        rule = set_listing_rule(
            SetListingRule(
                product_code=data["product"],
                window_seconds=int(data["length"]),
                windows_ahead=data["windows_ahead"],
                listing_price_ticks=price_ticks(
                    data["listing_price"], "listing_price", get_product(data["product"]).terms.tick_micros
                ),
                follow_reference=data["price_from"] == REFERENCE,
                shard=parse_count(data["shard"], field="shard"),
                **{f"{name}_seconds": parse_count(data[name], field=name) * MINUTE for name in LEADS},
                **{name: parse_count(data[name], field=name) for name in PERMILLES},
            ),
            actor=self.access.actor,
            now=self.now,
        )
        return Done("The rule is saved; what it wants listed is listed within a minute.", _page(rule))


class _RuleReasonForm(ReasonForm):
    paused: ClassVar[bool]

    def __init__(self, *arguments: Any, rule: ListingRule, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.rule = rule

    def act(self) -> Done:
        reason = self.cleaned_data["reason"]
        pause_listing_rule(self.rule.pk, paused=self.paused, reason=reason, actor=self.access.actor, now=self.now)
        return Done(f"{self.rule} {'lists nothing more' if self.paused else 'lists again'}.", _page(self.rule))


class PauseRuleForm(_RuleReasonForm):
    title = "Pause"
    intro = "No further window is listed until the rule goes on. Contracts that are listed stay."
    submit = "Pause the rule"
    paused = True


class GoOnForm(_RuleReasonForm):
    title = "Go on"
    intro = "Windows are listed again, those that were missed only if their gate has not closed."
    submit = "Go on"
    paused = False


def _page(rule: ListingRule) -> str:
    return reverse("admin:exchange_listingrule_change", args=(rule.pk,))


def _as_typed(rule: ListingRule) -> dict[str, str]:
    tick_micros = get_product(rule.product.code).terms.tick_micros
    return {
        "product": rule.product.code,
        "length": str(rule.window_seconds),
        "windows_ahead": str(rule.windows_ahead),
        "listing_price": format_micros(rule.listing_price_ticks * tick_micros),
        "price_from": REFERENCE if rule.follow_reference else FIXED,
        "shard": str(rule.shard),
        **{name: str(getattr(rule, f"{name}_seconds") // MINUTE) for name in LEADS},
        **{name: str(getattr(rule, name)) for name in PERMILLES},
    }
