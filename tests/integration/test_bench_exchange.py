"""The exchange's benchmarks at their smallest, so that they cannot rot. What they measure here means nothing."""

from __future__ import annotations

from itertools import product

from django.db import connection

from exchange.models import Order
from tests.bench import copying
from tests.bench.exchange import copy_floor, latency, restart, sequencer
from tests.bench.exchange.orm import Line, Offer, Purse
from tests.bench.parts import Bench

CONTRACTS, PARTIES = 3, 6


def number(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        found: int = cursor.fetchone()[0]
    return found


def test_the_sequencer_decides_what_the_naive_exchange_does_and_the_floor_takes_all_its_rows(bench: Bench) -> None:
    sizes = sequencer.Sizes(CONTRACTS, PARTIES, standing=4, commands=700, naive_standing=4, naive=120, seconds=0)
    figures = {figure.name: figure for figure in sequencer.measure_sequencer(bench, sizes)}
    assert {"sequencer.orders_per_s", "sequencer.vs_naive_orm", "sequencer.vs_copy_floor"} < set(figures)
    assert all(value > 0 for figure in figures.values() for value in (*figure.values, *figure.baselines))
    opening = 2 * CONTRACTS * sizes.standing
    accepted = number("SELECT count(*) FROM exchange_intakeresult WHERE result ->> 'status' = 'accepted'")
    assert accepted == opening + sizes.commands
    cancels = number("SELECT count(*) FROM exchange_intake WHERE kind = 'cancel_order'")
    assert 0.2 < cancels / sizes.commands < 0.4
    assert number("SELECT count(*) FROM exchange_fill") > sizes.commands / 5
    for table, prefix in product(copy_floor.TABLES, copying.PREFIXES):
        floor = f"{prefix}{table}"
        assert number(f"SELECT count(*) FROM {floor}") > 0
        written = "status, remaining_lots" if table == "exchange_order" else "*"  # rows that later batches changed
        assert written != "*" or number(f"SELECT count(*) FROM (TABLE {floor} EXCEPT TABLE {table}) AS other") == 0


def test_the_naive_exchange_comes_to_the_same_books(bench: Bench) -> None:
    sizes = sequencer.Sizes(CONTRACTS, PARTIES, standing=4, commands=200, naive_standing=4, naive=200, seconds=0)
    sequencer.measure_sequencer(bench, sizes)

    def standing(model: type[Order | Offer]) -> list[tuple[object, ...]]:
        columns = ("party_id", "side", "price_ticks", "lots", "remaining_lots", "status")
        return list(model.objects.order_by("pk").values_list(*columns))

    assert standing(Order) == standing(Offer)
    assert number("SELECT sum(amount) FROM ledger_entry WHERE ref <> ''") == sum(
        Line.objects.filter(purse__in=Purse.objects.exclude(party_id=0)).values_list("amount", flat=True)
    )


def test_latency_is_measured_idle_and_under_load(bench: Bench) -> None:
    figures = latency.measure_latency(bench, latency.Sizes(CONTRACTS, PARTIES, rate=50, probes=4, rounds=1, pause=0))
    names = ["sequencer.idle_p50_ms", "sequencer.idle_p99_ms", "sequencer.half_load_p99_ms"]
    assert [figure.name for figure in figures] == names
    assert all(figure.value > 0 for figure in figures)
    assert number("SELECT count(*) FROM exchange_intakeresult") >= 48


def test_a_restart_reads_every_resting_order(bench: Bench) -> None:
    memory, seconds = restart.measure_restart(bench, restart.Sizes(CONTRACTS, PARTIES, orders=300, rounds=1))
    assert (memory.name, seconds.name) == ("sequencer.resting_1m_mib", "sequencer.restart_1m_s")
    assert memory.value > 0
    assert seconds.value > 0
    assert number("SELECT count(*) FROM exchange_order WHERE status = 'open'") == 300
    assert number("SELECT count(*) FROM exchange_intakeresult WHERE result ->> 'code' = 'order_not_open'") == 6
