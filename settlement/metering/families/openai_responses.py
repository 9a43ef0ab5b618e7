"""OpenAI Responses: as Chat Completions, under other names."""

from __future__ import annotations

from settlement.metering.buckets import Extraction
from settlement.metering.families.counts import Usage
from settlement.metering.families.inclusive import Form, read

VERSION = 1
FORM = Form("input_tokens", "output_tokens", "total_tokens", "input_tokens_details", "output_tokens_details")


def extract(usage: Usage) -> Extraction:
    return read(usage, FORM)
