"""The operator's forms for contracts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.db import transaction
from django.urls import reverse

from exchange.commands.halt_contract import HaltContract, ResumeContract, halt_contract, resume_contract
from exchange.commands.list_contract import ListContract, list_contract
from exchange.errors import PriceOffTick
from exchange.models import Contract, Product
from exchange.selectors.products import get_product
from exchange.windows import DAY, HOUR, MINUTE, MONTH, window_from
from exchange.wording import describe_length
from ledger.admin.command_forms import (
    CommandForm,
    Done,
    ReasonForm,
    choice_field,
    decimal_field,
    moment_field,
    number_field,
    text_field,
)
from ledger.money import format_micros, parse_count, parse_micros

WINDOW_LENGTHS = (10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, DAY, MONTH)
MAX_SERIES = 200


class ListContractsForm(CommandForm):
    """Lists the contracts of consecutive windows, all or none."""

    title = "List contracts"
    intro = "One contract for each window, under the product's latest terms."
    submit = "List the contracts"
    columns = True
    field_of: ClassVar[Mapping[str, str]] = {
        "start": "delivery_start",
        "listing_price_ticks": "listing_price",
        "band_low_ticks": "band_low",
        "band_high_ticks": "band_high",
        "gate_close": "lead_minutes",
    }

    product = choice_field("Product")
    length = choice_field("Windows of", [(str(each), describe_length(each)) for each in WINDOW_LENGTHS])
    delivery_start = moment_field("First delivery starts")
    windows = number_field("Number of windows", maximum=MAX_SERIES)
    gate_open = moment_field("Gate opens")
    lead_minutes = text_field("Gate closes, minutes before delivery", inputmode="numeric")
    listing_price = decimal_field("Listing price", help_text="Per million contract tokens.")
    band_low = decimal_field("Lowest price")
    band_high = decimal_field("Highest price")
    collar_permille = text_field(
        "Price collar in permille of the last price",
        help_text="Trading halts instead of trading further away than this. Empty or 0: no collar.",
        required=False,
        inputmode="numeric",
    )
    shard = text_field("Shard", help_text="Whose sequencer decides the orders.", required=False, inputmode="numeric")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        codes = Product.objects.order_by("code").values_list("code", flat=True)
        self.choose_from("product", [(code, code) for code in codes])
        self.initial = {"length": str(HOUR), "gate_open": self.now, "lead_minutes": "10", "shard": "1", **self.initial}

    @transaction.atomic
    def act(self) -> Done:
        data = self.cleaned_data
        length, lead = int(data["length"]), parse_count(data["lead_minutes"], field="lead_minutes", maximum=DAY)
        tick_micros = get_product(data["product"]).terms.tick_micros
        prices = {f"{name}_ticks": price_ticks(data[name], name, tick_micros)
                  for name in ("listing_price", "band_low", "band_high")}  # fmt: skip
        start = data["delivery_start"]
        for _ in range(data["windows"]):
            command = ListContract(
                product_code=data["product"],
                delivery_start=start,
                window_seconds=length,
                gate_open=data["gate_open"],
                gate_close=start - timedelta(minutes=lead),
                collar_permille=parse_count(data["collar_permille"] or 0, field="collar_permille"),
                shard=parse_count(data["shard"] or 1, field="shard"),
                **prices,
            )
            start = window_from(start, length).end
            list_contract(command, actor=self.access.actor, now=self.now)
        return Done(f"{data['windows']} contracts are listed.", reverse("admin:exchange_contract_changelist"))


class _ContractReasonForm(ReasonForm):
    def __init__(self, *arguments: Any, contract: Contract, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.contract = contract

    def _done(self, message: str) -> Done:
        return Done(message, reverse("admin:exchange_contract_change", args=(self.contract.pk,)))


class HaltForm(_ContractReasonForm):
    title = "Halt trading"
    intro = "Orders are refused until trading is resumed. Open orders stay and may be cancelled. Everybody sees why."
    submit = "Halt trading"
    dangerous = True

    def act(self) -> Done:
        command = HaltContract(self.contract.symbol, self.cleaned_data["reason"])
        halt_contract(command, actor=self.access.actor, now=self.now)
        return self._done(f"The halt of {self.contract} is in the line; orders behind it are refused.")


class ResumeForm(_ContractReasonForm):
    title = "Resume trading"
    intro = "Orders are taken again from now on."
    submit = "Resume trading"

    def act(self) -> Done:
        command = ResumeContract(self.contract.symbol, self.cleaned_data["reason"])
        resume_contract(command, actor=self.access.actor, now=self.now)
        return self._done(f"Trading in {self.contract} goes on as soon as the command's turn has come.")


def price_ticks(text: str, field: str, tick_micros: int) -> int:
    ticks, rest = divmod(parse_micros(text, field=field), tick_micros)
    if rest:
        raise PriceOffTick(f"The price is not a multiple of the tick {format_micros(tick_micros)}.", field=field)
    return ticks
