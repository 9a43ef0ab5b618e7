"""The figures of a run: `bench.json` for machines, a table for people."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from tests.bench.figures import TIMES, Figure

FILE = "bench.json"


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures hold for. `settings` are those of PostgreSQL that decide about speed and durability."""

    cores: int
    memory_mib: int
    system: str
    python: str
    postgresql: str
    settings: dict[str, str]


def this_machine(postgresql: str, settings: dict[str, str]) -> Machine:
    """The machine that this process runs on."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_mib=memory // 2**20,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        postgresql=postgresql,
        settings=settings,
    )


def write_report(out: Path, machine: Machine, figures: Sequence[Figure], *, seconds: float, file: str = FILE) -> Path:
    """Write `bench.json`, or another file of its form, whole or not at all, and tell where it is."""
    content = {
        "machine": asdict(machine),
        "seconds": round(seconds, 1),
        "results": [figure.to_json() for figure in figures],
    }
    path, fresh = out / file, out / f"{file}.new"
    fresh.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    fresh.replace(path)
    return path


def as_table(machine: Machine, figures: Sequence[Figure]) -> Table:
    """The figures as a person would read them."""
    table = Table(
        title=f"{machine.cores} cores, Python {machine.python}, PostgreSQL {machine.postgresql}",
        caption="Value and baseline are medians of the rounds, the ratio is the median of the rounds' ratios.",
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("baseline", justify="right")
    table.add_column("ratio", justify="right")
    for figure in figures:
        ratio = "" if figure.unit == TIMES else _shown(figure.ratio)
        table.add_row(figure.name, _shown(figure.value), figure.unit, _shown(figure.baseline), ratio)
    return table


def round_lines(figures: Sequence[Figure]) -> Iterator[str]:
    """What the baselines are, and every round, first the figure's and then its baseline's."""
    for figure in figures:
        yield f"{figure.name}, beside {figure.beside}:"
        yield f"    {_all_shown(figure.values)}"
        yield f"    {_all_shown(figure.baselines)}"


def _all_shown(values: Sequence[float]) -> str:
    return "  ".join(map(_shown, values))


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
