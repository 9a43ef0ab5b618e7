"""Writing a published run's bundle: all that an auditor needs to compute the run anew, alone."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ledger.errors import NotFound
from ledger.keys.ring import public_jwks
from ledger.log.checkpoints import latest_checkpoint
from settlement.bundles.accounts import account_balances, balances_file, entry_lines
from settlement.bundles.events import bundled_meters, contract_events
from settlement.minor_units import digits_of
from settlement.models import (
    ClosingBalance,
    FrozenInput,
    RunContract,
    RunKind,
    RunState,
    SettlementRun,
    StatedCore,
)
from settlement.recompute.event_lines import BundledEvent, event_line
from settlement.recompute.manifest import CHECKPOINT, JWKS, MANIFEST, SCHEMA, events_file, input_file, proof_file
from settlement.recompute.packed import pack
from settlement.runs.earlier import last_posted_run
from settlement.runs.errors import FrozenInputChanged, RunNotPublished
from settlement.runs.frozen import frozen_digest, read_frozen
from settlement.statements.document import format_time
from settlement.statements.jws import records_file, statement_file
from settlement.statements.proofs import statement_proof

ZIP = ".zip"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file knows: the same run gives the same file


class Sink(Protocol):
    """Takes files by their names."""

    def write(self, name: str, content: bytes) -> None: ...


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, name: str, content: bytes) -> None:
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


class _Zip:
    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def write(self, name: str, content: bytes) -> None:
        self._file.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)


class _Digesting:
    """Passes files on and keeps their digests for the manifest."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.digests: dict[str, str] = {}

    def write(self, name: str, content: bytes) -> None:
        self.digests[name] = hashlib.sha256(content).hexdigest()
        self._sink.write(name, content)


@contextmanager
def sink_at(path: Path) -> Iterator[Sink]:
    """A new folder, or a new zip file if the path ends so. Raises `FileExistsError`."""
    if path.suffix == ZIP:
        with zipfile.ZipFile(path, "x") as file:
            yield _Zip(file)
    else:
        path.mkdir(parents=True)
        yield _Folder(path)


def write_bundle(run_id: int, sink: Sink) -> int:
    """Write the bundle of a run; how many files it has. Raises `NotFound`, `RunNotPublished`, `FrozenInputChanged`."""
    run = SettlementRun.objects.select_related("currency", "product").filter(id=run_id).first()
    if run is None:
        raise NotFound(f"There is no settlement run {run_id}.", run=str(run_id))
    if run.state != RunState.PUBLISHED:
        raise RunNotPublished(f"Run {run_id} is {run.state}.", run=str(run_id), state=run.state)
    files = _Digesting(sink)
    meters: set[int] = set()
    contracts = _write_contracts(run, files, meters)
    parties = _write_parties(run, files)
    files.write(JWKS, _json(public_jwks()))
    checkpoint = latest_checkpoint()
    if checkpoint is not None:
        files.write(CHECKPOINT, checkpoint.note.encode())
    manifest = {
        "schema": SCHEMA,
        "run": _run(run, parties),
        "contracts": contracts,
        "parties": list(parties),
        "meters": msgspec.to_builtins(bundled_meters(meters)),
        "files": files.digests,
    }
    sink.write(MANIFEST, _json(manifest))
    return len(files.digests) + 1


def _write_contracts(run: SettlementRun, files: Sink, meters: set[int]) -> list[str]:
    """The contracts' symbols in the run's order; adds the numbers of the meters that reported them to `meters`."""
    symbols = []
    frozen = {row.contract_id: row for row in FrozenInput.objects.filter(run=run)}
    places = RunContract.objects.filter(run=run).order_by("place").values_list("contract_id", flat=True)
    for place, contract_id in enumerate(places, start=1):
        if contract_id not in frozen:
            raise NotFound("The run was made by a release that kept no frozen inputs.", run=str(run.pk))
        content = bytes(frozen[contract_id].content)
        if frozen_digest(content) != bytes(frozen[contract_id].digest):
            raise FrozenInputChanged(f"What run {run.pk} froze of contract {contract_id} has another digest.")
        contract = read_frozen(content)
        found = contract_events(contract_id, contract.symbol, contract.delivery_start, through=contract.usage_through)
        files.write(input_file(place), content)
        files.write(events_file(place), pack(map(event_line, _noting(found, meters))))
        symbols.append(contract.symbol)
    return symbols


def _noting(events: Iterator[BundledEvent], meters: set[int]) -> Iterator[BundledEvent]:
    for event in events:
        meters.add(event.meter)
        yield event


def _write_parties(run: SettlementRun, files: Sink) -> dict[str, StatedCore]:
    """The stated cores by the codes of their parties, in order."""
    cores = StatedCore.objects.filter(run=run).select_related("party", "statement")
    stated = {core.party.code: core for core in sorted(cores, key=lambda core: core.party.code)}
    closings = {closing.party_id: closing for closing in ClosingBalance.objects.filter(run=run)}
    for code, core in stated.items():
        closing = closings[core.party_id]
        balances = account_balances(core, closing)
        files.write(f"accounts/{code}.json", balances_file(balances))
        files.write(f"accounts/{code}.jsonl.gz", pack(entry_lines(closing, balances.opening_seq)))
        files.write(f"statements/{code}.jws.json", statement_file(core.statement))
        files.write(f"statements/{code}.records.jsonl", b"".join(records_file(core.statement)))
        if core.transaction_id is not None:  # what holds even when the key that signed it was revoked since
            files.write(proof_file(code), _json(statement_proof(core.statement)))
    return stated


def _run(run: SettlementRun, stated: dict[str, StatedCore]) -> dict[str, Any]:
    """What the run's inputs do not say of it. What all statements say alike is taken from the first."""
    core: dict[str, Any] = json.loads(bytes(next(iter(stated.values())).core)) if stated else {}
    notice = core.get("notice", {})
    value = {
        "key": run.key,
        "kind": run.kind,
        "sequence": run.sequence,
        "currency": run.currency.code,
        "minor_unit": digits_of(run.currency.code),
        "product": None if run.product is None else run.product.code,
        "period": {"start": format_time(run.period_start), "end": format_time(run.period_end)},
        "usage_through": run.usage_through,
        "input_digest": bytes(run.input_digest or b"").hex(),
        "rules_version": run.rules_version,
        "code_version": run.code_version,
        "value_date": None if run.value_date is None else run.value_date.isoformat(),
        "dispute_until": None if run.dispute_until is None else format_time(run.dispute_until),
        "previous_run": _previous_run(run),
        "contact": notice.get("contact"),
        "key_set": notice.get("key_set"),
    }
    return {name: member for name, member in value.items() if member is not None}


def _previous_run(run: SettlementRun) -> str | None:
    """The key of the last run before this one that posted any of its contracts."""
    if run.kind in (RunKind.INDICATIVE, RunKind.INITIAL):
        return None
    contracts = RunContract.objects.filter(run=run).values_list("contract_id", flat=True)
    earlier = [last_posted_run(contract_id, before=run.pk) for contract_id in contracts]
    known = [run_id for run_id in earlier if run_id is not None]
    return SettlementRun.objects.select_related("product").get(id=max(known)).key if known else None


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True).encode() + b"\n"
