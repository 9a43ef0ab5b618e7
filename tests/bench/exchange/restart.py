"""What a sequencer with very many resting orders needs: memory, and time to have them again after a restart."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connections

from exchange.models import IntakeKind
from exchange.sequencer.intake import Submission, submit_all
from exchange.sequencer.results import await_results
from tests.bench.exchange.process import running_sequencer
from tests.bench.exchange.world import ACTOR, MID_TICKS, World, open_world, steps
from tests.bench.figures import Figure, measured
from tests.bench.parts import Bench, BenchFailed, Database
from tests.bench.process import MIB

PATIENCE_SECONDS = 120
DEPTH_TICKS = 400  # on each side


@dataclass(frozen=True, slots=True)
class Sizes:
    contracts: int = 100
    parties: int = 1_000
    orders: int = 1_000_000
    rounds: int = 3


def measure_restart(bench: Bench, sizes: Sizes = Sizes()) -> list[Figure]:
    """`sequencer.resting_1m_mib` and `sequencer.restart_1m_s`, each beside a sequencer without any order."""
    full, empty = [], []
    with bench.fresh_database() as database:
        with bench.progress("exchange: market", steps(sizes.contracts, sizes.parties)) as advance:
            world = open_world(sizes.contracts, sizes.parties, advance)
        with bench.progress("exchange: restart", 2 * sizes.rounds + 1) as advance:
            for _ in range(sizes.rounds):
                empty.append(_restart(database, world))
                advance()
            _rest(world, sizes.orders)
            advance()
            for _ in range(sizes.rounds):
                full.append(_restart(database, world))
                advance()
    without = f"the same without the {sizes.orders:,} orders"
    return [
        measured("sequencer.resting_1m_mib", "MiB", [m for m, _ in full], [m for m, _ in empty], without),
        measured("sequencer.restart_1m_s", "s", [s for _, s in full], [s for _, s in empty], without),
    ]


def _restart(database: Database, world: World) -> tuple[float, float]:
    """MiB and seconds of a sequencer from its start until a command of every contract is answered."""
    cancels = [
        Submission(IntakeKind.CANCEL_ORDER, contract, ACTOR, {"order_id": 0}, world.buyers[0])
        for contract in world.contracts
    ]
    seqs = submit_all(cancels, now=datetime.now(UTC))
    started = time.perf_counter()
    with running_sequencer(database) as process:
        answers = await_results(seqs, PATIENCE_SECONDS)
        seconds = time.perf_counter() - started
        if len(answers) != len(seqs):
            raise BenchFailed("the sequencer gave no answer")
        return process.memory_full_info().uss / MIB, seconds


def _rest(world: World, orders: int) -> None:
    """That many orders as they stand in the table, below and above the middle. What they hold does not matter here."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO exchange_order (id, contract_id, party_id, group_id, side, price_ticks, lots, remaining_lots,
                                        order_type, time_in_force, post_only, self_trade, priority, maker_fee_ppm,
                                        taker_fee_ppm, overage_permille, status, close_reason, placed_at)
            SELECT n, (%(contracts)s)[1 + n %% %(contract_count)s], party, party, side,
                   {MID_TICKS} + away * (1 + n / 7 %% {DEPTH_TICKS}), 20, 20, 'limit', 'gtc', 'no', 'cancel_newest', n,
                   2000, 2000, 0, 'open', '', now()
              FROM generate_series(1, %(orders)s) n
             CROSS JOIN LATERAL (
                 SELECT 'buy', -1, (%(buyers)s)[1 + n / 2 %% %(party_count)s] WHERE n %% 2 = 0
                 UNION ALL
                 SELECT 'sell', 1, (%(providers)s)[1 + n / 2 %% %(party_count)s] WHERE n %% 2 = 1
             ) AS drawn(side, away, party)
            """,
            {
                "contracts": world.contracts,
                "contract_count": len(world.contracts),
                "orders": orders,
                "buyers": world.buyers,
                "providers": world.providers,
                "party_count": len(world.buyers),
            },
        )
        cursor.execute("ANALYZE exchange_order")
