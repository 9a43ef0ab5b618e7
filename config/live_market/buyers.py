"""A buyer's bot: one order, amendment or cancel a step, over REST."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from random import Random
from typing import Any

from config.catalogue import MODELS, TICK_MICROS, BuyerFacts
from config.first_market import LOT_TOKENS
from config.live_market.habits import Deed, Wish, choose_amendment, choose_deed, choose_order
from config.rest_client import RestClient, RestRefused
from exchange.clearing.prices import format_price
from exchange.clearing.terms import lot_tick_micros
from exchange.errors import OrderNotOpen
from exchange.matching.types import Side
from ledger.money import format_micros

BOT_ORDER = "live-"  # how the bots' client order ids begin: people may trade for the same parties
LAST_ORDER = timedelta(seconds=15)  # before the gate closes
# These are heard of regularly, or lose their orders. The others' may be people's, who would wonder where they went.
SWITCHED = frozenset({"daisy", "hazel", "linden"})
SWITCH_SECONDS, RENEW_AFTER = 300, timedelta(seconds=60)
SWITCH_RENEWED = "dead-man switch renewed"
FILLED_AT_ONCE = "filled at once"


class Buyer:
    """One party's bot. What it did is counted in `tally` by the names of deeds."""

    def __init__(self, facts: BuyerFacts, client: RestClient, random: Random, tally: Counter[str]) -> None:
        self._facts, self._client, self._random, self._tally = facts, client, random, tally
        self._renewed_at: datetime | None = None

    def act(self, now: datetime) -> None:
        """Do one thing. Raises `RestRefused` and requests' own errors."""
        deed = choose_deed(self._random)
        if deed is Deed.CANCEL:
            self._cancel()
        elif deed is Deed.AMEND:
            self._amend()
        else:
            self._place(deed, now)

    def renew_switch(self, now: datetime) -> None:
        """Begin the dead-man switch anew when it is time. Raises as `act` does."""
        if self._facts.code not in SWITCHED or (self._renewed_at and now < self._renewed_at + RENEW_AFTER):
            return
        self._client.put("/api/v1/dead-man-switch", {"seconds": SWITCH_SECONDS})
        self._renewed_at = now
        self._tally[SWITCH_RENEWED] += 1

    def _place(self, deed: Deed, now: datetime) -> None:
        model = MODELS[self._facts.product]
        trading = self._client.get("/api/v1/contracts", product=model.code, state="trading", limit="50")["items"]
        open_longer = [each for each in trading if datetime.fromisoformat(each["gate_close"]) > now + LAST_ORDER]
        if not open_longer:
            return
        wish = choose_order(deed, model, self._random)
        placed = self._client.post("/api/v1/orders", self._order(wish, self._random.choice(open_longer), now))
        self._tally[deed] += 1
        self._tally[FILLED_AT_ONCE] += bool(placed.get("fills"))

    def _order(self, wish: Wish, contract: dict[str, Any], now: datetime) -> dict[str, Any]:
        order: dict[str, Any] = {
            "contract": contract["symbol"],
            "side": Side.BUY.value,
            "type": wish.order_type.value,
            "price": format_price(TICK_MICROS, wish.price_ticks),
            "time_in_force": wish.time_in_force.value,
            "post_only": wish.post_only.value,
            "client_order_id": f"{BOT_ORDER}{self._random.getrandbits(96):024x}",
            "overage_permille": self._facts.overage_permille,
        }
        if wish.by_budget:
            micros = wish.lots * wish.price_ticks * lot_tick_micros(LOT_TOKENS, TICK_MICROS)
            return order | {"budget": format_micros(micros), "overage_permille": 0}  # a budget has nothing over
        if wish.keep is not None:
            until = min(now + wish.keep, datetime.fromisoformat(contract["gate_close"]))
            order["expires_at"] = until.isoformat()
        return order | {"lots": str(wish.lots)}

    def _amend(self) -> None:
        order = self._any_open_order()
        if order is None:
            return
        model = MODELS[self._facts.product]
        change = choose_amendment(model, int(order["lots"]), int(order["filled_lots"]), self._random)
        body = (
            {"lots": str(change["lots"])}
            if "lots" in change
            else {"price": format_price(TICK_MICROS, change["price_ticks"])}
        )
        key = f"{BOT_ORDER}{self._random.getrandbits(96):024x}"
        try:
            self._client.patch(f"/api/v1/orders/{order['order_id']}", body, idempotency_key=key)
        except RestRefused as refused:
            _unless_it_ended_meanwhile(refused)
        else:
            self._tally[Deed.AMEND] += 1

    def _cancel(self) -> None:
        order = self._any_open_order()
        if order is None:
            return
        try:
            self._client.delete(f"/api/v1/orders/{order['order_id']}")
        except RestRefused as refused:
            _unless_it_ended_meanwhile(refused)
        else:
            self._tally[Deed.CANCEL] += 1

    def _any_open_order(self) -> Any:
        """One of the bot's own; None if there is none."""
        resting = self._client.get("/api/v1/orders", status="open", limit="50")["items"]
        own = [order for order in resting if (order["client_order_id"] or "").startswith(BOT_ORDER)]
        return self._random.choice(own) if own else None


def _unless_it_ended_meanwhile(refused: RestRefused) -> None:
    """Someone else's order, the gate or the order's own time may come first."""
    if refused.code != OrderNotOpen.code:
        raise refused
