"""The audit of the ledger: independent checks that look at one instant of the database and never change anything."""

from ledger.audit.findings import Finding, Looked, looked
from ledger.audit.layout import Layout, Span, cut_to_size
from ledger.audit.registry import Check, HoldExplanation, register_check, register_hold_explanation
from ledger.audit.snapshot import View

__all__ = [
    "Check",
    "Finding",
    "HoldExplanation",
    "Layout",
    "Looked",
    "Span",
    "View",
    "cut_to_size",
    "looked",
    "register_check",
    "register_hold_explanation",
]
