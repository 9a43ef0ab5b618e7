"""The form a provider posts an offer with: a product and window length, a range of windows, lots and price."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.urls import reverse

from exchange.clearing.prices import parse_lots, parse_price
from exchange.clearing.terms import MAX_ORDER_LOTS, TOKENS_PER_PRICE
from exchange.commands.post_offer import PostOffer, post_offer
from exchange.errors import UnknownContract
from exchange.selectors.market import get_contract_terms
from exchange.selectors.offer_windows import OfferableWindow, list_offerable_windows
from exchange.wording import describe_length, describe_window, price_writer
from ledger.admin.command_forms import CommandForm, Done, choice_field, decimal_field, number_field
from ledger.errors import DomainError
from ledger.idempotency import once
from ledger.models import Party
from ledger.templatetags.amounts import group_digits


@dataclass(frozen=True, slots=True)
class Series:
    """The windows of one length of one product that one provider may offer now."""

    provider: Party
    windows: Sequence[OfferableWindow]

    @property
    def product_code(self) -> str:
        return self.windows[0].contract.product_code

    @property
    def window_seconds(self) -> int:
        return self.windows[0].contract.window_seconds

    @property
    def key(self) -> str:
        return f"{self.provider.pk}/{self.product_code}/{self.window_seconds}"

    @property
    def name(self) -> str:
        return f"{self.product_code}, windows of {describe_length(self.window_seconds)} ({len(self.windows)} open)"

    @property
    def tick_micros(self) -> int:
        return self.windows[0].contract.tick_micros

    @property
    def currency(self) -> str:
        return self.windows[0].contract.currency


@dataclass(frozen=True, slots=True)
class OfferPlan:
    """What an offer would come to, for the person to see before posting it."""

    windows: int
    lots: int
    tokens: int
    value_micros: int
    bond_micros: int
    currency: str
    too_small: Sequence[str]


class PostOfferForm(CommandForm):
    """Posts one offer. Sent twice it posts once: the form carries a number of its own."""

    title = "Post an offer"
    intro = (
        "An offer lists the same number of lots at the same price in every window of a range. "
        "Each window gets a sell order; what buyers take is yours to deliver, secured by a bond."
    )
    submit = "Post the offer"
    field_of: ClassVar[Mapping[str, str]] = {"first_delivery": "first", "last_delivery": "last"}

    submission = forms.CharField(widget=forms.HiddenInput, max_length=40)
    series = choice_field("Product and window length")
    first = choice_field("First window")
    last = choice_field("Last window")
    lots = number_field("Lots in each window", maximum=MAX_ORDER_LOTS)
    price = decimal_field("Price per million contract tokens")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.all_series = list_series(self.access.provider_ids, self.now)
        self.choose_from("series", [(series.key, self._name(series)) for series in self.all_series])
        self.fields["submission"].initial = secrets.token_hex(12)
        self.chosen = self._chosen()
        if self.chosen is not None:
            self._choose_windows(self.chosen)

    @property
    def plan(self) -> OfferPlan | None:
        """What the figures typed so far come to; None until they make sense."""
        values = {name: self._value(name) for name in ("first", "last", "lots", "price")}
        if self.chosen is None or not all(values.values()):
            return None
        try:
            lots = parse_lots(values["lots"])
            price_ticks = self._price_ticks(self.chosen, values["price"])
        except DomainError:
            return None
        return make_plan(self.chosen, values["first"], values["last"], lots, price_ticks)

    @property
    def window_rows(self) -> list[tuple[OfferableWindow, str, str]]:
        """The windows of the chosen series with their best bid and ask written out."""
        if self.chosen is None:
            return []
        write = price_writer(self.chosen.tick_micros)
        return [
            (
                window,
                write(window.quotes.bid.price_ticks) if window.quotes.bid else "",
                write(window.quotes.ask.price_ticks) if window.quotes.ask else "",
            )
            for window in self.chosen.windows
        ]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("first", "") > data.get("last", "~"):
            self.add_error("last", "The last window is before the first.")
        return data

    def act(self) -> Done:
        series, data = self.chosen, self.cleaned_data
        if series is None:
            raise UnknownContract("None of your products has a window open for offers now.")
        command = PostOffer(
            provider_id=series.provider.pk,
            product_code=series.product_code,
            window_seconds=series.window_seconds,
            first_delivery=datetime.fromisoformat(data["first"]),
            last_delivery=datetime.fromisoformat(data["last"]),
            lots=data["lots"],
            price_ticks=self._price_ticks(series, data["price"]),
        )

        def post() -> dict[str, Any]:
            posted = post_offer(command, actor=self.access.actor, now=self.now)
            return {"offer_id": posted.offer_id, "windows": len(posted.orders)}

        content = {name: str(value) for name, value in asdict(command).items()}
        key = f"form-{data['submission']}"
        answer = once(series.provider.pk, key, "post_offer", content, post, now=self.now)
        return Done(
            f"Offer {answer['offer_id']} is posted; its {answer['windows']} orders are on their way into the book.",
            reverse("admin:exchange_offer_change", args=(answer["offer_id"],)),
        )

    def _name(self, series: Series) -> str:
        several = len(self.access.provider_ids) > 1
        return f"{series.provider}: {series.name}" if several else series.name

    def _value(self, name: str) -> str:
        """What is typed in a field, whether it was sent or is only being tried out."""
        return str(self[name].value() or "").strip()

    def _chosen(self) -> Series | None:
        wanted = self._value("series")
        first = self.all_series[0] if self.all_series else None
        return next((series for series in self.all_series if series.key == wanted), first)

    def _choose_windows(self, series: Series) -> None:
        contracts = [window.contract for window in series.windows]
        starts = [
            (each.delivery_start.isoformat(), describe_window(each.delivery_start, each.delivery_end))
            for each in contracts
        ]
        known = {value for value, _ in starts}
        for name, (preset, _) in (("first", starts[0]), ("last", starts[-1])):
            self.choose_from(name, starts)
            if self.initial.get(name) not in known:
                self.initial[name] = preset
        self.initial["series"] = series.key
        write = price_writer(series.tick_micros)
        low, high = contracts[0].band_low_ticks, contracts[0].band_high_ticks
        self.fields["lots"].help_text = f"A lot is {group_digits(str(contracts[0].lot_tokens))} contract tokens."
        self.fields[
            "price"
        ].help_text = f"In {series.currency}, from {write(low)} to {write(high)} in steps of {write(1)}."

    def _price_ticks(self, series: Series, text: str) -> int:
        return parse_price(get_contract_terms(series.windows[0].contract.symbol), text)


def list_series(provider_ids: frozenset[int], now: datetime) -> list[Series]:
    """Everything these providers may offer now."""
    found: list[Series] = []
    for provider in Party.objects.filter(pk__in=provider_ids).order_by("code"):
        groups: dict[tuple[str, int], list[OfferableWindow]] = {}
        for window in list_offerable_windows(provider.pk, now=now):
            groups.setdefault((window.contract.product_code, window.contract.window_seconds), []).append(window)
        found += [Series(provider, windows) for windows in groups.values()]
    return found


def make_plan(series: Series, first: str, last: str, lots: int, price_ticks: int) -> OfferPlan:
    """Sum an offer up over the windows of a range, and name those whose free capacity it exceeds."""
    windows = [each for each in series.windows if first <= each.contract.delivery_start.isoformat() <= last]
    tokens = sum(lots * each.contract.lot_tokens for each in windows)
    return OfferPlan(
        windows=len(windows),
        lots=lots * len(windows),
        tokens=tokens,
        value_micros=tokens * series.tick_micros * price_ticks // TOKENS_PER_PRICE,
        bond_micros=sum(lots * each.contract.bond_per_lot_micros for each in windows),
        currency=series.currency,
        too_small=[
            describe_window(each.contract.delivery_start, each.contract.delivery_end)
            for each in windows
            if each.free_lots < lots
        ],
    )
