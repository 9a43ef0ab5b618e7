"""OpenRouter: OpenAI's chat form for every model, counted by that model's own tokenizer.

What it adds (`cost`, `cost_details`, `is_byok`) is money, not tokens; it stays in the raw object.
"""

from __future__ import annotations

from settlement.metering.buckets import Extraction
from settlement.metering.families.counts import Usage
from settlement.metering.families.inclusive import read
from settlement.metering.families.openai_chat import FORM

VERSION = 1


def extract(usage: Usage) -> Extraction:
    return read(usage, FORM)
