"""What a recomputation found, and the verdict that follows. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from settlement.recompute.faults import MALFORMED, Check

_LONGEST = 2_000  # characters of a line
SAME_STATUS, DIFFERS_STATUS, UNREADABLE_STATUS, UNPROVEN_STATUS = 0, 1, 2, 3


@dataclass
class Report:
    """The steps taken. `notes` are no faults: other versions, say, that came to the same all the same. `given`: what
    was taken as the bundle has it. `keys_checked`: the keys came from elsewhere."""

    run: str = ""
    keys_checked: bool = False
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    contracts: int = 0
    positions: int = 0
    events: int = 0
    proven_events: int = 0
    statements: int = 0

    @property
    def ok(self) -> bool:
        """Nothing is wrong, and something was looked at: whose bundle it is, only `keys_checked` tells."""
        return self.contracts > 0 and self.statements > 0 and all(check.ok for check in self.checks)

    @property
    def faults(self) -> list[Check]:
        return [check for check in self.checks if not check.ok]

    @property
    def exit_status(self) -> int:
        """0: all the same, 1: something is not, 2: it is no bundle, or the keys are none, 3: all the same, and the keys
        were those of the bundle."""
        if any(check.code in MALFORMED for check in self.checks):
            return UNREADABLE_STATUS
        if not self.ok:
            return DIFFERS_STATUS
        return SAME_STATUS if self.keys_checked else UNPROVEN_STATUS

    def text(self) -> str:
        """The report for a person: what was computed, what is wrong, what was taken as given, and the verdict last."""
        lines = [f"Run {self.run}" if self.run else "No run could be read"]
        events = f"{self.events} usage events, {self.proven_events} of them proven by their meters' words"
        lines.append(f"  {self.contracts} contracts, {self.positions} positions, {events}")
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  {check.code}: {check.what}: {check.detail}" for check in self.faults]
        lines += [f"  taken as given: {each}" for each in self.given]
        return "\n".join(plain(line) for line in [*lines, self._verdict()])

    def _verdict(self) -> str:
        if not self.ok:
            return f"NOT THE SAME: {len(self.faults)} of {len(self.checks)} checks failed"
        same = f"all {self.statements} statements come out byte for byte the same"
        if not self.keys_checked:
            return f"FITS TOGETHER; KEYS NOT CHECKED: {same}, whoever signed them"
        return f"RECOMPUTED: {same}"


def plain(line: str) -> str:
    """A line in which whatever a bundle says can begin no other, nor change how it is shown, nor go on for ever."""
    cut = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in cut)
