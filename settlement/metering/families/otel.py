"""OpenTelemetry's GenAI attributes, as a flat object of attribute names and values.

Input includes what came from or went into a cache, output includes reasoning. The conventions have no total, so there
is nothing of the provider's to hold the parts against. Their name for cache writes changed from `cache_creation` to
`cache_write`; both are read.
"""

from __future__ import annotations

from settlement.metering.buckets import Extraction
from settlement.metering.families.counts import Usage, count, either
from settlement.metering.families.inclusive import Form, close

VERSION = 1
FORM = Form("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "", "", "")


def extract(usage: Usage) -> Extraction:
    whole_input, whole_output = count(usage, FORM.input), count(usage, FORM.output)
    total = None if whole_input is None or whole_output is None else whole_input + whole_output
    cache_read = count(usage, "gen_ai.usage.cache_read.input_tokens") or 0
    cache_write = either(usage, "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens")
    reasoning = count(usage, "gen_ai.usage.reasoning.output_tokens") or 0
    return close(FORM, (whole_input, whole_output, total), (cache_read, cache_write or 0, reasoning))
