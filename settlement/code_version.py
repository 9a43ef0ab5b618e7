"""Which code decides the figures: a digest of the sources of the modules that a settlement goes through."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib import resources

DIGITS = 16
# Everything that `settlement.runs.figures` comes to import; a test finds what is missing here or no longer used.
FIGURE_MODULES = (
    "exchange.clearing.terms",
    "exchange.errors",
    "exchange.matching.types",
    "exchange.terms",
    "ledger.chart",
    "ledger.drafts",
    "ledger.errors",
    "ledger.merkle",
    "ledger.money",
    "ledger.texts",
    "settlement.calculation",
    "settlement.code_version",
    "settlement.disputes.credits",
    "settlement.disputes.frozen",
    "settlement.disputes.postings",
    "settlement.errors",
    "settlement.exact",
    "settlement.formulas",
    "settlement.make_up",
    "settlement.metering.aggregates",
    "settlement.metering.bias",
    "settlement.metering.buckets",
    "settlement.metering.completeness_rules",
    "settlement.metering.discrepancies",
    "settlement.metering.joining",
    "settlement.metering.pair_figures",
    "settlement.metering.reconcile",
    "settlement.metering.records",
    "settlement.metering.refusals",
    "settlement.metering.rules_of_pair",
    "settlement.metering.tolerance",
    "settlement.metering.trust",
    "settlement.metering.verdicts",
    "settlement.metering.weights",
    "settlement.outcome",
    "settlement.outcome_record",
    "settlement.position",
    "settlement.postings",
    "settlement.rules",
    "settlement.runs.evidence",
    "settlement.runs.figures",
    "settlement.runs.frozen",
    "settlement.runs.frozen_position",
    "settlement.sla",
    "settlement.splits",
    "settlement.statements.party_line",
)


def digest_of(modules: Iterable[str]) -> str:
    """SHA-256 over the modules' names and source bytes, in the order of their names; its first 16 digits in hex."""
    digest = hashlib.sha256()
    for module in sorted(modules):
        package, _, name = module.rpartition(".")
        source = resources.files(package).joinpath(f"{name}.py").read_bytes()
        digest.update(f"{module} {len(source)}\n".encode() + source)
    return digest.hexdigest()[:DIGITS]
