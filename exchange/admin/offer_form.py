"""The form a provider posts an offer with: a product and window length, a range of windows, lots and prices."""

from __future__ import annotations

import hashlib
import secrets
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from unfold.widgets import UnfoldBooleanWidget

from exchange.clearing.prices import parse_lots, parse_ticks
from exchange.clearing.terms import MAX_ORDER_LOTS
from exchange.commands.post_offer import PostOffer, post_offer
from exchange.errors import InvalidOffer, UnknownContract
from exchange.models import Offer, Product
from exchange.offer_schedule import DAYS, Schedule, parse_curve, prices_of
from exchange.selectors.offer_preview import OfferPreview, PreviewWindow, preview_offer
from exchange.selectors.offer_windows import OfferSeries, list_offer_series
from exchange.windows import window_at
from exchange.wording import describe_length, price_writer
from ledger.admin.command_forms import CommandForm, Done, choice_field, moment_field, number_field, text_field
from ledger.errors import DomainError
from ledger.idempotency import once
from ledger.models import Party
from ledger.templatetags.amounts import group_digits

PRICE_HELP = (
    "One price, or prices by the UTC hour a window starts in, such as 00-08: 3.90, 08-20: 4.21; "
    "windows of other hours are left out."
)
PRESETS: Mapping[str, tuple[str, timedelta | None]] = {
    "day": ("24 hours", timedelta(days=1)),
    "week": ("7 days", timedelta(days=7)),
    "listed": ("All listed", None),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """What is typed, understood."""

    provider_id: int
    product: Product
    schedule: Schedule
    lots: int
    offer: Offer | None = None


class OfferForm(CommandForm):
    """Shows what would be placed before it is: only what was seen as it is typed is sent."""

    confirmed = forms.CharField(widget=forms.HiddenInput, required=False)
    unconfirmed = False  # sent without having been seen
    trouble = ""  # why there is no preview of what is typed

    @abstractmethod
    def draft(self) -> Draft | None:
        """None as long as something is not typed. Raises any refusal of it."""

    @cached_property
    def preview(self) -> OfferPreview | None:
        """What the figures typed so far come to; None until they make sense."""
        try:
            return self._preview()
        except DomainError as refusal:
            self.trouble = refusal.message
        except ValidationError as error:
            self.trouble = " ".join(error.messages)
        return None

    @property
    def rows(self) -> list[tuple[PreviewWindow, str, str, str, str]]:
        """Each window with its price, the one it has now, best bid and best ask written out."""
        if self.preview is None:
            return []
        write = price_writer(self.preview.tick_micros)
        return [
            (
                window,
                write(window.price_ticks),
                "" if window.standing_ticks is None else write(window.standing_ticks),
                write(window.quotes.bid.price_ticks) if window.quotes.bid else "",
                write(window.quotes.ask.price_ticks) if window.quotes.ask else "",
            )
            for window in self.preview.windows
        ]

    @property
    def seen(self) -> str:
        """What stands for the figures typed; it comes back with them when they are sent."""
        typed = [self.typed(name) for name in self.fields if name not in ("confirmed", "submission")]
        return hashlib.sha256("\n".join(typed).encode()).hexdigest()[:16]

    def typed(self, name: str) -> str:
        """What is typed in a field, whether it was sent or is only being tried out."""
        value = self[name].value()
        if isinstance(value, datetime):
            return f"{value:%Y-%m-%dT%H:%M}"
        if isinstance(value, bool):
            return "on" if value else ""
        return str(value or "").strip()

    def perform(self) -> Done | None:
        if self.is_valid() and self.cleaned_data["confirmed"] != self.seen:
            try:
                self._preview()
            except DomainError as refusal:
                self.refuse(refusal)
            self.unconfirmed = not self.errors
            return None
        return super().perform()

    def _preview(self) -> OfferPreview | None:
        draft = self.draft()
        if draft is None:
            return None
        return preview_offer(
            draft.provider_id, draft.product, draft.schedule, draft.lots, now=self.now, offer=draft.offer
        )


class PostOfferForm(OfferForm):
    """Posts one offer. Sent twice it posts once: the form carries a number of its own."""

    title = "Post an offer"
    intro = (
        "An offer lists the same number of lots in every window of a range, on the weekdays and hours you choose. "
        "Each window gets a sell order, one that is not listed yet when it is. What buyers take is yours to deliver, "
        "secured by a bond."
    )
    submit = "Post the offer"
    field_of: ClassVar[Mapping[str, str]] = {"first_delivery": "first", "last_delivery": "until", "weekdays": "day_0"}

    submission = forms.CharField(widget=forms.HiddenInput, max_length=40)
    series = choice_field("Product and window length")
    first = moment_field("From", help_text="Start of the first window, in UTC.")
    until = moment_field("Until", help_text="End of the last window, in UTC.")
    lots = number_field("Lots in each window", maximum=MAX_ORDER_LOTS)
    price = text_field("Price per million contract tokens", max_length=400)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        providers = {party.pk: party for party in Party.objects.filter(pk__in=self.access.provider_ids)}
        self.all_series = [each for pk in sorted(providers) for each in list_offer_series(pk, now=self.now)]
        for day, name in enumerate(DAYS):
            self.fields[f"day_{day}"] = forms.BooleanField(label=name, required=False, widget=UnfoldBooleanWidget())
            self.initial.setdefault(f"day_{day}", "" if "first" in self.initial else "on")
        names = [
            (_key(each), _name(each, providers[each.provider_id], several=len(providers) > 1))
            for each in self.all_series
        ]
        self.choose_from("series", names)
        self.fields["submission"].initial = secrets.token_hex(12)
        self.chosen = self._chosen()
        if self.chosen is not None:
            self._fit_to(self.chosen)

    @property
    def days(self) -> list[Any]:
        return [self[f"day_{day}"] for day in range(len(DAYS))]

    @property
    def presets(self) -> list[tuple[str, str]]:
        return [(key, name) for key, (name, _) in PRESETS.items()]

    def draft(self) -> Draft | None:
        if self.chosen is None or not all(self.typed(name) for name in ("first", "until", "lots", "price")):
            return None
        series = self.chosen
        product = Product.objects.get(pk=series.product_id)
        return Draft(series.provider_id, product, self._schedule(series), parse_lots(self.typed("lots")))

    def act(self) -> Done:
        draft = self.draft()
        if draft is None or self.chosen is None:
            raise UnknownContract("None of your products has a window that you could offer now.")
        schedule = draft.schedule
        command = PostOffer(
            provider_id=draft.provider_id,
            product_code=draft.product.code,
            window_seconds=schedule.window_seconds,
            first_delivery=schedule.first,
            last_delivery=schedule.last,
            lots=draft.lots,
            price_ticks=prices_of(schedule.curve),
            weekdays=schedule.weekdays,
        )

        def post() -> dict[str, Any]:
            posted = post_offer(command, actor=self.access.actor, now=self.now)
            return {"offer_id": posted.offer_id, "windows": len(posted.orders)}

        content = {name: str(value) for name, value in asdict(command).items()}
        content["weekdays"] = str(sorted(schedule.weekdays))
        key = f"form-{self.cleaned_data['submission']}"
        answer = once(draft.provider_id, key, "post_offer", content, post, now=self.now)
        return Done(
            f"Offer {answer['offer_id']} is posted; its {answer['windows']} orders are on their way into the book.",
            reverse("admin:exchange_offer_change", args=(answer["offer_id"],)),
        )

    def _chosen(self) -> OfferSeries | None:
        wanted = self.typed("series")
        first = self.all_series[0] if self.all_series else None
        return next((series for series in self.all_series if _key(series) == wanted), first)

    def _fit_to(self, series: OfferSeries) -> None:
        """Preset the range and tell what a lot and a price are."""
        self.initial["series"] = _key(series)
        preset = self.initial.get("preset")
        if preset in PRESETS or "first" not in self.initial:
            span = PRESETS[preset or "listed"][1]
            self.initial["first"] = series.first
            self.initial["until"] = series.until if span is None else series.first + span
        write = price_writer(series.tick_micros)
        band = "" if series.band is None else f" from {write(series.band[0])} to {write(series.band[1])}"
        self.fields["lots"].help_text = f"A lot is {group_digits(str(series.lot_tokens))} contract tokens."
        self.fields["price"].help_text = f"In {series.currency},{band} in steps of {write(1)}. {PRICE_HELP}"

    def _schedule(self, series: OfferSeries) -> Schedule:
        """Whole windows only: a range that begins or ends within one leaves it out."""
        first, until = (self.fields[name].clean(self.typed(name)) for name in ("first", "until"))
        begun = window_at(first, series.window_seconds)
        start = first if begun.start == first else begun.end
        last = window_at(window_at(until, series.window_seconds).start - timedelta(seconds=1), series.window_seconds)
        if last.start < start:
            raise InvalidOffer("No whole window lies in this range.", field="last_delivery")
        weekdays = frozenset(day for day in range(len(DAYS)) if self.typed(f"day_{day}"))
        curve = parse_curve(self.typed("price"), lambda text: parse_ticks(series.tick_micros, text))
        return Schedule(series.window_seconds, start, last.start, weekdays, curve)


def _key(series: OfferSeries) -> str:
    return f"{series.provider_id}/{series.product_code}/{series.window_seconds}"


def _name(series: OfferSeries, provider: Party, *, several: bool) -> str:
    name = f"{series.product_code}, windows of {describe_length(series.window_seconds)} ({series.listed} listed)"
    return f"{provider}: {name}" if several else name
