"""Bodies with usage events: CloudEvents in JSON, one or a batch.

Read as strictly as any body, but a string that cannot be stored is left for its own event to answer for: one broken
event must not hold up the others.
"""

from __future__ import annotations

import json
from typing import Any

from ledger.api.parsers import StrictJSONParser


class UsageJSONParser(StrictJSONParser):
    """A plain JSON list of events."""

    checks_text = False

    def parse_fraction(self, text: str) -> Any:
        """As every JSON reader has it: provider's usage objects are evidence, nothing is computed from fractions."""
        return json.loads(text)


class CloudEventParser(UsageJSONParser):
    """One event in structured mode."""

    media_type = "application/cloudevents+json"


class CloudEventBatchParser(UsageJSONParser):
    """A list of events in batched mode."""

    media_type = "application/cloudevents-batch+json"
