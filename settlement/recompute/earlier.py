"""What a run took to have been posted before it, held against the runs before, computed again from their bundles.
Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from settlement.recompute.contracts import RecomputedContract, RecomputedRun
from settlement.recompute.events import Pair
from settlement.recompute.faults import Check, FaultCode
from settlement.recompute.manifest import ManifestRun


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A run before, and what its contracts came to."""

    run: ManifestRun
    recomputed: RecomputedRun

    def outcomes(self) -> Iterator[tuple[str, Mapping[Pair, Mapping[str, Any]]]]:
        """Of each contract its outcomes by pair."""
        return ((contract.symbol, contract.outcomes) for contract in self.recomputed.contracts)


def check_earlier(run: ManifestRun, recomputed: RecomputedRun, before: Sequence[EarlierRun]) -> Iterator[Check]:
    """Whether the earlier figures of every position are what the last of the runs `before` that has its contract came
    to. `before` in the order in which they were made; contracts that are in none of them are not looked at."""
    for each in before:
        wrong = _unfit(run, each.run)
        if wrong:
            yield Check(f"earlier run {each.run.key}", FaultCode.WRONG_EARLIER, wrong)
    known = {symbol: outcomes for each in before for symbol, outcomes in each.outcomes()}
    for contract in recomputed.contracts:
        if contract.symbol in known:
            yield from _compare(contract, known[contract.symbol])
    if before and run.previous_run not in {each.run.key for each in before}:
        detail = f"the run follows {run.previous_run}, whose bundle is not given"
        yield Check("earlier runs", FaultCode.WRONG_EARLIER, detail)


def unchecked(recomputed: RecomputedRun, before: Sequence[EarlierRun]) -> int:
    """How many positions have earlier figures that nothing was held against."""
    known = {symbol for each in before for symbol, _ in each.outcomes()}
    return sum(len(contract.earlier) for contract in recomputed.contracts if contract.symbol not in known)


def _unfit(run: ManifestRun, earlier: ManifestRun) -> str:
    if earlier.currency != run.currency:
        return f"it settles {earlier.currency}, the run {run.currency}"
    if not earlier.posts or not run.follows or earlier.key == run.key:
        return f"a {run.kind} run does not follow a {earlier.kind} one, nor itself"
    return ""


def _compare(contract: RecomputedContract, posted: Mapping[Pair, Mapping[str, Any]]) -> Iterator[Check]:
    for pair in sorted(contract.earlier.keys() | posted.keys()):
        ours, theirs = posted.get(pair, {}), contract.earlier.get(pair, {})
        wrong = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        if wrong:
            what = f"{contract.symbol}, {' and '.join(pair)}"
            detail = f"the figures posted before are not those of the earlier run: {', '.join(wrong[:5])}"
            yield Check(what, FaultCode.WRONG_EARLIER, detail)
