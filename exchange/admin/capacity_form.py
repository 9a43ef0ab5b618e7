"""The form a provider declares a site's capacity with, and divides it among products and window lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import F
from django.urls import reverse

from exchange.capacity import (
    MAX_MTOKENS_PER_JOULE,
    MAX_TOKENS_PER_S,
    MAX_WATTS,
    PPM,
    Allocation,
    sustained_tokens_per_s,
    window_capacity,
)
from exchange.commands.declare_capacity import DeclareCapacity, declare_capacity
from exchange.models import Contract, Product
from exchange.selectors.capacity import SiteView, list_sites
from exchange.windows import DAY, HOUR, MINUTE, MONTH
from exchange.wording import describe_length
from ledger.admin.command_forms import CommandForm, Done, choice_field, decimal_field, number_field, radio_field
from ledger.errors import DomainError, InvalidAmount
from ledger.money import parse_micros

ROWS_MIN = 6
ROWS_MAX = 60
USUAL_LENGTHS = frozenset({15 * MINUTE, HOUR, 4 * HOUR, DAY, MONTH})
MICROS_PER_PPM = 100  # a percentage in micros of a percent, to parts per million


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """What the figures typed so far come to."""

    tokens_per_s: int
    allocated_ppm: int
    windows: Sequence[tuple[str, int]]  # product and length, contract tokens a window

    @property
    def is_too_much(self) -> bool:
        return self.allocated_ppm > PPM


class DeclareCapacityForm(CommandForm):
    """Declares what one site sustains. It replaces the site's declaration as a whole."""

    title = "Declare capacity"
    intro = (
        "What a site can sustain, and how much of it goes to which product. A declaration replaces the one before; "
        "it cannot go below what is sold or on offer already."
    )
    submit = "Declare this capacity"
    field_of: ClassVar[Mapping[str, str]] = {"utilisation_ppm": "utilisation", "ppm": "percent_0"}

    site = choice_field("Site")
    basis = radio_field(
        "Measured by",
        [("tokens", "contract tokens per second"), ("power", "power × energy efficiency × utilisation")],
        initial="tokens",
    )
    tokens_per_s = number_field("Contract tokens per second", required=False, maximum=MAX_TOKENS_PER_S)
    watts = number_field("Power in watts", required=False, maximum=MAX_WATTS)
    mtokens_per_joule = number_field(
        "Contract-millitokens per joule",
        help_text="A watt is a joule a second: 1,000 here gives one contract token for each joule.",
        required=False,
        maximum=MAX_MTOKENS_PER_JOULE,
    )
    utilisation = decimal_field("Utilisation in percent", required=False)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.sites = [site for each in sorted(self.access.provider_ids) for site in list_sites(each)]
        self.choose_from("site", [(str(site.id), f"{site.name} ({site.provider})") for site in self.sites])
        self.products = {product.code: product.pk for product in Product.objects.order_by("code")}
        self.conflicts: Sequence[Mapping[str, str]] = ()
        self.conflicts_in_all = 0
        self.standing = self._chosen()
        self.row_count = self._count_rows()
        pairs = _pairs()
        for row in range(self.row_count):
            self.fields[f"pair_{row}"] = choice_field(
                f"Product and window length, row {row + 1}", [("", "–"), *pairs], required=False
            )
            self.fields[f"percent_{row}"] = decimal_field(f"Percent of the site, row {row + 1}", required=False)
        self._preset()

    @property
    def rows(self) -> list[tuple[Any, Any]]:
        """The bound fields of each allocation."""
        return [(self[f"pair_{row}"], self[f"percent_{row}"]) for row in range(self.row_count)]

    @property
    def plan(self) -> CapacityPlan | None:
        """What the figures typed so far come to; None until they make sense."""
        try:
            tokens_per_s = _tokens_per_s(self._basis(self._typed()))
            allocations = self._allocations(self._typed())
        except (DomainError, KeyError, ValueError):
            return None
        names = {pk: code for code, pk in self.products.items()}
        return CapacityPlan(
            tokens_per_s=tokens_per_s,
            allocated_ppm=sum(each.ppm for each in allocations),
            windows=[
                (
                    f"{names[each.product_id]}, {describe_length(each.window_seconds)}",
                    window_capacity(tokens_per_s, each.ppm, each.window_seconds),
                )
                for each in allocations
            ],
        )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        needed = ["tokens_per_s"] if data.get("basis") == "tokens" else ["watts", "mtokens_per_joule", "utilisation"]
        for name in needed:
            if not data.get(name) and name not in self.errors:
                self.add_error(name, "Fill this in.")
        for row in range(self.row_count):
            if bool(data.get(f"pair_{row}")) != bool(data.get(f"percent_{row}")):
                self.add_error(f"percent_{row}", "An allocation needs a product and a percentage.")
        return data

    def act(self) -> Done:
        data = self.cleaned_data
        site = next(site for site in self.sites if str(site.id) == data["site"])
        command = DeclareCapacity(
            provider_id=site.provider_id,
            site_id=site.id,
            basis=self._basis(data),
            allocations=tuple(self._allocations(data)),
        )
        declaration = declare_capacity(command, actor=self.access.actor, now=self.now)
        return Done(
            f"{site.name} now sustains {declaration.tokens_per_s:,} contract tokens per second.",
            reverse("admin:exchange_capacitydeclaration_change", args=(declaration.pk,)),
        )

    def refuse(self, refusal: DomainError) -> None:
        """What is sold or on offer already is shown contract by contract."""
        super().refuse(refusal)
        self.conflicts = refusal.fields.get("contracts", ())
        self.conflicts_in_all = int(refusal.fields.get("contracts_in_all", 0))

    def _chosen(self) -> SiteView | None:
        wanted = str(self["site"].value() or "")
        return next((each for each in self.sites if str(each.id) == wanted), self.sites[0] if self.sites else None)

    def _count_rows(self) -> int:
        """Room for what the site has allocated and for what is sent, with some to spare."""
        allocated = len(self.standing.allocations) if self.standing else 0
        sent = sum(f"pair_{row}" in self.data or f"pair_{row}" in self.initial for row in range(ROWS_MAX))
        return min(ROWS_MAX, max(ROWS_MIN, allocated + 2, sent))

    def _preset(self) -> None:
        """Start from the site's latest declaration."""
        if self.standing is not None:
            self.initial = {**_as_typed(self.standing), **self.initial, "site": str(self.standing.id)}

    def _typed(self) -> dict[str, Any]:
        return {name: str(self[name].value() or "").strip() for name in self.fields}

    def _basis(self, data: Mapping[str, Any]) -> dict[str, int]:
        if data["basis"] == "tokens":
            return {"tokens_per_s": int(data["tokens_per_s"])}
        return {
            "watts": int(data["watts"]),
            "mtokens_per_joule": int(data["mtokens_per_joule"]),
            "utilisation_ppm": _ppm(data["utilisation"], "utilisation"),
        }

    def _allocations(self, data: Mapping[str, Any]) -> list[Allocation]:
        allocations = []
        for row in range(self.row_count):
            pair, percent = data[f"pair_{row}"], data[f"percent_{row}"]
            if pair and percent:
                code, _, seconds = pair.rpartition("/")
                allocations.append(Allocation(self.products[code], int(seconds), _ppm(percent, f"percent_{row}")))
        return allocations


