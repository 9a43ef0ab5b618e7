"""The operator's forms for products and contracts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.db import transaction
from django.urls import reverse

from exchange.commands.halt_contract import HaltContract, ResumeContract, halt_contract, resume_contract
from exchange.commands.list_contract import ListContract, list_contract
from exchange.commands.list_product import ListProduct, list_product
from exchange.errors import InvalidTerms, PriceOffTick
from exchange.models import Contract, Product
from exchange.selectors.products import get_product, list_products
from exchange.terms import ProductTerms
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
    paragraph_field,
    text_field,
)
from ledger.money import format_micros, parse_count, parse_micros

WINDOW_LENGTHS = (10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, DAY, MONTH)
MAX_SERIES = 200
MODEL_FIELDS = ("quantisation", "context_length", "tokenizer")
COUNT_FIELDS = (  # 0 is a value here
    "take_or_pay_permille",
    "damages_permille",
    "damages_cap_permille",
    "refused_output_tokens",
    "buyer_fee_ppm",
    "provider_fee_ppm",
    "tax_rate_permille",
)
PLAIN_FIELDS = ("region", "lot_tokens", "max_request_tokens", "currency", "burst_permille", "tax_category")
SERVICE_FIELDS = ("ttft_p95_ms", "output_tokens_per_s", "availability_ppm")


class ListProductForm(CommandForm):
    """Lists a product. It starts from the terms of the product listed last, as most are alike."""

    title = "List a product"
    intro = (
        "What is delivered and on which terms. The terms are hashed; contracts pin that hash and terms never change."
    )
    submit = "List the product"
    columns = True
    field_of: ClassVar[Mapping[str, str]] = {"name": "model_name", "product": "code"}

    code = text_field("Code", help_text="Capitals and digits with dots and hyphens, such as QWEN3-235B.CN-EAST.STD.")
    description = text_field("Description", required=False, max_length=200)
    model_name = text_field("Model")
    quantisation = text_field("Quantisation")
    context_length = number_field("Context length in tokens")
    tokenizer = text_field("Tokenizer")
    region = text_field("Region")
    service_name = text_field("Service class")
    ttft_p95_ms = number_field("Time to first token, p95, in ms")
    output_tokens_per_s = number_field("Output tokens per second")
    availability_ppm = number_field("Availability in parts per million")
    lot_tokens = number_field("Contract tokens in a lot")
    max_request_tokens = number_field("Largest request in contract tokens")
    tick = decimal_field("Tick", help_text="The price step, in the currency per million contract tokens.")
    currency = text_field("Currency")
    take_or_pay_permille = text_field("Take-or-pay in permille", inputmode="numeric")
    damages_permille = text_field("Damages in permille of the price", inputmode="numeric")
    damages_cap_permille = text_field("Bond in permille of a lot's highest value", inputmode="numeric")
    burst_permille = number_field("Rate in a minute, in permille of an even share")
    refused_output_tokens = text_field("Output tokens a refused request counts", inputmode="numeric")
    buyer_fee_ppm = text_field("Buyer's fee in parts per million", inputmode="numeric")
    provider_fee_ppm = text_field("Provider's fee in parts per million", inputmode="numeric")
    tax_category = text_field("Tax category")
    tax_rate_permille = text_field("Tax rate in permille", inputmode="numeric")
    weights = paragraph_field(
        "Token weights", help_text="One line for each kind of token: its name and its milli-contract-tokens.", rows=8
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        alike = max(list_products(), key=lambda product: product.id, default=None)
        if alike is not None:
            self.initial = {**_as_typed(alike.terms), **self.initial}

    def act(self) -> Done:
        data = self.cleaned_data
        command = ListProduct(data["code"], data["description"], self._terms(data))
        product = list_product(command, actor=self.access.actor, now=self.now)
        return Done(f"{product.code} is listed.", reverse("admin:exchange_product_change", args=(product.pk,)))

    def _terms(self, data: Mapping[str, Any]) -> ProductTerms:
        return ProductTerms.from_json(
            {
                "model": {"name": data["model_name"], **{name: data[name] for name in MODEL_FIELDS}},
                "service_class": {"name": data["service_name"], **{name: data[name] for name in SERVICE_FIELDS}},
                "weights": _weights(data["weights"]),
                "tick_micros": parse_micros(data["tick"], field="tick"),
                **{name: parse_count(data[name], field=name) for name in COUNT_FIELDS},
                **{name: data[name] for name in PLAIN_FIELDS},
            }
        )


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


def _weights(text: str) -> dict[str, int]:
    weights: dict[str, int] = {}
    for line in text.split("\n"):
        name, _, weight = line.strip().rpartition(" ")
        if line.strip():
            weights[name.strip()] = parse_count(weight, field="weights")
    if not weights:
        raise InvalidTerms("Give a weight to at least one kind of token.", field="weights")
    return weights


def _as_typed(terms: ProductTerms) -> dict[str, str]:
    """Terms as they would be typed into the form."""
    flat = {name: str(value) for name, value in terms.to_json().items()}
    service = terms.service_class
    return {
        **flat,
        **{name: str(getattr(terms.model, name)) for name in MODEL_FIELDS},
        **{name: str(getattr(service, name)) for name in SERVICE_FIELDS},
        "model_name": terms.model.name,
        "service_name": service.name,
        "tick": format_micros(terms.tick_micros),
        "weights": "\n".join(f"{name} {weight}" for name, weight in terms.weights.items()),
    }
