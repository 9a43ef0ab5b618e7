"""Usage events a second over REST, beside a bare COPY of the rows that they became.

A round sends calls of new events, copies what was written once more, and sends calls of which a fifth of the events
came before, so that figures and baselines meet the machine in the same mood.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass

import msgspec
import psutil

from settlement.metering.results import ItemStatus
from tests.bench import copying
from tests.bench.figures import Figure, compared, measured
from tests.bench.metering import copy_floor
from tests.bench.metering.web import running_web, send_all
from tests.bench.metering.world import Reporter, World, body_of, draw_events, open_world
from tests.bench.parts import Bench, BenchFailed, rounds
from tests.bench.process import collector_resting, postgres_process, processor_seconds

EVENTS_A_SECOND = "events/s"
PROCESSOR_TIME = "µs/event"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Each of two clients sends `calls` calls of `events` events, and as many of which `repeated` came before."""

    calls: int = 20
    events: int = 1_000
    repeated: int = 200
    rounds: int = 9
    seconds: float = 90


def measure_ingest(bench: Bench, sizes: Sizes = Sizes()) -> list[Figure]:
    """`metering.ingest_events_per_s` and what stands beside it."""
    with bench.fresh_database() as database:
        world = open_world()
        copy_floor.make_tables()
        with running_web(database) as (port, web), bench.progress("metering: intake", sizes.rounds) as advance:
            played = _Rounds(world, sizes, port, web)
            for _ in rounds(sizes.rounds, sizes.seconds):
                played.play()
                advance()
    return played.figures()


class _Rounds:
    def __init__(self, world: World, sizes: Sizes, port: int, web: psutil.Process) -> None:
        self._world, self._sizes, self._port = world, sizes, port
        self._processes = {"web": web, "PostgreSQL": postgres_process()}
        self._draw = random.Random(1)
        self._clients: tuple[Reporter, ...] = (world.providers[0], world.buyers[0])
        self._measured: dict[str, list[float]] = defaultdict(list)
        self._send([[self._new(client, sizes.events)] for client in self._clients], repeated=0)  # caches and plans

    def play(self) -> None:
        sizes, note = self._sizes, self._measured
        before = copy_floor.last_call()
        new = [[self._new(client, sizes.events) for _ in range(sizes.calls)] for client in self._clients]
        used = {name: processor_seconds(process) for name, process in self._processes.items()}
        note["ingest"].append(self._send(new, repeated=0))
        events = len(self._clients) * sizes.calls * sizes.events
        note["elapsed"].append(1_000_000 / note["ingest"][-1])
        for name, process in self._processes.items():
            note[name].append((processor_seconds(process) - used[name]) / events * 1_000_000)
        written = copy_floor.written_after(before)
        stored = sum(len(rows) for call in written for table, rows in call if table.name == "settlement_usageevent")
        if stored != events:
            raise BenchFailed(f"{stored} events are stored")
        with collector_resting():
            note["copy"].append(stored / copying.copy_seconds(written))
            note["packed copy"].append(stored / copying.copy_seconds(written, packed_before=True))
        note["with duplicates"].append(self._send(self._partly_known(new), repeated=sizes.repeated))

    def figures(self) -> list[Figure]:
        m, sizes = self._measured, self._sizes
        copy = (
            "binary COPY of the same events, identities and calls, primary keys only, one connection, a COMMIT a call"
        )
        share = f"calls without duplicates; with them {sizes.repeated} of {sizes.events} events came before"
        elapsed = "microseconds that passed"
        return [
            measured("metering.ingest_events_per_s", EVENTS_A_SECOND, m["ingest"], m["copy"], copy),
            compared("metering.ingest_vs_copy", m["ingest"], m["copy"], copy),
            compared("metering.ingest_vs_packed_copy", m["ingest"], m["packed copy"], f"{copy}, packed before"),
            compared("metering.ingest_with_duplicates_vs_without", m["with duplicates"], m["ingest"], share),
            measured("metering.ingest_web_us", PROCESSOR_TIME, m["web"], m["elapsed"], elapsed),
            measured("metering.ingest_postgres_us", PROCESSOR_TIME, m["PostgreSQL"], m["elapsed"], elapsed),
        ]

    def _new(self, client: Reporter, count: int) -> list[bytes]:
        return draw_events(self._draw, self._world, client, count)

    def _partly_known(self, sent: list[list[list[bytes]]]) -> list[list[list[bytes]]]:
        """As many calls, in each of which some events are of any call of the same client, at any place."""
        sizes, calls = self._sizes, []
        for client, known in zip(self._clients, sent, strict=True):
            earlier = [event for call in known for event in call]
            made = []
            for _ in range(sizes.calls):
                events = self._draw.sample(earlier, sizes.repeated) + self._new(client, sizes.events - sizes.repeated)
                self._draw.shuffle(events)
                made.append(events)
            calls.append(made)
        return calls

    def _send(self, calls: list[list[list[bytes]]], *, repeated: int) -> float:
        """Events a second. Raises `BenchFailed` when not every event was taken for what it is."""
        clients = [
            (client.key, [body_of(events) for events in its]) for client, its in zip(self._clients, calls, strict=True)
        ]
        seconds, answers = send_all(self._port, clients)
        told = Counter(item["status"] for answer in answers for item in msgspec.json.decode(answer)["items"])
        expected = {
            ItemStatus.ACCEPTED: len(answers) * (self._sizes.events - repeated),
            ItemStatus.DUPLICATE: len(answers) * repeated,
        }
        if told != Counter(expected):
            raise BenchFailed(f"of the events {dict(told)}")
        return len(answers) * self._sizes.events / seconds
