"""How fast a run settles, posts, states and signs, beside a bare SQL aggregate over the same events, and two workers
beside one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection

from exchange.models import Contract
from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.models import RunKind, RunState, SettlementRun
from settlement.runs.create import create_run
from tests.bench.figures import Figure, compared, measured
from tests.bench.parts import Bench, BenchFailed
from tests.bench.settlement.worker_process import WorkOutcome, work_elsewhere
from tests.bench.settlement.world import ACTOR, Sizes, open_world

FLOOR = "one GROUP BY of the same events by position and minute, not written"
_BARE = (
    "SELECT contract_id, buyer_id, provider_id, meter_id, date_trunc('minute', accepted_at), count(*),"
    f" {', '.join(f'sum({bucket})' for bucket in SETTLED_BUCKETS)}, sum(millitokens)"
    " FROM settlement_usageevent WHERE contract_id = ANY(%s) GROUP BY 1, 2, 3, 4, 5"
)


@dataclass(frozen=True, slots=True)
class Split:
    """How the contracts are settled: `main` in one run by one worker, then `rounds` times `side` in a run by one worker
    and as many in a run by two."""

    main: int = 50
    side: int = 4
    rounds: int = 2
    buyers: int = 100
    providers: int = 20

    @property
    def contracts(self) -> int:
        return self.main + 2 * self.rounds * self.side


@dataclass(frozen=True, slots=True)
class Settled:
    """What a run took."""

    seconds: float
    workers: list[WorkOutcome]


def measure_runs(bench: Bench, split: Split = Split()) -> list[Figure]:
    """`settlement.obligations_per_s`, `.usage_events_per_s`, `.vs_sql_floor`, `.two_workers_vs_one` and
    `.worker_rss_mib`."""
    sizes = Sizes(split.contracts, split.buyers, split.providers)
    with bench.fresh_database() as database:
        with bench.progress("settlement: trades and usage", sizes.contracts) as advance:
            contracts = list(open_world(sizes, advance).contracts)
        with bench.progress("settlement: runs", 1 + 2 * split.rounds) as advance:
            main = contracts[: split.main]
            floor = _bare_seconds(main)
            settled = _settle(main, database.url, workers=1)
            advance()
            one: list[float] = []
            two: list[float] = []
            rest = contracts[split.main :]
            for _ in range(split.rounds):
                for workers, rates in ((1, one), (2, two)):
                    part, rest = rest[: split.side], rest[split.side :]
                    rates.append(len(part) * sizes.positions / _settle(part, database.url, workers=workers).seconds)
                    advance()
    obligations, events = len(main) * sizes.positions, len(main) * sizes.events
    (worker,) = settled.workers

    def per_second(what: str, count: int) -> Figure:
        return measured(f"settlement.{what}_per_s", "1/s", [count / settled.seconds], [count / floor], FLOOR)

    return [
        per_second("obligations", obligations),
        per_second("usage_events", events),
        compared("settlement.vs_sql_floor", [settled.seconds], [floor], FLOOR),
        compared("settlement.two_workers_vs_one", two, one, "one worker on as many contracts"),
        measured("settlement.worker_rss_mib", "MiB", [worker.peak_mib], [worker.first_mib], "after its first jobs"),
    ]


def _settle(contracts: Sequence[Contract], database_url: str, *, workers: int) -> Settled:
    """From making the run until it is published. Raises `BenchFailed` when it is not."""
    started = time.perf_counter()
    period = contracts[0].delivery_start, contracts[-1].delivery_end
    run = create_run("CNY", *period, RunKind.INITIAL, actor=ACTOR, now=datetime.now(UTC))
    with ThreadPoolExecutor(workers) as pool:
        outcomes = list(pool.map(work_elsewhere, [database_url] * workers))
    seconds = time.perf_counter() - started
    if SettlementRun.objects.get(pk=run.pk).state != RunState.PUBLISHED or run.contracts.count() != len(contracts):
        raise BenchFailed("the run was not settled to the end")
    return Settled(seconds, outcomes)


def _bare_seconds(contracts: Sequence[Contract]) -> float:
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({_BARE}) AS summed", [[contract.pk for contract in contracts]])
        cursor.fetchone()
    return time.perf_counter() - started
