"""After the runs, as an auditor: every statement downloaded and verified by us and by others, one run computed anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from config.demo.bots import Bots
from config.demo.report import Recomputed, Statements
from config.demo.second_opinions import Closing, SecondOpinions, ask_others
from config.market_setup import AUDITOR, HOUSE
from ledger.export.formats import write_file
from ledger.selectors.journal import extract_journal
from settlement.bundles.write import sink_at, write_bundle
from settlement.recompute.bundle import open_files
from settlement.recompute.report import recompute
from settlement.statements.verify import verify

BUNDLE = "bundle.zip"
HLEDGER = "hledger"


@dataclass(frozen=True, slots=True)
class Collected:
    """What we say of the statements, and what others do."""

    statements: Statements
    others: SecondOpinions


def collect_statements(out: Path, *, bots: Bots, advance: Callable[[], object]) -> Collected:
    """Download all statements and the public keys, and verify the files with nothing else.

    The journal that hledger reads ends here, where the last statements close.
    """
    auditor, folder = bots.of(AUDITOR), out / "statements"
    folder.mkdir(exist_ok=True)
    jwks = auditor.get_bytes("/.well-known/jwks.json")
    (folder / "jwks.json").write_bytes(jwks)
    files: list[bytes] = []
    previous: dict[str, tuple[bytes, bytes]] = {}
    closings: dict[str, Closing] = {}
    verified = 0
    for each in sorted(auditor.list("/api/v1/statements", limit="500"), key=_order):
        file, records = (auditor.get_bytes(each["forms"][form]) for form in ("jws", "jsonl"))
        name = folder / _name(each)
        name.with_suffix(".jws.json").write_bytes(file)
        name.with_suffix(".records.jsonl").write_bytes(records)
        chained = each["sequence"] is not None
        before = previous.get(each["party"]) if chained else None
        report = verify(
            file,
            jwks,
            before and before[0],
            previous_records=before and before[1],
            records=records,
        )
        verified += report.ok
        files.append(file)
        if chained:
            previous[each["party"]] = file, records
            closings[each["party"]] = _closing(each, report.core or {})
        advance()
    with TemporaryDirectory(prefix="tokenbourse-") as beside:
        journal = Path(beside) / "closing.journal"
        write_file(extract_journal(), HLEDGER, journal)
        others = ask_others(files, jwks, journal, list(closings.values()))
    return Collected(Statements(issued=len(files), verified=verified), others)


def recompute_run(run_id: int, out: Path, *, bots: Bots) -> Recomputed:
    """Leave a run's bundle in `out`, and compute the run anew from it alone."""
    jwks = bots.of(AUDITOR).get_bytes("/.well-known/jwks.json")
    with sink_at(out / BUNDLE) as sink:
        write_bundle(run_id, sink)
    report = recompute(open_files(out / BUNDLE), jwks)
    return Recomputed(statements=report.statements, events=report.events, faults=len(report.faults))


def _order(statement: Mapping[str, Any]) -> tuple[str, int]:
    return statement["party"], statement["sequence"] or 0


def _name(statement: Mapping[str, Any]) -> str:
    sequence = statement["sequence"]
    place = statement["run_kind"] if sequence is None else f"{sequence:06d}"
    return f"{statement['party']}-{statement['currency']}-{place}"


def _closing(statement: Mapping[str, Any], core: Mapping[str, Any]) -> Closing:
    party, currency = statement["party"], statement["currency"]
    role = "fees" if party == HOUSE else "cash"
    amount = core["balances"]["closing"]["amount"] if core else "NaN"
    return Closing(f"assets:{role}:{party}:{currency}", currency, Decimal(amount))
