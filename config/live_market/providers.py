"""A provider's bot: offers over the windows ahead for each product it sells, and now and then another mind."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from random import Random

from config.catalogue import MODELS, ProviderFacts
from config.first_market import LOTS_A_WEIGHT, WINDOW_SECONDS, WINDOWS_AHEAD
from config.live_market.habits import Change, choose_change, offer_price
from exchange.commands.change_offer import ChangeOffer, change_offer
from exchange.commands.pause_offer import PauseOffer, ResumeOffer, pause_offer, resume_offer
from exchange.commands.post_offer import PostOffer, post_offer
from exchange.models import Offer, OfferState
from exchange.windows import window_at
from ledger.selectors.parties import get_party

OFFERED_DIVISOR = 2  # of what a provider can deliver; the other half is left to people
WINDOWS_AN_OFFER = 3
WINDOW = timedelta(seconds=WINDOW_SECONDS)
OFFER_POSTED = "offer posted"


class Provider:
    """One party's bot. What it did is counted in `tally`."""

    def __init__(self, facts: ProviderFacts, random: Random, tally: Counter[str]) -> None:
        self._facts, self._random, self._tally = facts, random, tally
        self._actor = f"bot:{facts.code}"  # who the action log says it was: not the person of that name

    def act(self, now: datetime) -> None:
        """Rethink the bot's own offers, then offer in the windows ahead that none of them covers. Raises DomainError.

        What it sold counts towards an offer's lots, so however often a price changes it never offers more than it can
        deliver.
        """
        party = get_party(self._facts.code)
        own = Offer.objects.select_related("product").filter(provider=party, created_by=self._actor)
        for offer in own.filter(last_delivery__gt=now).exclude(state=OfferState.WITHDRAWN).order_by("id"):
            change = choose_change(offer.state == OfferState.PAUSED, self._random)
            if change is not None:
                self._change(offer, change, now)
        for code in self._facts.weights:
            last = own.filter(product__code=code).order_by("last_delivery").last()
            self._cover(party.id, code, last.last_delivery if last else None, now)

    def _change(self, offer: Offer, change: Change, now: datetime) -> None:
        match change:
            case Change.REPRICE:
                price = offer_price(MODELS[offer.product.code], self._facts.price_permille, self._random)
                again = ChangeOffer(offer.pk, offer.provider_id, offer.lots, price)
                change_offer(again, actor=self._actor, now=now)
            case Change.PAUSE:
                pause_offer(PauseOffer(offer.pk, offer.provider_id), actor=self._actor, now=now)
            case Change.RESUME:
                resume_offer(ResumeOffer(offer.pk, offer.provider_id), actor=self._actor, now=now)
        self._tally[change] += 1

    def _cover(self, party_id: int, code: str, covered: datetime | None, now: datetime) -> None:
        """Offer after the last window that is covered, up to those that are listed next."""
        current = window_at(now, WINDOW_SECONDS)
        first = current.end if covered is None else max(current.end, covered + WINDOW)
        while first <= current.start + WINDOWS_AHEAD * WINDOW:
            last = first + (WINDOWS_AN_OFFER - 1) * WINDOW
            command = PostOffer(
                provider_id=party_id,
                product_code=code,
                window_seconds=WINDOW_SECONDS,
                first_delivery=first,
                last_delivery=last,
                lots=self._facts.weights[code] * LOTS_A_WEIGHT // OFFERED_DIVISOR,
                price_ticks=offer_price(MODELS[code], self._facts.price_permille, self._random),
            )
            post_offer(command, actor=self._actor, now=now)
            self._tally[OFFER_POSTED] += 1
            first = last + WINDOW
