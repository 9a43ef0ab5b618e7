"""The same settlement on each broker that is there, by real workers: the one in the database, and RabbitMQ with quorum
queues."""

from __future__ import annotations

import random
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from kombu import Connection, Queue

from config.environment import embedded_broker_url
from tests.conftest import DatabaseUrls
from tests.crash.settlement_celery import EmbeddedWire, Wire, ringing, workers
from tests.crash.settlement_day import settle_day, traded_day
from tests.crash.settlement_outcome import check_settled

RABBIT = ("127.0.0.1", 5672)
RABBIT_URL = f"amqp://guest:guest@{RABBIT[0]}:{RABBIT[1]}//"
QUEUE = "settlement"
pytestmark = pytest.mark.xdist_group("servers")


@dataclass
class CalmWire:
    """Messages arrive as the broker has them."""

    url: str

    def disturb(self, draw: random.Random) -> None:
        """Nothing is done to them."""


def embedded(urls: DatabaseUrls) -> Wire:
    wire: Wire = EmbeddedWire(embedded_broker_url(urls.app_url))
    return CalmWire(wire.url)


def rabbit(_urls: DatabaseUrls) -> Wire:
    try:
        socket.create_connection(RABBIT, timeout=2).close()
    except OSError as error:
        pytest.skip(f"settlement was not run on RabbitMQ: none answers at {RABBIT[0]}:{RABBIT[1]} ({error})")
    _forget()
    return CalmWire(RABBIT_URL)


def _forget() -> None:
    """Remove the queue with whatever messages a test that was killed left in it: workers would do those first."""
    with Connection(RABBIT_URL) as connection:
        Queue(QUEUE, channel=connection.channel()).delete()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broker", [embedded, rabbit])
def test_a_day_is_settled_by_workers_on_each_broker(
    database: DatabaseUrls, broker: Callable[[DatabaseUrls], Wire]
) -> None:
    wire = broker(database)
    seed = secrets.randbits(32)
    print("seed", seed)
    traded = traded_day()
    with workers(database, wire, random.Random(seed)) as crew:
        settle_day(traded, ringing(crew, disturb=lambda run: None))
        check_settled()
    if wire.url == RABBIT_URL:
        with Connection(RABBIT_URL) as connection:  # refused if the queue were of another type
            Queue(QUEUE, channel=connection.channel(), queue_arguments={"x-queue-type": "quorum"}).queue_declare()
        _forget()
