"""The rules every run follows that are not a product's own; a change of any gets a new version. Pure."""

from __future__ import annotations

from settlement.metering.reconcile import Tolerance

RULES_VERSION = "2"  # 1: one rate of the provider's fee a contract, instead of each fill's own

# Two honest counters of the same text agree but for a token at the edge. Wider bands (advertising allows 10 %) pay
# whoever shaves inside them.
TOLERANCE = Tolerance(relative_ppm=5_000)
