"""Watches over a supervisor from outside: when it is killed, ends everything it had started.

The supervisor writes `+PID` and `-PID` lines for the process groups it starts and sees end, and `done` when it has
stopped them all itself. The end of input without `done` means that it died: then the groups get SIGTERM, after the
grace period SIGKILL, and at last the given command is run (it may stop a database, say).

    python -m config.guard GRACE_SECONDS [COMMAND ...]
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

POLL_SECONDS = 0.05


def signal_group(group: int, signum: int) -> bool:
    """Send a signal to a process group; tells whether there was anybody (signal 0 only asks)."""
    try:
        os.killpg(group, signum)
    except (ProcessLookupError, PermissionError):  # macOS refuses for a group of zombies
        return False
    return True


def end_groups(groups: Iterable[int], grace_seconds: float) -> None:
    """Ask the leader of each group to stop; kill what is left after the grace period."""
    alive = set(groups)
    for leader in alive:
        with suppress(ProcessLookupError):
            os.kill(leader, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while alive and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        alive = {group for group in alive if signal_group(group, 0)}
    for group in alive:
        signal_group(group, signal.SIGKILL)


def main(arguments: Sequence[str]) -> int:
    """Runs until the supervisor is done or dead."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        if line == "done\n":
            return 0
        if line.startswith("+"):
            groups.add(int(line[1:]))
        elif line.startswith("-"):
            groups.discard(int(line[1:]))
    end_groups(groups, float(arguments[0]))
    if command := arguments[1:]:
        return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
