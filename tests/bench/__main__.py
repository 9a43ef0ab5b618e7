"""`make bench`: all benchmarks, or those of one part, each beside its baseline in the same run.

    python -m tests.bench [--only PART] [--out DIR]

Leaves `bench.json` in DIR. Exit status: 0 when everything was measured, 1 when something failed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from config.demo.display import Display
from config.environment import InvalidEnvironment
from config.postgres_host import PostgresFailed
from config.run import RunFailed, signals_end_it
from tests.bench.figures import Figure
from tests.bench.parts import PARTS, Bench, BenchFailed, chosen
from tests.bench.report import Machine, as_table, round_lines, write_report
from tests.bench.stage import open_stage

INTERRUPTED = 130
DEFAULT_OUT = Path("out/bench")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="All benchmarks beside their baselines.")
    parser.add_argument("--only", choices=tuple(PARTS), help="one part")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help=f"for bench.json ({DEFAULT_OUT})")
    options = parser.parse_args(arguments)
    console, started = Console(), time.monotonic()
    with signals_end_it(INTERRUPTED):
        try:
            options.out.mkdir(parents=True, exist_ok=True)
            machine, figures = measure(options.only, console)
            written = write_report(options.out, machine, figures, seconds=time.monotonic() - started)
        except (BenchFailed, RunFailed, PostgresFailed, InvalidEnvironment, OSError) as error:
            print(f"make bench: {error}", file=sys.stderr)
            return 1
    for line in round_lines(figures):
        console.print(line, highlight=False, soft_wrap=True)
    console.print()
    console.print(as_table(machine, figures))
    console.print(str(written))
    return 0


def measure(only: str | None, console: Console) -> tuple[Machine, list[Figure]]:
    """Run the benchmarks on a stage of their own, of which nothing remains."""
    figures = []
    with ExitStack() as stack:
        display = stack.enter_context(Display(console))
        with display.part("Starting PostgreSQL", 1) as advance:
            stage = stack.enter_context(open_stage())
            advance()
        bench = Bench(stage.fresh_database, display.part)
        for benchmark in chosen(only):
            figures += benchmark.run(bench)
    return stage.machine, figures


if __name__ == "__main__":
    sys.exit(main())
