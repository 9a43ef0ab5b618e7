"""Our own generic counts, for meters without a provider's object: `input` (all of it), `cached` (the part of input
read from a cache), `output`, and optionally `total` = input + output."""

from __future__ import annotations

from settlement.metering.buckets import Extraction, QuarantineReason
from settlement.metering.families.counts import Unusable, Usage, count
from settlement.metering.families.inclusive import Form, close
from settlement.metering.families.names import FIELDS

VERSION = 1
FORM = Form("input", "output", "", "", "")


def extract(usage: Usage) -> Extraction:
    if not usage.keys() <= FIELDS["tokenbourse"]:
        # A misspelt member would silently count as 0.
        unknown = ", ".join(sorted(str(name) for name in usage.keys() - FIELDS["tokenbourse"]))
        raise Unusable(QuarantineReason.MALFORMED, f"Unknown members: {unknown[:200]}.")
    whole, cached, output, total = (
        count(usage, "input"),
        count(usage, "cached"),
        count(usage, "output"),
        count(usage, "total"),
    )
    if total is None and whole is not None and output is not None:
        total = whole + output
    return close(FORM, (whole, output, total), (cached or 0, 0, 0))
