"""Recompute a settlement run from its bundle alone, without any database.

    python -m settlement.recompute BUNDLE [--jwks FILE] [--earlier BUNDLE]...

BUNDLE is a folder or a zip file as `manage.py export_bundle` writes it. Every input is held against its digest, every
position is settled anew from the frozen inputs and the usage events, and every statement written anew; it must be byte
for byte the one that was signed. --jwks: the exchange's public keys as you have them from elsewhere; without it those
in the bundle are taken, which shows that it fits together, not who made it. --earlier: the bundle of the run before,
to hold what it posted against what this run took it to have posted; of several, the oldest first.

Exit status: 0 all the same, 1 something is not, 2 the bundle or the keys cannot be read as such, 3 all fits together,
and the keys were not checked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from settlement.recompute.bundle import open_files
from settlement.recompute.faults import BundleFault
from settlement.recompute.report import recompute
from settlement.recompute.verdict import UNREADABLE_STATUS, plain

_MAX_KEYS_BYTES = 16 * 1024 * 1024


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m settlement.recompute", description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a folder or zip file of manage.py export_bundle")
    parser.add_argument("--jwks", type=Path, metavar="FILE", help="the exchange's public keys, from elsewhere")
    parser.add_argument(
        "--earlier", type=Path, metavar="BUNDLE", action="append", default=[], help="the run before; the oldest first"
    )
    options = parser.parse_args(arguments)
    try:
        jwks = None if options.jwks is None else _read(options.jwks)
        report = recompute(open_files(options.bundle), jwks, [open_files(each) for each in options.earlier])
    except (OSError, BundleFault) as error:
        _tell(plain(str(error)), sys.stderr)
        return UNREADABLE_STATUS
    _tell(report.text(), sys.stdout)
    return report.exit_status


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_KEYS_BYTES)


def _tell(text: str, to: TextIO) -> None:
    encoding = to.encoding or "ascii"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=to)


if __name__ == "__main__":
    sys.exit(main())
