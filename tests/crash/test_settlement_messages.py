"""Messages lost, doubled and out of order, workers and brokers killed: statements stay what they are.

With real workers, on the broker in the database and on a RabbitMQ node of the test's own.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from amqp.exceptions import AMQPError
from django.db import connections
from kombu import Connection, Queue
from psycopg.conninfo import conninfo_to_dict

from config.environment import embedded_broker_url
from settlement.models import JobState, SettlementJob, SettlementRun
from tests.conftest import Databases, DatabaseUrls
from tests.crash import rabbitmq
from tests.crash.rabbitmq import Node, own_node
from tests.crash.sequencers import LONGER
from tests.crash.settlement_celery import EmbeddedWire, Wire, Workers, ringing, workers
from tests.crash.settlement_day import settle_day, traded_day, work_off
from tests.crash.settlement_outcome import check_same, check_settled, read_outcome

SEEDS = LONGER
KILLS = 3  # of workers, in each of both runs
BROKER_KILLS = 2
QUEUE = "settlement"
pytestmark = pytest.mark.xdist_group("servers")


class RabbitWire:
    """What RabbitMQ lets one do to messages: lose all that wait. Doubled and out of order they come by themselves."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.url = node.url

    def disturb(self, draw: random.Random) -> None:
        if draw.random() < 0.02:
            gone = (AMQPError, OSError)  # the queue, before a worker has made it
            with suppress(*gone), Connection(self.url, connect_timeout=1) as wire:
                Queue(QUEUE, channel=wire.channel()).purge()


@contextmanager
def embedded(urls: DatabaseUrls, _home: Path) -> Iterator[Wire]:
    yield EmbeddedWire(embedded_broker_url(urls.app_url))


@contextmanager
def rabbit(_urls: DatabaseUrls, home: Path) -> Iterator[Wire]:
    with own_node(home) as node:
        yield RabbitWire(node)


RABBIT = pytest.param(
    rabbit, id="rabbitmq", marks=pytest.mark.skipif(bool(rabbitmq.why_not()), reason=rabbitmq.why_not())
)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("broker", [pytest.param(embedded, id="embedded"), RABBIT])
def test_whatever_happens_on_the_wire_statements_stay_the_same(
    database: DatabaseUrls, databases: Databases, tmp_path: Path, broker: type
) -> None:
    day = traded_day()
    connections.close_all()
    source = str(conninfo_to_dict(database.owner_url)["dbname"])
    with databases.connected(databases.make(source)):
        settle_day(day, work_off)
        undisturbed = read_outcome()
    for _ in range(SEEDS):
        seed = secrets.randbits(32)
        print("seed", seed)
        with (
            databases.connected(databases.make(source)) as urls,
            broker(urls, tmp_path) as wire,
            workers(urls, wire, random.Random(seed)) as crew,
        ):
            harm = Harm(crew)
            settle_day(day, ringing(crew, disturb=harm))
            print("workers killed in the middle of a job:", crew.kills, "brokers:", harm.brokers_killed)
            check_settled()
            check_same(read_outcome(), undisturbed)
            crew.end()


class Harm:
    """Kills a worker, or the broker, while a job is being done."""

    def __init__(self, crew: Workers) -> None:
        self.crew = crew
        self.left: dict[int, int] = {}
        self.brokers_killed = 0

    def __call__(self, run: SettlementRun) -> None:
        draw, crew = self.crew.draw, self.crew
        if not self.left.setdefault(run.id, KILLS) or draw.random() > 0.3:
            return
        if not SettlementJob.objects.filter(state=JobState.RUNNING).exists():
            return
        self.left[run.id] -= 1
        crew.kill(draw.choice(crew.running))
        crew.start()
        if isinstance(crew.wire, RabbitWire) and self.brokers_killed < BROKER_KILLS:
            crew.wire.node.kill()
            self.brokers_killed += 1
            crew.wire.node.start()
