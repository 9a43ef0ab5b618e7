"""One full audit in a process of its own, so that its memory is nobody else's.

    python -m tests.bench.ledger.audit_process

Works on DATABASE_URL and prints a line of JSON: the seconds of the audit without the start of the process, its entries
and findings, and how many MiB the process held at most.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass

import psutil

LOOKS_SECONDS = 0.01
MIB = 2**20


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """What the process says of its audit."""

    seconds: float
    entries: int
    findings: int
    peak_mib: float


def audit_elsewhere(database_url: str) -> AuditOutcome:
    """Run this module on a database. Raises `CalledProcessError` when it fails."""
    environment = os.environ | {"DATABASE_URL": database_url}
    environment.pop("DATABASE_OWNER_URL", None)
    command = [sys.executable, "-m", "tests.bench.ledger.audit_process"]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return AuditOutcome(**json.loads(done.stdout.splitlines()[-1]))


def audit_here() -> AuditOutcome:
    """Audit the database that the settings name, watching this process's memory."""
    import django

    django.setup()
    from ledger.audit.run import run_audit
    from ledger.clock import get_clock
    from ledger.models import AuditScope

    peak, done = [0], threading.Event()
    process = psutil.Process()

    def watch() -> None:
        while not done.wait(LOOKS_SECONDS):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        started = time.perf_counter()
        report = run_audit(AuditScope.FULL, actor="bench", clock=get_clock())
        seconds = time.perf_counter() - started
    finally:
        done.set()
        watcher.join()
    return AuditOutcome(seconds, report.entries, report.found, peak[0] / MIB)


if __name__ == "__main__":
    print(json.dumps(asdict(audit_here())))
