"""Forms for what a provider does with an offer that stands."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from exchange.admin.offer_form import PRICE_HELP, Draft, OfferForm
from exchange.clearing.prices import parse_lots, parse_ticks
from exchange.clearing.terms import MAX_ORDER_LOTS
from exchange.commands.change_offer import ChangeOffer, change_offer
from exchange.commands.pause_offer import PauseOffer, ResumeOffer, pause_offer, resume_offer
from exchange.commands.withdraw_offer import WithdrawOffer, withdraw_offer
from exchange.errors import InvalidOffer
from exchange.models import Offer, ProductTerms
from exchange.offer_orders import schedule_of
from exchange.offer_schedule import Schedule, describe_curve, parse_curve, prices_of
from exchange.wording import price_writer
from ledger.admin.command_forms import CommandForm, Done, number_field, text_field


class _OfOffer(CommandForm):
    """Acts on one offer of the caller's own."""

    def __init__(self, *arguments: Any, offer: Offer, **options: Any) -> None:
        self.offer = offer
        super().__init__(*arguments, **options)

    def done(self, message: str) -> Done:
        return Done(message, reverse("admin:exchange_offer_change", args=(self.offer.pk,)))


class PauseOfferForm(_OfOffer):
    title = "Pause an offer"
    intro = (
        "Its open orders leave the book and the bonds for them are released; what is sold stays sold. "
        "The offer stays, and can be resumed."
    )
    submit = "Pause the offer"

    def act(self) -> Done:
        command = PauseOffer(self.offer.pk, self.offer.provider_id)
        sent = pause_offer(command, actor=self.access.actor, now=self.now)
        return self.done(f"Offer {self.offer.pk} is paused; {len(sent)} orders are being cancelled.")


class ResumeOfferForm(_OfOffer):
    title = "Resume an offer"
    intro = "What was not sold is offered again in every window whose gate is still open."
    submit = "Resume the offer"

    def act(self) -> Done:
        command = ResumeOffer(self.offer.pk, self.offer.provider_id)
        sent = resume_offer(command, actor=self.access.actor, now=self.now)
        return self.done(f"Offer {self.offer.pk} is open again; {len(sent)} orders are on their way into the book.")


class WithdrawOfferForm(_OfOffer):
    title = "Withdraw an offer"
    intro = (
        "What is still open of its orders is cancelled and the bonds for it are released. What is sold stays sold. "
        "A withdrawn offer cannot be resumed."
    )
    submit = "Withdraw the offer"
    dangerous = True

    def act(self) -> Done:
        command = WithdrawOffer(self.offer.pk, self.offer.provider_id)
        withdrawn = withdraw_offer(command, actor=self.access.actor, now=self.now)
        return self.done(f"Offer {self.offer.pk} is withdrawn; {len(withdrawn.seqs)} orders are being cancelled.")


class ChangeOfferForm(OfferForm, _OfOffer):
    title = "Reprice an offer"
    intro = (
        "Its standing orders take the new figures and keep their numbers. With another price or more lots they go to "
        "the end of their queues. What is sold counts towards the lots and keeps the price it was sold at."
    )
    submit = "Change the offer"

    lots = number_field("Lots in each window", help_text="Sold ones included.", maximum=MAX_ORDER_LOTS)
    price = text_field("Price per million contract tokens", help_text=PRICE_HELP, max_length=400)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        latest = ProductTerms.objects.filter(product=self.offer.product).latest("version")
        self.tick_micros = int(latest.terms["tick_micros"])
        schedule = schedule_of(self.offer)
        self.initial.setdefault("lots", str(self.offer.lots))
        self.initial.setdefault("price", describe_curve(schedule.curve, price_writer(self.tick_micros)))

    def draft(self) -> Draft | None:
        if not self.typed("lots") or not self.typed("price"):
            return None
        standing = schedule_of(self.offer)
        curve = parse_curve(self.typed("price"), lambda text: parse_ticks(self.tick_micros, text))
        schedule = Schedule(standing.window_seconds, standing.first, standing.last, standing.weekdays, curve)
        return Draft(
            self.offer.provider_id, self.offer.product, schedule, parse_lots(self.typed("lots")), offer=self.offer
        )

    def act(self) -> Done:
        draft = self.draft()
        if draft is None:  # both fields are required
            raise InvalidOffer("An offer has lots and a price.", field="lots")
        command = ChangeOffer(self.offer.pk, self.offer.provider_id, draft.lots, prices_of(draft.schedule.curve))
        sent = change_offer(command, actor=self.access.actor, now=self.now)
        if not sent:
            return self.done(f"Offer {self.offer.pk} is changed.")
        return self.done(f"Offer {self.offer.pk} is changed; {len(sent)} of its windows follow.")
