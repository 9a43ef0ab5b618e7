"""How disputes are told to people, on the pages and in the admin."""

from __future__ import annotations

from collections.abc import Mapping

from settlement.models import DisputeReason, DisputeState

REASONS: Mapping[str, str] = {
    DisputeReason.QUANTITY: "How much was delivered",
    DisputeReason.QUALITY: "How well it was served: time to the first token, speed, availability",
    DisputeReason.PRICE: "The price, or a fee",
    DisputeReason.REFUSALS: "Which requests were refused, and why",
    DisputeReason.SHARES: "Who gets which share",
    DisputeReason.OTHER: "Something else",
}
NEXT_STEPS: Mapping[str, str] = {
    DisputeState.OPEN: "Both sides say what there is to say; an operator proposes a decision.",
    DisputeState.PROPOSED: "Another operator confirms the decision or sends it back.",
    DisputeState.UPHELD: "A settlement run of its own posts what was decided.",
    DisputeState.REJECTED: "None: the line stands, and nothing is in suspense for it.",
    DisputeState.WITHDRAWN: "None: it was withdrawn, and nothing is in suspense for it.",
    DisputeState.SETTLED: "None: what was decided is posted.",
}
# The colours of states that the style sheets know.
STATE_STYLES: Mapping[str, str] = {
    DisputeState.OPEN: "failed",
    DisputeState.PROPOSED: "due",
    DisputeState.UPHELD: "due",
    DisputeState.REJECTED: "closed",
    DisputeState.WITHDRAWN: "closed",
    DisputeState.SETTLED: "done",
}
