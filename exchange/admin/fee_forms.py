"""The operator's forms for fees and trade groups."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.urls import reverse

from exchange.commands.set_fee_schedule import SetFeeSchedule, set_fee_schedule
from exchange.commands.set_trade_group import TRADING_KINDS, SetTradeGroup, set_trade_group
from exchange.errors import InvalidFeeSchedule
from exchange.fee_schedule import Basis, FeeSchedule
from exchange.models import Product
from ledger.admin.command_forms import Done, ReasonForm, choice_field, moment_field, paragraph_field, radio_field
from ledger.chart import AssetKind
from ledger.models import Asset, Party
from ledger.money import parse_micros

RATES = ("buyer_maker_ppm", "buyer_taker_ppm", "provider_maker_ppm", "provider_taker_ppm")


class SetFeeScheduleForm(ReasonForm):
    title = "Set a fee schedule"
    intro = (
        "A new version; the ones before stay as they are. It counts for orders placed from the instant it begins. No "
        "order is ever charged more than its contract's own rate, which is what it holds money for."
    )
    submit = "Set this schedule"
    field_of: ClassVar[Mapping[str, str]] = dict.fromkeys(("volume", "volume_micros", *RATES), "tiers")

    currency = choice_field("Currency")
    product = choice_field("Product", required=False)
    valid_from = moment_field("Begins")
    basis = radio_field(
        "Rates are parts per million of",
        [(Basis.CONTRACT.value, "the contract's own rate"), (Basis.NOTIONAL.value, "the value traded")],
        initial=Basis.CONTRACT.value,
    )
    tiers = paragraph_field(
        "Tiers",
        help_text="One line each: the value traded in 30 days from which it counts, then the buyer's maker and taker "
        "and the provider's maker and taker rate. The first starts at 0.",
        rows=6,
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        currencies = Asset.objects.filter(kind=AssetKind.CURRENCY).order_by("code").values_list("code", flat=True)
        self.choose_from("currency", [(code, code) for code in currencies])
        products = Product.objects.order_by("code").values_list("code", flat=True)
        self.choose_from("product", [("", "all without a schedule of their own"), *((code, code) for code in products)])
        midnight = self.now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self.initial = {"valid_from": midnight, **self.initial}

    def act(self) -> Done:
        data = self.cleaned_data
        command = SetFeeSchedule(
            currency=data["currency"],
            product_code=data["product"] or None,
            schedule=FeeSchedule.from_json(
                data["basis"], [_tier(line) for line in data["tiers"].splitlines() if line.strip()]
            ),
            valid_from=data["valid_from"],
            reason=data["reason"],
        )
        row = set_fee_schedule(command, actor=self.access.actor, now=self.now)
        url = reverse("admin:exchange_feeschedule_change", args=(row.pk,))
        return Done(f"Version {row.version} begins at {row.valid_from:%Y-%m-%d %H:%M} UTC.", url)


class SetTradeGroupForm(ReasonForm):
    title = "Set a party's trade group"
    intro = (
        "Orders of one group never trade with each other. It counts for orders placed from now on; open orders keep "
        "the group that they were placed with."
    )
    submit = "Set the group"

    party = choice_field("Party")
    group = choice_field("In the group of", required=False)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        parties = Party.objects.filter(kind__in=TRADING_KINDS).order_by("name")
        choices = [(party.code, f"{party.name} ({party.kind})") for party in parties]
        self.choose_from("party", choices)
        self.choose_from("group", [("", "nobody: on its own"), *choices])

    def act(self) -> Done:
        data = self.cleaned_data
        command = SetTradeGroup(data["party"], data["group"] or None, data["reason"])
        set_trade_group(command, actor=self.access.actor, now=self.now)
        return Done("The group counts from now on.", reverse("admin:exchange_tradegroup_changelist"))


def _tier(line: str) -> dict[str, Any]:
    figures = line.split()
    if len(figures) != 1 + len(RATES):
        raise InvalidFeeSchedule(f"A tier is a volume and {len(RATES)} rates, not {line.strip()!r}.", field="tiers")
    volume, *rates = figures
    return {"volume_micros": parse_micros(volume, field="volume"), **dict(zip(RATES, rates, strict=True))}
