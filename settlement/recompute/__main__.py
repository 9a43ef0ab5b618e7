"""Recompute a settlement run from its bundle alone, without any database.

    python -m settlement.recompute BUNDLE [--jwks FILE]

BUNDLE is a folder or a zip file as `manage.py export_bundle` writes it. Every input is held against its digest, every
position is settled anew from the frozen inputs and the usage events, and every statement written anew; it must be byte
for byte the one that was signed. --jwks: the exchange's public keys as you have them from elsewhere; without it those
in the bundle are taken, which shows that it fits together, not who made it.

Exit status: 0 all the same, 1 something is not, 2 the bundle or the keys cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from settlement.recompute.bundle import open_files
from settlement.recompute.faults import BundleFault
from settlement.recompute.report import UNREADABLE_STATUS, recompute


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m settlement.recompute", description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a folder or zip file of manage.py export_bundle")
    parser.add_argument("--jwks", type=Path, metavar="FILE", help="the exchange's public keys, from elsewhere")
    options = parser.parse_args(arguments)
    try:
        jwks = None if options.jwks is None else options.jwks.read_bytes()
        report = recompute(open_files(options.bundle), jwks)
    except (OSError, BundleFault) as error:
        print(error, file=sys.stderr)
        return UNREADABLE_STATUS
    print(report.text())
    return report.exit_status


if __name__ == "__main__":
    sys.exit(main())
