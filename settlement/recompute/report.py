"""Recomputing a bundle from the first byte to the last. Pure but for reading it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger import verify as ledger_verify
from settlement.recompute.bundle import Bundle, open_bundle
from settlement.recompute.contracts import RecomputedRun, recompute_contracts
from settlement.recompute.debts import Debts
from settlement.recompute.earlier import EarlierRun, check_earlier, unchecked
from settlement.recompute.faults import BundleFault, Check, FaultCode
from settlement.recompute.files import Files
from settlement.recompute.manifest import CHECKPOINT, JWKS
from settlement.recompute.statements import check_statement
from settlement.recompute.verdict import Report
from settlement.rules import CODE_VERSION, RULES_VERSION

_ALWAYS_GIVEN = (
    "that no usage event was left out before all were frozen, when each arrived, and whether its call was signed",
    "share schedules, providers' fees, rules of pairs, completeness, force majeure, make-up, decisions of disputes",
    "opening balances, holds, postings that are not of this run, and how much a payer had free",
)


def recompute(files: Files, jwks: bytes | None = None, earlier: Sequence[Files] = ()) -> Report:
    """Compute a run anew from a bundle alone. Never raises for what a bundle holds.

    `jwks`: the exchange's keys from elsewhere; without them those in the bundle are taken, which shows that it fits
    together. `earlier`: the bundles of runs before, in the order in which they were made.
    """
    report, before = Report(keys_checked=jwks is not None), []
    for each in earlier:
        told = Report()
        found = _guarded(told, each, jwks, [])
        if found is not None:
            before.append(found)
        report.checks += [
            Check(f"earlier run {told.run}: {check.what}", check.code, check.detail) for check in told.checks
        ]
    _guarded(report, files, jwks, before)
    return report


def _guarded(report: Report, files: Files, jwks: bytes | None, before: Sequence[EarlierRun]) -> EarlierRun | None:
    try:
        return _recompute(report, files, jwks, before)
    except BundleFault as fault:
        report.checks.append(Check("bundle", fault.fault, fault.detail))
    except Exception as error:  # values that fit their types and nothing else; a bundle never ends the program
        detail = f"it cannot be computed from: {type(error).__name__}: {error}"
        report.checks.append(Check("bundle", FaultCode.FILE_MALFORMED, detail))
    return None


def _recompute(report: Report, files: Files, jwks: bytes | None, before: Sequence[EarlierRun]) -> EarlierRun:
    bundle = open_bundle(files)
    report.checks += [Check("files"), *bundle.unused()]
    report.run = f"{bundle.run.currency} {bundle.run.key}"
    keys = bundle.read(JWKS) if jwks is None else jwks
    _check_keys(keys)
    recomputed = recompute_contracts(bundle, report.checks)
    _count(report, bundle, recomputed)
    report.checks.append(_check_digest(bundle, recomputed))
    report.checks += _check_checkpoint(report, bundle, keys)
    report.checks += check_earlier(bundle.run, recomputed, before)
    _check_statements(report, bundle, recomputed, keys)
    _tell_given(report, recomputed, before)
    return EarlierRun(bundle.run, recomputed)


def _check_keys(keys: bytes) -> None:
    try:
        ledger_verify.parse_jwks(keys)
    except ledger_verify.Fault as fault:
        raise BundleFault(FaultCode.BAD_KEYS, str(fault)) from fault


def _count(report: Report, bundle: Bundle, recomputed: RecomputedRun) -> None:
    report.contracts = len(recomputed.contracts)
    report.positions = sum(len(contract.outcomes) for contract in recomputed.contracts)
    report.events = sum(contract.events for contract in recomputed.contracts)
    report.proven_events = sum(contract.proven for contract in recomputed.contracts)
    for name, theirs, ours in (
        ("rules", bundle.run.rules_version, RULES_VERSION),
        ("code", bundle.run.code_version, CODE_VERSION),
    ):
        if theirs != ours:
            report.notes.append(f"the run was computed with {name} {theirs}, this recomputation with {ours}")


def _check_digest(bundle: Bundle, recomputed: RecomputedRun) -> Check:
    if bundle.run.input_digest == recomputed.input_digest.hex():
        return Check("inputs")
    return Check("inputs", FaultCode.WRONG_INPUTS, "they do not come to the digest that the manifest has of them")


def _check_checkpoint(report: Report, bundle: Bundle, keys: bytes) -> Iterator[Check]:
    if CHECKPOINT not in bundle:
        detail = "there is none"
        if bundle.run.posts:
            yield Check(CHECKPOINT, FaultCode.BAD_CHECKPOINT, detail)
        else:  # nothing of an indicative run is in the log
            report.notes.append(f"{CHECKPOINT}: {detail}")
        return
    try:
        found = ledger_verify.verify(bundle.read(CHECKPOINT), ledger_verify.parse_jwks(keys))
    except ledger_verify.Fault as fault:
        yield Check(CHECKPOINT, FaultCode.BAD_CHECKPOINT, str(fault))
        return
    wrong = next((check.detail for check in found.checks if not check.passed), "")
    yield Check(CHECKPOINT, "" if found.ok else FaultCode.BAD_CHECKPOINT, wrong)


def _check_statements(report: Report, bundle: Bundle, recomputed: RecomputedRun, keys: bytes) -> None:
    parties = bundle.manifest.parties
    told = {party for contract in recomputed.contracts for party in contract.parties}
    for party in sorted(told - set(parties)):
        detail = "the run says something of this party, and the bundle has no statement of it"
        if bundle.run.posts:
            report.checks.append(Check(party, FaultCode.STATEMENT_MISSING, detail))
        else:  # who has no account yet is told with the first run that posts
            report.notes.append(f"{party}: {detail}")
    debts = Debts(recomputed.moves, bundle.run.key)
    for party in parties:
        if f"statements/{party}.jws.json" not in bundle:
            report.checks.append(Check(party, FaultCode.STATEMENT_MISSING, "its file is not in the bundle"))
            continue
        report.statements += 1
        try:
            report.checks.extend(check_statement(bundle, recomputed, debts, party, keys))
        except BundleFault as fault:
            report.checks.append(Check(party, fault.fault, fault.detail))
    report.checks.extend(debts.check())


def _tell_given(report: Report, recomputed: RecomputedRun, before: Sequence[EarlierRun]) -> None:
    """What nothing in the bundle proves."""
    figures = unchecked(recomputed, before)
    if figures:
        report.given.append(f"the earlier figures of {figures} positions (--earlier BUNDLE checks them)")
    if report.proven_events < report.events:
        count = report.events - report.proven_events
        report.given.append(f"what {count} usage events say, whose meters' words are not in the bundle")
    report.given += _ALWAYS_GIVEN
