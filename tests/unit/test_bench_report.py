"""The statistics and the report of `make bench`."""

from __future__ import annotations

import json
import random
import statistics
from pathlib import Path

import pytest
from rich.console import Console

from tests.bench.figures import Figure, compared, measured, percentile
from tests.bench.ledger.cliff import FAR, NEAR, fall_figure
from tests.bench.parts import PARTS, chosen, rounds
from tests.bench.report import Machine, as_table, round_lines, write_report

MACHINE = Machine(2, 8_192, "Linux", "3.11.7", "18.4", {"fsync": "on"})
POSTED = measured("ledger.post", "transactions/s", [90.0, 100.0, 300.0], [300.0, 200.0, 400.0], "a COPY")
COMPARED = compared("ledger.post_vs_copy", [90.0, 100.0, 300.0], [300.0, 200.0, 400.0], "a COPY")


def test_a_figure_is_the_median_of_its_rounds_and_its_ratio_that_of_their_ratios() -> None:
    assert (POSTED.value, POSTED.baseline, POSTED.ratio) == (100, 300, 0.5)
    assert POSTED.values == (90, 100, 300)
    assert POSTED.baselines == (300, 200, 400)


def test_a_comparison_has_the_ratio_as_its_value() -> None:
    assert (COMPARED.value, COMPARED.ratio, COMPARED.baseline) == (0.5, 0.5, 300)
    assert COMPARED.values == (0.3, 0.5, 0.75)


@pytest.mark.parametrize("baselines", [[1.0], [1.0, 2.0, 3.0]])
def test_a_round_without_its_baseline_is_refused(baselines: list[float]) -> None:
    with pytest.raises(ValueError, match="argument 2"):
        measured("x", "s", [1.0, 2.0], baselines, "y")


def test_nothing_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        compared("x", [], [], "y")


def test_a_percentile_is_the_sample_of_the_nearest_rank() -> None:
    samples = [float(n) for n in range(1, 101)]
    random.Random(1).shuffle(samples)
    assert [percentile(samples, percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7.0], 99) == 7
    assert percentile(samples[:99], 50) == statistics.median(samples[:99])
    for percent in (1, 37, 99):  # what the nearest rank promises
        found = percentile(samples, percent)
        assert sum(sample <= found for sample in samples) >= percent
        assert sum(sample < found for sample in samples) < percent


@pytest.mark.parametrize(("samples", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_a_percentile_of_nothing_is_refused(samples: list[float], percent: int) -> None:
    with pytest.raises(ValueError, match="a percentile needs"):
        percentile(samples, percent)


def test_rounds_end_with_their_number_or_their_time_and_there_is_at_least_one() -> None:
    now = [0.0]

    def play(most: int, seconds: float, each: float) -> int:
        now[0] = 100.0
        done = 0
        for _ in rounds(most, seconds, lambda: now[0]):
            now[0] += each
            done += 1
        return done

    assert play(3, 60, each=1) == 3
    assert play(9, 60, each=10) == 6
    assert play(9, 60, each=11) == 5
    assert play(9, 60, each=61) == 1


def test_the_report_names_the_machine_and_every_result(tmp_path: Path) -> None:
    path = write_report(tmp_path, MACHINE, [POSTED, COMPARED], seconds=1.26)
    assert [found.name for found in tmp_path.iterdir()] == ["bench.json"]
    content = json.loads(path.read_text())
    assert content["machine"] == {
        "cores": 2,
        "memory_mib": 8_192,
        "system": "Linux",
        "python": "3.11.7",
        "postgresql": "18.4",
        "settings": {"fsync": "on"},
    }
    assert content["seconds"] == 1.3
    assert content["results"][0] == {
        "name": "ledger.post",
        "value": 100,
        "unit": "transactions/s",
        "baseline": 300,
        "ratio": 0.5,
        "beside": "a COPY",
        "values": [90, 100, 300],
        "baselines": [300, 200, 400],
    }
    assert {"name", "value", "unit", "baseline", "ratio"} <= content["results"][1].keys()


def test_an_earlier_report_stays_whole_when_a_new_one_cannot_be_written(tmp_path: Path) -> None:
    path = write_report(tmp_path, MACHINE, [POSTED], seconds=1)
    before = path.read_text()
    endless = Figure("x", float("inf"), "s", 1, 1, (), (), "")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report(tmp_path, MACHINE, [endless], seconds=1)
    assert path.read_text() == before


def test_the_table_fits_a_terminal_and_the_lines_show_every_round() -> None:
    longest = measured("ledger.rows_per_s.a1000000.b5000", "transactions/s", [1e6], [2e6], "a COPY")
    console = Console(width=80)
    with console.capture() as printed:
        console.print(as_table(MACHINE, [POSTED, COMPARED, longest]))
    rows = [line.split() for line in printed.get().splitlines() if "ledger." in line]
    assert rows == [
        ["ledger.post", "100", "transactions/s", "300", "0.5"],
        ["ledger.post_vs_copy", "0.5", "times", "300"],
        [longest.name, "1,000,000", "transactions/s", "2,000,000", "0.5"],
    ]
    assert list(round_lines([POSTED])) == ["ledger.post, beside a COPY:", "    90  100  300", "    300  200  400"]


def test_the_cliff_is_the_worst_fall_of_all_batch_sizes() -> None:
    posted = {(NEAR, 1): [10.0, 10.0], (FAR, 1): [10.0, 5.0], (NEAR, 500): [90.0, 60.0], (FAR, 500): [30.0, 30.0]}
    copied = {key: [100.0, 50.0] for key in posted}
    figure = fall_figure(posted, copied)
    assert (figure.value, figure.baseline, figure.values) == (2.5, 1, (3, 2))
    assert "500" in figure.beside


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_benchmarks_of_its_own_name(part: str) -> None:
    names = [benchmark.name for benchmark in chosen(part)]
    assert names
    assert all(name.startswith(f"{part}.") for name in names)
    assert {benchmark.name for benchmark in chosen(None)} >= set(names)
