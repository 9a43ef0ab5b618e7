"""Recomputing a bundle from the first byte to the last, and what is said about it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger import verify as ledger_verify
from settlement.recompute.bundle import Bundle, Files, open_bundle
from settlement.recompute.contracts import INDICATIVE, RecomputedRun, recompute_contracts
from settlement.recompute.faults import BundleFault, Check, FaultCode
from settlement.recompute.statements import check_statement, read_facts
from settlement.rules import CODE_VERSION, RULES_VERSION

CHECKPOINT, JWKS = "checkpoint", "jwks.json"
UNREADABLE_STATUS = 2


@dataclass
class Report:
    """The steps taken. `notes` are no faults: other versions, say, that came to the same all the same."""

    run: str = ""
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    contracts: int = 0
    positions: int = 0
    events: int = 0
    statements: int = 0

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def faults(self) -> list[Check]:
        return [check for check in self.checks if not check.ok]

    @property
    def exit_status(self) -> int:
        """0: all the same, 1: something is not, 2: the bundle cannot be read."""
        if any(check.code == FaultCode.UNREADABLE for check in self.checks):
            return UNREADABLE_STATUS
        return 0 if self.ok else 1

    def text(self) -> str:
        """The report for a person: what was computed, what is wrong, and the verdict last."""
        lines = [f"Run {self.run}" if self.run else "No run could be read"]
        lines.append(f"  {self.contracts} contracts, {self.positions} positions, {self.events} usage events")
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  {check.code}: {check.what}: {check.detail}" for check in self.faults]
        passed = len(self.checks) - len(self.faults)
        if self.ok:
            verdict = f"RECOMPUTED: all {self.statements} statements come out byte for byte the same"
        else:
            verdict = f"NOT THE SAME: {len(self.faults)} of {passed + len(self.faults)} checks failed"
        return "\n".join([*lines, verdict])


def recompute(files: Files, jwks: bytes | None = None) -> Report:
    """Compute a run anew from a bundle alone. `jwks`: the exchange's keys from elsewhere, instead of the bundle's."""
    report = Report()
    try:
        bundle = open_bundle(files)
        report.checks.append(Check("files"))
        report.run = f"{bundle.run.get('currency')} {bundle.run.get('key')}"
        recomputed = recompute_contracts(bundle)
        _count(report, bundle, recomputed)
        keys = bundle.read(JWKS) if jwks is None else jwks
        _check_checkpoint(report, bundle, keys)
        _check_statements(report, bundle, recomputed, keys)
    except BundleFault as fault:
        report.checks.append(Check("bundle", fault.fault, fault.detail))
    return report


def _count(report: Report, bundle: Bundle, recomputed: RecomputedRun) -> None:
    report.contracts = len(recomputed.contracts)
    report.positions = sum(contract.positions for contract in recomputed.contracts)
    report.events = sum(contract.events for contract in recomputed.contracts)
    report.checks.append(Check("inputs"))
    for name, ours in (("rules", RULES_VERSION), ("code", CODE_VERSION)):
        theirs = bundle.run.get(f"{name}_version")
        if theirs != ours:
            report.notes.append(f"the run was computed with {name} {theirs}, this recomputation with {ours}")


def _check_checkpoint(report: Report, bundle: Bundle, keys: bytes) -> None:
    if CHECKPOINT not in bundle.manifest["files"]:
        report.notes.append("the bundle has no checkpoint")
        return
    try:
        found = ledger_verify.verify(bundle.read(CHECKPOINT), ledger_verify.parse_jwks(keys))
    except ledger_verify.Fault as fault:
        report.checks.append(Check(CHECKPOINT, FaultCode.BAD_CHECKPOINT, str(fault)))
        return
    wrong = next((check.detail for check in found.checks if not check.passed), "")
    report.checks.append(Check(CHECKPOINT, "" if found.ok else FaultCode.BAD_CHECKPOINT, wrong))


def _check_statements(report: Report, bundle: Bundle, recomputed: RecomputedRun, keys: bytes) -> None:
    parties: Sequence[str] = bundle.manifest["parties"]
    told = {party for contract in recomputed.contracts for party in contract.parties}
    for party in sorted(told - set(parties)):
        detail = "the run says something of this party, and the bundle has no statement of it"
        if bundle.run.get("kind") == INDICATIVE:  # who has no account yet is told with the first run that posts
            report.notes.append(f"{party}: {detail}")
        else:
            report.checks.append(Check(party, FaultCode.STATEMENT_MISSING, detail))
    facts = read_facts(bundle, recomputed)
    for party in parties:
        if f"statements/{party}.jws.json" not in bundle.manifest["files"]:
            report.checks.append(Check(party, FaultCode.STATEMENT_MISSING, "its file is not in the bundle"))
            continue
        report.statements += 1
        try:
            report.checks.extend(check_statement(bundle, recomputed, facts, party, keys))
        except BundleFault as fault:
            report.checks.append(Check(party, fault.fault, fault.detail))
