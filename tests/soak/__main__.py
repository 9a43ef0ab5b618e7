"""`make soak`: what takes too long for a test run. Sequencers killed at random for minutes; ten million commands; usage
events up to a hundred million.

    python -m tests.soak [--kill-minutes N] [--commands N] [--usage-events N] [--at-most MINUTES] [--out DIR]

Leaves `soak.json` in DIR, in the form of `bench.json`. Exit status: 0 when everything held, 1 when something failed.
Ten million commands need some 20 GB of disk, usage at most half of what is free; all of it is free again afterwards.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from rich.console import Console

from config.demo.display import Display
from config.environment import InvalidEnvironment
from config.postgres_host import PostgresFailed
from config.run import RunFailed, signals_end_it
from tests.bench.figures import Figure
from tests.bench.parts import Bench, BenchFailed
from tests.bench.report import Machine, as_table, round_lines, write_report
from tests.bench.stage import open_stage

INTERRUPTED = 130
DEFAULT_OUT = Path("out/soak")
FILE, LOG = "soak.json", "sequencers.log"
PIECES = 10


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="What takes too long for a test run.")
    parser.add_argument("--kill-minutes", type=float, default=10, metavar="N", help="of random kills (10; 0: none)")
    parser.add_argument("--commands", type=int, default=10_000_000, metavar="N", help="to decide (10 million; 0: none)")
    parser.add_argument(
        "--usage-events", type=int, default=100_000_000, metavar="N", help="stored (100 million; 0: none)"
    )
    parser.add_argument("--at-most", type=float, default=90, metavar="MINUTES", help="for commands, and for usage (90)")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help=f"for {FILE} ({DEFAULT_OUT})")
    options = parser.parse_args(arguments)
    console, started = Console(), time.monotonic()
    with signals_end_it(INTERRUPTED):
        try:
            options.out.mkdir(parents=True, exist_ok=True)
            machine, figures = soak(options, console)
            seconds = time.monotonic() - started
            written = write_report(options.out, machine, figures, seconds=seconds, file=FILE)
        except (BenchFailed, RunFailed, PostgresFailed, InvalidEnvironment, OSError) as error:
            print(f"make soak: {error}", file=sys.stderr)
            return 1
    for line in round_lines(figures):
        console.print(line, highlight=False, soft_wrap=True)
    console.print()
    console.print(as_table(machine, figures))
    console.print(str(written))
    return 0


def soak(options: argparse.Namespace, console: Console) -> tuple[Machine, list[Figure]]:
    """Everything that was asked for, on a stage of its own, of which nothing remains."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        display = stack.enter_context(Display(console))
        with display.part("Starting PostgreSQL", 1) as advance:
            stage = stack.enter_context(open_stage())
            advance()
        bench = Bench(stage.fresh_database, display.part)
        # These import the product, which can be imported since the stage stands.
        killing, growth, usage = (import_module(f"tests.soak.{name}") for name in ("killing", "growth", "usage"))
        if options.kill_minutes > 0:
            figures += killing.soak_kills(bench, 60 * options.kill_minutes, options.out / LOG)
        if options.commands > 0:
            sizes = growth.Sizes(piece=max(1, options.commands // PIECES), pieces=PIECES, seconds=60 * options.at_most)
            figures += growth.measure_growth(bench, sizes)
        if options.usage_events > 0:
            wanted = usage.Sizes(events=options.usage_events, seconds=60 * options.at_most)
            figures += usage.measure_usage_growth(bench, wanted)
    return stage.machine, figures


if __name__ == "__main__":
    sys.exit(main())
