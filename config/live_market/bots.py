"""One step of the live market: what providers, buyers and meters do every few seconds."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from random import Random
from types import TracebackType

import requests

from config.catalogue import BUYERS, PROVIDERS
from config.live_market.buyers import Buyer
from config.live_market.meters import Meters
from config.live_market.providers import Provider
from config.rest_client import RestClient, RestRefused
from ledger.errors import DomainError

LOG = logging.getLogger(__name__)
BUYERS_A_STEP = 3
TOLD_EVERY = timedelta(seconds=60)


class LiveMarket:
    """The bots and their connections; a context manager. Under the same chance they wish for the same."""

    def __init__(self, base_url: str, keys: Mapping[str, str], *, random: Random | None = None) -> None:
        self._clients = {party: RestClient(base_url, key) for party, key in keys.items()}
        self._random = random or Random()  # noqa: S311 - play, not secrets
        self._tally: Counter[str] = Counter()
        self._told_at: datetime | None = None
        self._providers = {each.code: Provider(each, self._random, self._tally) for each in PROVIDERS}
        self._buyers = {each.code: Buyer(each, self._clients[each.code], self._random, self._tally) for each in BUYERS}
        self._meters = Meters(self._clients, self._random)

    def __enter__(self) -> LiveMarket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.close()

    def step(self, now: datetime) -> None:
        """Everybody acts once. What is refused, or not reachable at the moment, is left for the next step."""
        for name, provider in self._providers.items():
            _try(name, partial(provider.act, now))
        for name in self._random.sample(list(self._buyers), BUYERS_A_STEP):
            _try(name, partial(self._buyers[name].act, now))
        for name, buyer in self._buyers.items():
            _try(name, partial(buyer.renew_switch, now))
        _try("meters", partial(self._meters.act, now))
        self._tell(now)

    def _tell(self, now: datetime) -> None:
        """A line a minute about what the bots did."""
        if self._told_at is None:
            self._told_at = now
        elif now >= self._told_at + TOLD_EVERY:
            done = ", ".join(f"{count} × {deed}" for deed, count in sorted(self._tally.items()) if count)
            LOG.info("the bots, in the last %d seconds: %s", (now - self._told_at).total_seconds(), done or "nothing")
            self._told_at = now
            self._tally.clear()


def _try(who: str, act: Callable[[], None]) -> None:
    try:
        act()
    except (DomainError, RestRefused) as refused:
        LOG.info("%s was refused: %s", who, refused)
    except requests.RequestException as error:
        LOG.info("%s: the web process does not answer: %s", who, type(error).__name__)
