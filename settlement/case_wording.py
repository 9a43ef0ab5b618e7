"""How discrepancy cases are told to people, on the pages and in the admin."""

from __future__ import annotations

from collections.abc import Mapping

from settlement.metering.records import CaseKind, Ruling
from settlement.models import CaseState

KINDS: Mapping[str, tuple[str, str]] = {
    CaseKind.FIGURES_DIFFER: (
        "Figures differ",
        "Both meters say these requests were served, and count them differently by more than the tolerance. Of each "
        "the lesser record settles.",
    ),
    CaseKind.DELIVERY_DENIED: (
        "Delivery denied",
        "One meter says these requests were served, the other that they were refused. Nothing settles for them.",
    ),
    CaseKind.REFUSAL_CLAIMED: (
        "Refusal claimed",
        "The buyer's meter alone says that these requests were refused. They do not count as refused demand.",
    ),
    CaseKind.PROVIDER_ALONE: (
        "Provider alone",
        "The provider's meter alone knows these requests, and the buyer's has proved that it sent all it had. Nothing "
        "settles for them.",
    ),
    CaseKind.LOST_END: (
        "Lost end",
        "These requests were started, and no meter says how they ended. Nothing settles for them.",
    ),
    CaseKind.REPEATED_REQUEST: (
        "Repeated request",
        "One side reported a delivery of these requests more than once, under several event ids. The least counts.",
    ),
}
RULINGS: Mapping[str, str] = {
    Ruling.PROVIDER: "the provider's record settles",
    Ruling.BUYER: "the buyer's record settles",
    Ruling.MINIMUM: "what nobody disputes settles, as without a ruling",
}
NEXT_STEPS: Mapping[str, str] = {
    CaseState.OPEN: "A party explains itself, corrects its events, or an operator proposes a ruling.",
    CaseState.ANSWERED: "An operator proposes a ruling, or later events take the discrepancy away.",
    CaseState.PROPOSED: "Another operator confirms the ruling or sends the case back.",
    CaseState.DECIDED: "None: it is decided, and runs that follow settle by it.",
    CaseState.RESOLVED: "None: later events took the discrepancy away.",
}
# The colours of states that the style sheets know.
STATE_STYLES: Mapping[str, str] = {
    CaseState.OPEN: "failed",
    CaseState.ANSWERED: "due",
    CaseState.PROPOSED: "due",
    CaseState.DECIDED: "done",
    CaseState.RESOLVED: "closed",
}
