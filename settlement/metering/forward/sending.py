"""Sending the outbox: one call at a time, in order, each until it has an answer.

What a call brought is written down event by event. Without an answer it is sent again, later and later; nothing is lost
by that, and nothing doubled, as the exchange tells events apart by their ids. A call that the exchange refuses for what
it is would be refused again: then sending stops with the reason, and everything stays in the outbox.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Protocol

import msgspec
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settlement.metering.forward.address import Address, MarketTime
from settlement.metering.forward.outbox import Outbox, Waiting
from settlement.metering.results import ItemResult
from settlement.metering.signatures import sign, thumbprint

EVENTS_MAX = 1_000
BYTES_MAX = 8 * 1024 * 1024
CONTENT_TYPE = "application/cloudevents-batch+json"
TIMEOUT_SECONDS = (10, 120)
LONGEST_WAIT = 60  # seconds
LONGEST_TOLD_WAIT = 3_600  # if the exchange asks for it
LATER = frozenset({408, 425, 429})  # and all of 5xx: another time it may go well
FORBIDDEN = frozenset({401, 403})
TOO_LARGE = 413
_LEVEL = 6


class Stopped(Exception):
    """The exchange refuses what is sent, and would again; the message says why. Everything stays in the outbox."""


class Credentials(NamedTuple):
    """`private_key`: what calls are signed with, if they are."""

    api_key: str
    private_key: Ed25519PrivateKey | None


class Store(Protocol):
    """Reads the credentials anew for each call, so that they can be replaced under a forwarder that runs."""

    def __call__(self) -> Credentials: ...


class _Answer(msgspec.Struct):
    items: list[ItemResult]


class _Later(Exception):
    """No answer; the message says why, `seconds` how long the exchange asks to wait."""

    def __init__(self, message: str, seconds: int = 0) -> None:
        super().__init__(message)
        self.seconds = seconds


class Sender:
    """`jitter` gives 0 to 999, `ticks` milliseconds that only go forward. `patient`: a key that is refused
    is tried again and again, else once more."""

    def __init__(
        self,
        outbox: Outbox,
        address: Address,
        credentials: Store,
        time: MarketTime,
        *,
        jitter: Callable[[], int],
        ticks: Callable[[], int],
        patient: bool,
    ) -> None:
        self._outbox = outbox
        self._address = address
        self._credentials = credentials
        self._time = time
        self._jitter = jitter
        self._ticks = ticks
        self._patient = patient
        self._limit = EVENTS_MAX
        self._failed = 0
        self._forbidden = False
        self._not_before = 0
        self.trouble = ""  # why there is no answer
        self.count: Counter[str] = Counter()  # of events by what became of them

    def send_some(self) -> bool:
        """Send the next events, unless there are none or it is too early; whether they were answered.

        Raises `Stopped`.
        """
        if self.wait() or not (batch := self._outbox.waiting(limit=self._limit, bytes_max=BYTES_MAX)):
            return False
        try:
            results = self._call(batch)
        except _Later as later:
            self._failed += 1
            self._not_before = self._ticks() + wait_ms(self._failed, self._jitter(), told=later.seconds)
            self.trouble = str(later)
            return False
        self._failed, self._forbidden, self.trouble = 0, False, ""
        if results is not None:
            self._limit = min(EVENTS_MAX, self._limit + self._limit // 8 + 1)
            self._take(batch, results)
        return True

    def wait(self) -> int:
        """Milliseconds until the next attempt."""
        return max(0, self._not_before - self._ticks())

    def _take(self, batch: Sequence[Waiting], results: Sequence[ItemResult]) -> None:
        self._outbox.answer(batch, results)
        self.count.update(str(result.status) for result in results)
        for event, result in zip(batch, results, strict=True):
            if result.status == "conflict" and (contract := self._outbox.contract_of(event.place)) is not None:
                self._outbox.tell_again(contract)  # of an outbox that was lost: the next number may be free

    def _call(self, batch: Sequence[Waiting]) -> list[ItemResult] | None:
        """The results; None if the call was too large, and smaller ones will follow. Raises `_Later` and `Stopped`."""
        content = b"[" + b",".join(event.body for event in batch) + b"]"
        body = gzip.compress(content, _LEVEL, mtime=0)
        try:
            response = self._address.post(body, self._headers(body), TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise _Later(f"no answer: {type(error).__name__}") from None
        status = response.status_code
        if status == 200:
            return _results(response, batch)
        reason = f"{status} {_told(response)}"
        if status == TOO_LARGE and len(batch) > 1:
            self._limit = len(batch) // 2
            return None
        if status in LATER or status >= 500:
            raise _Later(reason, _retry_after(response, self._time))
        if status in FORBIDDEN and (self._patient or not self._forbidden):
            self._forbidden = True
            self._time.forget()  # the exchange may not have told its time yet when this was signed
            raise _Later(reason)
        raise Stopped(reason)

    def _headers(self, body: bytes) -> dict[str, str]:
        credentials = self._credentials()
        headers = {
            "authorization": f"Bearer {credentials.api_key}",
            "content-type": CONTENT_TYPE,
            "content-encoding": "gzip",
        }
        if (private_key := credentials.private_key) is not None:
            headers |= sign(
                private_key,
                key_id=thumbprint(private_key.public_key().public_bytes_raw()),
                path=self._address.path,
                content_type=CONTENT_TYPE,
                body=body,
                created=int(self._time.now().timestamp()),
            )
        return headers


def wait_ms(failed: int, jitter: int, *, told: int = 0) -> int:
    """Milliseconds to wait after so many failures in a row: 1, 2, 4 … 60 seconds, of which `jitter` (0 to 999) takes up
    to a half, so that meters do not come back all at once; at least what the exchange told, in seconds."""
    longest = min(LONGEST_WAIT, 1 << min(failed - 1, 6)) * 1_000
    return max(longest - longest * jitter // 2_000, min(told, LONGEST_TOLD_WAIT) * 1_000)


def _results(response: requests.Response, batch: Sequence[Waiting]) -> list[ItemResult]:
    try:
        results: list[ItemResult] = msgspec.json.decode(response.content, type=_Answer).items
    except msgspec.MsgspecError:
        raise _Later("the answer is not one of the exchange") from None
    if [result.event_id for result in results] != [event.event_id for event in batch]:
        raise _Later("the answer is about other events")
    return results


def _told(response: requests.Response) -> str:
    """The code and text of a refusal, or the beginning of whatever it was."""
    try:
        problem: Any = response.json()
    except ValueError:
        problem = None
    if isinstance(problem, Mapping):
        return f"{problem.get('code', '')}: {problem.get('detail', '')}"
    return response.text[:200]


def _retry_after(response: requests.Response, time: MarketTime) -> int:
    """In seconds, from a number of them or a date (RFC 9110, section 10.2.3)."""
    value = response.headers.get("retry-after", "")
    if value.isdecimal():
        return int(value)
    try:
        return max(0, int((parsedate_to_datetime(value) - time.now()).total_seconds()))
    except (ValueError, TypeError):
        return 0
