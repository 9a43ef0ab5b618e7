"""The operator's forms for products and their terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from django import forms
from django.urls import reverse

from exchange.commands.change_terms import ChangeTerms, change_terms
from exchange.commands.list_product import ListProduct, list_product
from exchange.errors import InvalidTerms
from exchange.models import Product
from exchange.selectors.products import get_product, list_products
from exchange.terms import OPTIONAL_TERMS, ProductTerms
from ledger.admin.command_forms import CommandForm, Done, decimal_field, number_field, paragraph_field, text_field
from ledger.money import format_micros, parse_count, parse_micros

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
OTHER_FIELDS = ("max_request_tokens", "burst_permille", "tax_category")
PLAIN_FIELDS = ("region", "lot_tokens", "currency")
SERVICE_FIELDS = ("ttft_p95_ms", "output_tokens_per_s", "availability_ppm")
# Each part of an optional term, and its field here.
OPTIONAL_FIELDS = {
    name: {part.name: f"{name}_{part.name}" for part in fields(kind)} for name, kind in OPTIONAL_TERMS.items()
}


def _optional(label: str) -> forms.CharField:
    return text_field(label, help_text="Empty for none.", required=False, inputmode="numeric")


class _TermsForm(CommandForm):
    """The parts of a product's terms that another version may have otherwise."""

    columns = True
    # Of an optional term that is there by half, the first part.
    field_of: ClassVar[Mapping[str, str]] = {
        f"{name}.{part}": field for name, parts in OPTIONAL_FIELDS.items() for part, field in parts.items()
    } | {name: next(iter(parts.values())) for name, parts in OPTIONAL_FIELDS.items()}

    max_request_tokens = number_field("Largest request in contract tokens")
    take_or_pay_permille = text_field("Take-or-pay in permille", inputmode="numeric")
    damages_permille = text_field("Damages in permille of the price", inputmode="numeric")
    damages_cap_permille = text_field("Bond in permille of a lot's highest value", inputmode="numeric")
    burst_permille = number_field("Rate in a minute, in permille of an even share")
    refused_output_tokens = text_field("Output tokens a refused request counts", inputmode="numeric")
    buyer_fee_ppm = text_field("Buyer's fee in parts per million", inputmode="numeric")
    provider_fee_ppm = text_field("Provider's fee in parts per million", inputmode="numeric")
    tax_category = text_field("Tax category")
    tax_rate_permille = text_field("Tax rate in permille", inputmode="numeric")
    sla_ttft_permille = _optional("Off the price for a late first token, in permille")
    sla_speed_permille = _optional("Off the price for slow output, in permille")
    sla_availability_permille = _optional("Off the price for low availability, in permille")
    sla_cap_permille = _optional("Off the price at most, in permille")
    sla_min_requests = _optional("Requests that a measure needs to be judged")
    make_up_permille = _optional("Of unused tokens, make up later, in permille")
    make_up_windows = _optional("Make up within so many windows")
    weights = paragraph_field(
        "Token weights", help_text="One line for each kind of token: its name and its milli-contract-tokens.", rows=8
    )

    def _parts(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "weights": _weights(data["weights"]),
            **{name: parse_count(data[name], field=name) for name in COUNT_FIELDS},
            **{name: data[name] for name in OTHER_FIELDS},
            **{name: part for name in OPTIONAL_FIELDS if (part := self._optional_part(name))},
        }

    def _optional_part(self, name: str) -> dict[str, int]:
        """An optional part of the terms, empty if nothing of it is typed; `ProductTerms` refuses half of one."""
        typed = {part: self.cleaned_data[field] for part, field in OPTIONAL_FIELDS[name].items()}
        return {part: parse_count(text, field=f"{name}.{part}") for part, text in typed.items() if text}


class ListProductForm(_TermsForm):
    """Lists a product. It starts from the terms of the product listed last, as most are alike."""

    title = "List a product"
    intro = (
        "What is delivered and on which terms. The terms are hashed; contracts pin that hash, and a version of terms "
        "never changes."
    )
    submit = "List the product"
    field_of: ClassVar[Mapping[str, str]] = {
        **_TermsForm.field_of, "name": "model_name", "product": "code", "tick_micros": "tick",
    }  # fmt: skip
    field_order = (
        "code", "description", "model_name", *MODEL_FIELDS, "region", "service_name", *SERVICE_FIELDS, "lot_tokens",
        "max_request_tokens", "tick", "currency",
    )  # fmt: skip

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
    tick = decimal_field("Tick", help_text="The price step, in the currency per million contract tokens.")
    currency = text_field("Currency")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        alike = max(list_products(), key=lambda product: product.id, default=None)
        if alike is not None:
            self.initial = {**_as_typed(alike.terms), **self.initial}

    def act(self) -> Done:
        data = self.cleaned_data
        terms = ProductTerms.from_json(
            {
                "model": {"name": data["model_name"], **{name: data[name] for name in MODEL_FIELDS}},
                "service_class": {"name": data["service_name"], **{name: data[name] for name in SERVICE_FIELDS}},
                "tick_micros": parse_micros(data["tick"], field="tick"),
                **{name: data[name] for name in PLAIN_FIELDS},
                **self._parts(),
            }
        )
        command = ListProduct(data["code"], data["description"], terms)
        product = list_product(command, actor=self.access.actor, now=self.now)
        return Done(f"{product.code} is listed.", _page(product))


class ChangeTermsForm(_TermsForm):
    """Gives a product its next version of terms; what makes it this product is not asked for."""

    title = "Change the terms"
    intro = (
        "The next version, for contracts listed from now on. Those that are listed keep the terms that they pinned; "
        "offers are not placed under the new ones before their providers change or resume them. Another model, "
        "region, service class, currency, lot or tick is another product."
    )
    submit = "Write the next version"
    dangerous = True
    # The version is hidden, so what is wrong with it stands above all.
    field_of: ClassVar[Mapping[str, str]] = {**_TermsForm.field_of, "version": ""}

    version = forms.IntegerField(widget=forms.HiddenInput)
    reason = paragraph_field("Reason", help_text="It goes into the action log, which the auditor reads.", rows=3)

    def __init__(self, *arguments: Any, product: Product, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.product = product
        self.latest = get_product(product.code)
        self.initial = {**_as_typed(self.latest.terms), "version": self.latest.version}

    def act(self) -> Done:
        data = self.cleaned_data
        kept = {name: part for name, part in self.latest.terms.to_json().items() if name not in OPTIONAL_FIELDS}
        terms = ProductTerms.from_json({**kept, **self._parts()})
        command = ChangeTerms(self.product.code, data["version"], terms, data["reason"])
        row = change_terms(command, actor=self.access.actor, now=self.now)
        return Done(f"Contracts are listed under version {row.version} of the terms from now on.", _page(self.product))


def _page(product: Product) -> str:
    return reverse("admin:exchange_product_change", args=(product.pk,))


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
        **_optional_as_typed(terms),
        "model_name": terms.model.name,
        "service_name": service.name,
        "tick": format_micros(terms.tick_micros),
        "weights": "\n".join(f"{name} {weight}" for name, weight in terms.weights.items()),
    }


def _optional_as_typed(terms: ProductTerms) -> dict[str, str]:
    return {
        field: "" if (term := getattr(terms, name)) is None else str(getattr(term, part))
        for name, parts in OPTIONAL_FIELDS.items()
        for part, field in parts.items()
    }
