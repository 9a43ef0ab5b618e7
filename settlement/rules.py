"""The rules every run follows that are not a product's own; a change of any gets a new version. Pure."""

from __future__ import annotations

from settlement.code_version import FIGURE_MODULES, digest_of
from settlement.metering.tolerance import Tolerance

# 1: one rate of the provider's fee a contract, instead of each fill's own
# 2: figures compared as weighted sums, without watermarks, starts, rulings or a bias register
# 3: calls read as they came, without a limit to what a run saw; no service judged, nothing suspended or made up
RULES_VERSION = "4"
CODE_VERSION = digest_of(FIGURE_MODULES)

# Two honest counters of the same text agree but for a token at the edge. Wider bands (advertising allows 10 %) pay
# whoever shaves inside them.
TOLERANCE = Tolerance(absolute_tokens=1, relative_ppm=5_000)
ZERO = TOLERANCE.zeroed()  # of a pair whose figures lean one way inside it
