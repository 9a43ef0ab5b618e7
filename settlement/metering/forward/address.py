"""Where the exchange is, and what time it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import requests

from settlement.metering.instants import parse_instant

EVENTS_PATH = "/api/v1/usage-events"
TIME_PATH = "/api/v1/time"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
ASK_AGAIN_MS = 60_000
ASK_SOON_MS = 1_000  # without an answer
_TIME_TIMEOUT_SECONDS = 10


class BadAddress(ValueError):
    """Not an address of an exchange; the message says what is wrong."""


class Address:
    """An exchange by its base address, such as `https://exchange.example`. Raises `BadAddress`.

    Only https, except on the same machine: the API key goes along with every call.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise BadAddress(f"{url} is not an address such as https://exchange.example.")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise BadAddress(f"{url} would show the API key to everybody on the way: use https.")
        self.base = url.removesuffix(EVENTS_PATH).rstrip("/")
        self.path = urlsplit(self.base).path + EVENTS_PATH
        self._session = requests.Session()
        self._session.trust_env = parts.hostname not in LOOPBACK  # no proxy is meant for the machine itself
        self._session.auth = _keep  # what .netrc says would take the place of the API key

    def post(self, body: bytes, headers: Mapping[str, str], timeout: tuple[int, int]) -> requests.Response:
        """A call with events. Raises `requests.RequestException`."""
        return self._session.post(
            self.base + EVENTS_PATH, data=body, headers=headers, timeout=timeout, allow_redirects=False
        )

    def ask_time(self) -> datetime | None:
        """By the exchange's clock; None without an answer."""
        try:
            response = self._session.get(self.base + TIME_PATH, timeout=_TIME_TIMEOUT_SECONDS)
            return parse_instant(str(response.json()["now"])) if response.ok else None
        except (requests.RequestException, ValueError, KeyError, TypeError):
            return None

    def close(self) -> None:
        self._session.close()


class MarketTime:
    """The time at the exchange: by its clock, asked for now and then, as that decides when a window has ended and
    whether a signature is fresh. Until it has answered, the time of this machine."""

    def __init__(
        self, ask: Callable[[], datetime | None], own: Callable[[], datetime], ticks: Callable[[], int]
    ) -> None:
        self._ask = ask
        self._own = own
        self._ticks = ticks
        self._ask_at = ticks()
        self._ahead = timedelta()

    def now(self) -> datetime:
        if self._ticks() >= self._ask_at:
            told = self._ask()
            if told is not None:
                self._ahead = told - self._own()
            self._ask_at = self._ticks() + (ASK_SOON_MS if told is None else ASK_AGAIN_MS)
        return (self._own() + self._ahead).astimezone(UTC)

    def forget(self) -> None:
        """Ask again the next time."""
        self._ask_at = self._ticks()


def _keep(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
