"""The day itself: window after window passes, every meter reports over REST, and both sides' figures are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.catalogue import meter_code
from config.demo.bots import Bots, side_by_side
from config.demo.chance import stream
from config.demo.clockwork import Clockwork
from config.demo.failure import DemoFailed
from config.demo.report import UsageEvents
from config.demo.usage import Arrival, ArrivalPlan, Event
from config.market_setup import ACTOR
from exchange.windows import Window
from settlement.commands.register_meter_key import RegisterMeterKey, register_meter_key
from settlement.metering.reconcile_queue import due_contracts
from settlement.metering.signatures import sign, thumbprint
from settlement.models import Meter, PendingRollup

BATCH_EVENTS = 1_000
LAST_ARRIVAL_AFTER = timedelta(minutes=10)
SIGNING_PARTY = "dynamo"  # its meter signs what it sends
PATH, CONTENT_TYPE = "/api/v1/usage-events", "application/cloudevents-batch+json"
ROLL_UP_TASK, RECONCILE_TASK = "settlement.roll_up", "settlement.reconcile"


class EventsRefused(DemoFailed):
    """The exchange did not take an event as the demo's meters sent it."""


class _MeterSignature:
    """A meter's key, known to the exchange, and what its calls carry."""

    def __init__(self, *, seed: int, now: datetime) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(stream(seed, "meter key").randbytes(32))
        public_key = self._key.public_key().public_bytes_raw()
        meter = Meter.objects.get(code=meter_code(SIGNING_PARTY))
        register_meter_key(RegisterMeterKey(meter.pk, public_key), actor=ACTOR, now=now)
        self._key_id = thumbprint(public_key)

    def headers(self, party: str, body: bytes, now: datetime) -> dict[str, str]:
        """Of a call of this party; none unless it is the one that signs."""
        if party != SIGNING_PARTY:
            return {}
        created = int(now.timestamp())
        return sign(self._key, key_id=self._key_id, path=PATH, content_type=CONTENT_TYPE, body=body, created=created)


def report_usage(
    plan: ArrivalPlan,
    windows: Sequence[Window],
    *,
    bots: Bots,
    clockwork: Clockwork,
    seed: int,
    advance: Callable[[int], object],
) -> UsageEvents:
    """Send every arrival at its time; calls `advance` with the number of events sent. Raises `EventsRefused`.

    What arrived is compared before the next window ends, as it would be within seconds: a provider whose figures lean
    one way loses its tolerance while the day goes on.
    """
    signature = _MeterSignature(seed=seed, now=windows[0].start)
    answered: Counter[str] = Counter()
    moments: list[datetime] = [window.end for window in windows]
    moments.append(moments[-1] + LAST_ARRIVAL_AFTER)
    for moment, arrival in zip(moments, plan.arrivals, strict=True):
        clockwork.go_to(moment)
        clockwork.ring()  # deliveries start and end; nobody has to wait for that

        def send(batch: tuple[str, list[Event]], now: datetime = moment) -> Counter[str]:
            party, events = batch
            body = msgspec.json.encode(events)
            headers = {"Content-Type": CONTENT_TYPE} | signature.headers(party, body, now)
            items = bots.of(party).post_bytes(PATH, body, headers)["items"]
            advance(len(events))
            return Counter(item["code"] for item in items)

        for counted in side_by_side(send, _batches(arrival)):
            answered += counted
        clockwork.ring_until(_all_summed, "all usage is summed by minute", task=ROLL_UP_TASK)
        clockwork.ring_until(_all_compared(moment), "both sides' figures are compared", task=RECONCILE_TASK)
    accepted, duplicates = answered.pop("accepted", 0), answered.pop("duplicate", 0)
    if answered:
        raise EventsRefused(", ".join(f"{count} events: {code}" for code, count in sorted(answered.items())))
    return UsageEvents(plan.count, accepted, duplicates)


def _batches(arrival: Arrival) -> Iterator[tuple[str, list[Event]]]:
    for party, events in arrival.events.items():
        for start in range(0, len(events), BATCH_EVENTS):
            yield party, events[start : start + BATCH_EVENTS]


def _all_summed() -> bool:
    return not PendingRollup.objects.exists()


def _all_compared(now: datetime) -> Callable[[], bool]:
    return lambda: not due_contracts(now=now, limit=1)
