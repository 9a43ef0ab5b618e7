"""One step of the live market: what the operator, providers, buyers and meters do every few seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from random import Random
from types import TracebackType
from typing import Any
from uuid import uuid4

import requests

from config.catalogue import BUYERS, MODELS, PROVIDERS, TICK_MICROS, BuyerFacts, ListedModel, ProviderFacts, meter_code
from config.first_market import LOTS_A_WEIGHT, WINDOW_SECONDS
from config.live_market.habits import Choice, choose, offer_price, usage_of_step
from config.market_setup import contract_of
from config.rest_client import RestClient, RestRefused
from exchange.clearing.prices import format_price
from exchange.commands.list_contract import list_contract
from exchange.commands.post_offer import PostOffer, post_offer
from exchange.commands.withdraw_offer import WithdrawOffer, withdraw_offer
from exchange.models import Contract, ContractState, Offer, OfferState
from exchange.windows import Window, parse_symbol, window_at
from ledger.errors import DomainError
from ledger.selectors.parties import get_party
from settlement.metering.envelope import COMPLETED_TYPE, REFUSED_TYPE
from settlement.metering.reconcile import RefusalReason

LOG = logging.getLogger(__name__)
BOT_ORDER = "live-"  # how the bots' client order ids begin: people may trade for the same parties
WINDOWS_AHEAD = 6
GATE_BEFORE_DELIVERY = timedelta(seconds=60)
OFFERED_DIVISOR = 2  # of what a provider can deliver
BUYERS_A_STEP = 3
REPOST_ONE_IN = 60
WINDOW = timedelta(seconds=WINDOW_SECONDS)


class LiveMarket:
    """The bots and their connections; a context manager. Little else is kept between two steps."""

    def __init__(self, base_url: str, keys: Mapping[str, str], *, random: Random | None = None) -> None:
        self._clients = {party: RestClient(base_url, key) for party, key in keys.items()}
        self._random = random or Random()  # noqa: S311 - play, not secrets
        self._metered_at: datetime | None = None
        self._delivering: dict[str, tuple[Window | None, list[dict[str, Any]]]] = {}

    def __enter__(self) -> LiveMarket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.close()

    def step(self, now: datetime) -> None:
        """Everybody acts once. What is refused, or not reachable at the moment, is left for the next step."""
        _try("listing", partial(list_ahead, now))
        for provider in PROVIDERS:
            _try(provider.code, partial(self._offer, provider, now))
        for buyer in self._random.sample(BUYERS, BUYERS_A_STEP):
            _try(buyer.code, partial(self._trade, buyer))
        _try("metering", partial(self._report_usage, now))

    def _offer(self, facts: ProviderFacts, now: datetime) -> None:
        """Offer in every trading window that this bot has no offer in yet; now and then, rethink a price."""
        party, actor = get_party(facts.code), _actor(facts.code)
        offers = Offer.objects.filter(provider=party, state=OfferState.OPEN, last_delivery__gt=now, created_by=actor)
        if self._random.randrange(REPOST_ONE_IN) == 0 and (offer := offers.order_by("?").first()):
            withdraw_offer(WithdrawOffer(offer.id, party.id), actor=actor, now=now)
        for code, weight in facts.weights.items():
            offered = set(offers.filter(product__code=code).values_list("first_delivery", flat=True))
            trading = Contract.objects.filter(product__code=code, state=ContractState.TRADING, gate_close__gt=now)
            for contract in trading.exclude(delivery_start__in=offered):
                post_offer(
                    PostOffer(
                        provider_id=party.id,
                        product_code=code,
                        window_seconds=WINDOW_SECONDS,
                        first_delivery=contract.delivery_start,
                        last_delivery=contract.delivery_start,
                        lots=weight * LOTS_A_WEIGHT // OFFERED_DIVISOR,
                        price_ticks=offer_price(MODELS[code], facts.price_permille, self._random),
                    ),
                    actor=actor,
                    now=now,
                )

    def _trade(self, buyer: BuyerFacts) -> None:
        """One order or one cancel, over REST."""
        client, model = self._clients[buyer.code], MODELS[buyer.product]
        choice = choose(model, self._random)
        if choice is None:
            resting = client.get("/api/v1/orders", status="open", limit="50")["items"]
            own = [order for order in resting if (order["client_order_id"] or "").startswith(BOT_ORDER)]
            if own:
                client.delete(f"/api/v1/orders/{self._random.choice(own)['order_id']}")
            return
        contracts = client.get("/api/v1/contracts", product=model.code, state="trading", limit="50")["items"]
        if contracts:
            self._place(client, self._random.choice(contracts)["symbol"], choice, buyer.overage_permille)

    def _place(self, client: RestClient, symbol: str, choice: Choice, overage_permille: int) -> None:
        order = {
            "contract": symbol,
            "side": "buy",
            "price": format_price(TICK_MICROS, choice.price_ticks),
            "lots": str(choice.lots),
            "time_in_force": choice.time_in_force,
            "client_order_id": f"{BOT_ORDER}{uuid4().hex}",
            "overage_permille": overage_permille,
        }
        client.post("/api/v1/orders", order)

    def _report_usage(self, now: datetime) -> None:
        """What was used since the last step of every position that is being delivered, by both its meters."""
        since, self._metered_at = self._metered_at, now
        if since is None:
            return
        window = window_at(now, WINDOW_SECONDS)
        for buyer in BUYERS:
            for position in self._positions(buyer.code, window):
                self._report_position(buyer, position, since, now)

    def _positions(self, buyer: str, window: Window) -> list[dict[str, Any]]:
        """A buyer's positions in the window that is delivered now: asked for once, since gates have closed on them."""
        known_of, positions = self._delivering.get(buyer, (None, []))
        if known_of != window:
            listed = self._clients[buyer].list("/api/v1/positions")
            positions = [each for each in listed if parse_symbol(each["contract"])[1] == window]
            self._delivering[buyer] = (window, positions)
        return positions

    def _report_position(self, buyer: BuyerFacts, position: Mapping[str, Any], since: datetime, now: datetime) -> None:
        _, window = parse_symbol(position["contract"])
        seconds = now - max(since, window.start)
        used = usage_of_step(MODELS[buyer.product], int(position["tokens"]), seconds / WINDOW, self._random)
        if used is None:
            return
        provider = position["counterparty"]
        data: dict[str, Any] = {
            "contract": position["contract"],
            "buyer": buyer.code,
            "provider": provider,
            "request_id": uuid4().hex,
            "accepted_at": now.isoformat(),
            "family": "tokenbourse",
            "usage": {"input": used.input_tokens, "cached": used.cached_tokens, "output": used.output_tokens},
        }
        if used.refused:
            data["reason"] = RefusalReason.CAPACITY.value
        for party in (buyer.code, provider):
            event = {
                "specversion": "1.0",
                "type": REFUSED_TYPE if used.refused else COMPLETED_TYPE,
                "source": meter_code(party),
                "id": data["request_id"],
                "time": now.isoformat(),
                "data": data,
            }
            self._clients[party].post("/api/v1/usage-events", [event])


def list_ahead(now: datetime) -> None:
    """List every product's contracts for the next windows, as the operator would."""
    window = window_at(now, WINDOW_SECONDS)
    for _ in range(WINDOWS_AHEAD):
        window = Window(window.end, window.end + WINDOW)
        gate_close = window.start - GATE_BEFORE_DELIVERY
        listed = set(Contract.objects.filter(delivery_start=window.start).values_list("product__code", flat=True))
        for model in MODELS.values():
            if model.code not in listed and now < gate_close:
                _list(model, window, now, gate_close)


def _list(model: ListedModel, window: Window, now: datetime, gate_close: datetime) -> None:
    list_contract(contract_of(model, window, now, gate_close), actor=_actor("operator"), now=now)


def _actor(name: str) -> str:
    """Who the action log says it was: not the person of that name."""
    return f"bot:{name}"


def _try(who: str, act: Callable[[], None]) -> None:
    try:
        act()
    except (DomainError, RestRefused) as refused:
        LOG.info("%s: %s", who, refused)
    except requests.RequestException as error:
        LOG.info("%s: the web process does not answer: %s", who, type(error).__name__)