def _pairs() -> list[tuple[str, str]]:
    """Every product with the usual window lengths and those it has been listed in."""
    lengths: dict[str, set[int]] = {code: set(USUAL_LENGTHS) for code in Product.objects.values_list("code", flat=True)}
    listed = Contract.objects.values_list("product__code", F("delivery_end") - F("delivery_start")).distinct()
    for code, length in listed:
        lengths[code].add(int(length.total_seconds()) if length <= timedelta(days=1) else MONTH)
    return [
        (f"{code}/{seconds}", f"{code}, windows of {describe_length(seconds)}")
        for code in sorted(lengths)
        for seconds in sorted(lengths[code])
    ]


def _as_typed(site: SiteView) -> dict[str, str]:
    """A site's latest declaration as it would be typed into the form."""
    basis = {name: str(value) for name, value in site.basis.items()}
    if "utilisation_ppm" in basis:
        basis["utilisation"] = _percent(int(basis.pop("utilisation_ppm")))
    typed = {**basis, "basis": "power" if "watts" in basis else "tokens"}
    for row, allocation in enumerate(site.allocations[:ROWS_MAX]):
        typed[f"pair_{row}"] = f"{allocation.product_code}/{allocation.window_seconds}"
        typed[f"percent_{row}"] = _percent(allocation.ppm)
    return typed


def _tokens_per_s(basis: Mapping[str, int]) -> int:
    return basis["tokens_per_s"] if "tokens_per_s" in basis else sustained_tokens_per_s(**basis)


def _ppm(percent: str, field: str) -> int:
    """ "12.5" percent -> 125000 parts per million."""
    ppm, rest = divmod(parse_micros(percent, field=field), MICROS_PER_PPM)
    if rest:
        raise InvalidAmount("A percentage has at most four decimals.", field=field)
    return ppm


def _percent(ppm: int) -> str:
    whole, rest = divmod(ppm, 10_000)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".")
