"""`make demo`: one whole trading day on a usage trace.

    python -m config.demo [--trace FILE|none] [--out DIR] [--seed N] [--scale PERCENT]

Leaves `report.json`, `statements/`, the journal as `journal.csv`, `journal.hledger` and `journal.beancount`, a signed
`checkpoint` of the ledger with a `proof.json` under it, the final run's `bundle.zip` to compute it anew from, the files
for the bank (`payments-*.xml`) and `processes.log` in DIR. What openssl, jwcrypto and hledger say of it is in the
report; one that is not installed is named, and nothing is said for it. Exit status: 0 after a good day, 1
when something failed or a figure does not add up, 2 for a trace that cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import requests
from rich.console import Console

from config.catalogue import CURRENCY
from config.demo.display import Display
from config.demo.failure import DemoFailed
from config.demo.forecast import by_window
from config.demo.generated import generate_trace
from config.demo.report import Report, as_table
from config.demo.session import day_before
from config.demo.shortfalls import faults
from config.demo.stage import open_stage
from config.demo.stopwatch import Stopwatch
from config.demo.trace import BrokenTraceLine, Trace, UnusableTrace, read_trace
from config.environment import InvalidEnvironment
from config.postgres_host import PostgresFailed
from config.rest_client import RestRefused
from config.run import RunFailed, signals_end_it
from ledger.errors import DomainError

INTERRUPTED = 130
DEFAULT_OUT = Path("out/demo")
FILES = (
    "journal.csv", "journal.hledger", "journal.beancount", "checkpoint", "proof.json", "keys.json", "bundle.zip",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    console = Console()
    with signals_end_it(INTERRUPTED):
        try:
            trace = _trace(options.trace, options.seed, options.scale)
            report = run_demo(trace, options.seed, options.out, console)
        except (BrokenTraceLine, UnusableTrace) as error:
            return _fail(f"{error.code}: {error.message}", 2)
        except DomainError as error:
            return _fail(f"{error.code}: {error.message}", 1)
        except (DemoFailed, RestRefused, RunFailed, PostgresFailed, InvalidEnvironment) as error:
            return _fail(str(error), 1)
        except requests.RequestException as error:
            return _fail(f"the web process does not answer as it should: {error}", 1)
    console.print(as_table(report, CURRENCY))
    console.print(f"{options.out}: {', '.join(('report.json', 'statements/', *FILES))}")
    for tool in report.second_opinions.absent:
        print(f"make demo: {tool} is not installed, so what it would say is unknown", file=sys.stderr)
    for fault in faults(report):
        _fail(fault, 1)
    return 1 if faults(report) else 0


def run_demo(trace: Trace, seed: int, out: Path, console: Console) -> Report:
    """Run the day on a stage of its own and write its report. Everything but the files in `out` is gone afterwards."""
    stopwatch = Stopwatch()
    session = day_before(min(by_window(trace.requests)))
    _clear(out)
    with ExitStack() as stack:
        display = stack.enter_context(Display(console))
        # Until the stage is set this process has no settings, so what needs them is imported afterwards.
        with display.part("Starting processes", 1) as advance:
            stage = stack.enter_context(open_stage(session.listing, out))
            advance()
        from config.demo.day import run_day

        report = run_day(trace, seed, stage, out, stopwatch=stopwatch, display=display)
    (out / "report.json").write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
    return report


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m config.demo", description="One whole trading day on a trace.")
    parser.add_argument("--trace", default="none", help="an Azure .csv or Mooncake .jsonl.gz trace; none: generate one")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help="where to put what it leaves")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is left to chance (1)")
    parser.add_argument(
        "--scale", type=_percent, default=100, metavar="PERCENT", help="length of a generated trace, 1 to 100 (100)"
    )
    return parser.parse_args(arguments)


def _percent(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 100):
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 100")
    return int(text)


def _trace(name: str, seed: int, scale_percent: int) -> Trace:
    return generate_trace(seed, scale_percent=scale_percent) if name == "none" else read_trace(Path(name))


def _clear(out: Path) -> None:
    """Make the folder, and take away what an earlier demo left there."""
    try:
        (out / "statements").mkdir(parents=True, exist_ok=True)
        made = [*out.glob("statements/*.json"), *out.glob("statements/*.jsonl"), *out.glob("payments-*.xml")]
        for old in (*made, out / "report.json", *(out / name for name in FILES)):
            old.unlink(missing_ok=True)
    except OSError as error:
        raise DemoFailed(f"{out} cannot be written: {error.strerror}") from error


def _fail(message: str, status: int) -> int:
    print(f"make demo: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
