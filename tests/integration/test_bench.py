"""The ledger's benchmarks at their smallest, so that they cannot rot. What they measure here means nothing."""

from __future__ import annotations

from django.db import connection

from tests.bench.ledger import auditing, cliff, throughput
from tests.bench.ledger.orm import Line, Wallet
from tests.bench.parts import Bench

ACCOUNTS = 400


def count(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        number: int = cursor.fetchone()[0]
    return number


def test_the_throughput_benchmark_posts_what_it_copies_and_its_baselines_do_the_same_work(bench: Bench) -> None:
    sizes = throughput.Sizes(accounts=ACCOUNTS, rounds=2, batch=5, batches=2, single=3, checkpoint_seconds=0)
    figures = {figure.name: figure for figure in throughput.measure_throughput(bench, sizes)}
    assert set(figures) == {
        *(f"ledger.post_5{suffix}" for suffix in ("", "_vs_copy", "_vs_packed_copy", "_vs_orm", "_with_holds")),
        *("ledger.post_1_p50_ms", "ledger.post_1_p99_ms"),
    }
    assert all(len(figure.values) == len(figure.baselines) == sizes.rounds for figure in figures.values())
    assert all(value > 0 for figure in figures.values() for value in (*figure.values, *figure.baselines))
    funding = count(
        "SELECT count(*) FROM ledger_entry entry JOIN ledger_transaction posted"
        " ON posted.id = entry.transaction_id WHERE posted.kind = 'deposit'"
    )
    assert count("SELECT count(*) FROM bench_copyfloor") == funding + sizes.rounds * 10 * throughput.LEGS
    assert count("SELECT count(*) FROM (TABLE bench_copyfloor EXCEPT TABLE ledger_entry) AS other") == 0
    assert count("SELECT count(*) FROM ledger_transaction WHERE kind = 'fill'") == 5 + sizes.rounds * (10 + 10 + 3)
    assert count("SELECT sum(held) FROM ledger_account") == sizes.rounds * 10 * throughput.HOLDS
    assert count("SELECT count(*) FROM ledger_checkpoint") == sizes.rounds * (2 + 2)
    assert Line.objects.count() == sizes.rounds * sizes.single * throughput.LEGS
    assert sum(Wallet.objects.values_list("balance", flat=True)) == ACCOUNTS * 10**12


def test_the_cliff_benchmark_measures_every_size_beside_its_copy(bench: Bench) -> None:
    figures = cliff.measure_cliff(bench, cliff.Sizes(accounts=(ACCOUNTS,), batches=((1, 2), (5, 2)), rounds=2))
    assert [figure.name for figure in figures] == ["ledger.rows_per_s.a400.b1", "ledger.rows_per_s.a400.b5"]
    assert all(min(*figure.values, *figure.baselines) > 0 for figure in figures)


def test_the_audit_benchmark_looks_at_every_entry_in_a_process_of_its_own(bench: Bench) -> None:
    sizes = auditing.Sizes(ACCOUNTS, few=40, many=80, batch=5, rounds=1, checkpoint_seconds=0)
    speed, peak = auditing.measure_audit(bench, sizes)
    assert (speed.name, peak.name) == ("ledger.audit_entries_per_s", "ledger.audit_peak_mib")
    entries = count("SELECT count(*) FROM ledger_entry")
    assert f"{entries - 40:,} of the {entries:,} entries" in peak.beside
    assert all(value > 0 for value in (*speed.values, *speed.baselines, *peak.values, *peak.baselines))
