"""What should be equal in a day's report and is not. Pure."""

from __future__ import annotations

from dataclasses import asdict

from config.demo.report import Fault, Metering, Report


def faults(report: Report) -> list[str]:
    """What should be equal and is not. Empty after a good day."""
    tokens, statements = report.contract_tokens, report.statements
    found = []
    if tokens.delivered + tokens.unused + tokens.short != tokens.sold:
        found.append("delivered + unused + short is not what was sold")
    for name, amount in asdict(report.left_over).items():
        if amount:
            found.append(f"{amount} of {name} is left over")
    if report.ledger.unbalanced:
        found.append(f"{report.ledger.unbalanced} transactions are not balanced")
    if statements.issued != statements.verified:
        found.append(f"{statements.issued - statements.verified} statements do not verify")
    if sum(run.statements for run in report.runs.values()) != statements.issued:
        found.append("some statements are of no run that the day was to have")
    found += _second_faults(report)
    if report.recomputed.faults:
        found.append(f"computed anew from its bundle the final run has {report.recomputed.faults} faults")
    if report.dispute.settled != 1:
        found.append("the dispute is not settled")
    if report.payments.instructed != report.payments.confirmed:
        found.append(f"{report.payments.instructed - report.payments.confirmed} payments are not confirmed")
    if report.evidence.audit_findings:
        found.append(f"the audit has {report.evidence.audit_findings} findings")
    if report.evidence.proofs != report.evidence.proofs_verified:
        found.append(f"{report.evidence.proofs - report.evidence.proofs_verified} proofs do not verify")
    if report.usage_events.accepted + report.usage_events.duplicates != report.usage_events.sent:
        found.append("some events were neither accepted nor duplicates")
    return found + _metering_faults(report.metering)


def _second_faults(report: Report) -> list[str]:
    """What tools of others do not agree with; one that is missing says nothing."""
    others, issued = report.second_opinions, report.statements.issued
    found = []
    for name, accepted in (("openssl", others.openssl), ("jwcrypto", others.jwcrypto)):
        if accepted is not None and accepted != issued:
            found.append(f"{name} does not accept {issued - accepted} statements")
    if others.hledger_differences:
        found.append(f"hledger has another balance than {others.hledger_differences} statements close with")
    return found


def _metering_faults(metering: Metering) -> list[str]:
    injected, shaving = metering.faults, metering.faults.shaving
    found = []
    for name in ("duplicates", "late", "lost_ends", "reasoning_inflation"):
        fault: Fault = getattr(injected, name)
        if fault.injected != fault.caught:
            found.append(f"{fault.injected} {name} were injected and {fault.caught} caught")
    if shaving.caught + shaving.inside_tolerance != shaving.requests:
        found.append(f"{shaving.requests - shaving.caught - shaving.inside_tolerance} shaved requests went unseen")
    if shaving.caught_pairs < shaving.pairs:
        found.append(f"{shaving.pairs - shaving.caught_pairs} pairs that lean kept their tolerance")
    if metering.zeroed_pairs > shaving.caught_pairs:
        found.append(f"{metering.zeroed_pairs - shaving.caught_pairs} honest pairs lost their tolerance")
    if metering.quarantined or metering.conflicts:
        found.append(f"{metering.quarantined} events are quarantined and {metering.conflicts} in conflict")
    if metering.rollup_differences:
        found.append(f"{metering.rollup_differences} minutes are not the sums of their events")
    if metering.money_error_micros:
        found.append(f"{metering.money_error_micros} micros settled otherwise than honest meters say")
    return found
