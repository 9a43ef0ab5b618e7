"""After the day, as a distrustful auditor: the whole ledger audited, its head signed, and a fill proved from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from config.clock import SimulatedClock
from config.demo.bots import Bots
from config.demo.report import Evidence
from config.market_setup import AUDITOR
from exchange.models import SequencerBatch
from ledger import verify
from ledger.audit.run import run_audit
from ledger.log.checkpoints import publish_checkpoint
from ledger.models import AuditScope

ACTOR = "demo"


def collect_evidence(out: Path, *, bots: Bots, advance: Callable[[], object]) -> Evidence:
    """Leaves the checkpoint, the proof of the last trading batch and the keys as files; verifies with nothing else."""
    clock = SimulatedClock()
    audit = run_audit(AuditScope.FULL, actor=ACTOR, clock=clock)
    advance()
    publish_checkpoint(now=clock.now())
    advance()
    auditor = bots.of(AUDITOR)
    last_fills = SequencerBatch.objects.exclude(ledger_transaction=None).latest("no").ledger_transaction
    files = {
        "checkpoint": auditor.get_bytes("/checkpoint"),
        "proof.json": auditor.get_bytes(f"/api/v1/ledger/transactions/{last_fills}/proof"),
    }
    jwks = auditor.get_bytes("/.well-known/jwks.json")
    for name, file in (*files.items(), ("keys.json", jwks)):
        (out / name).write_bytes(file)
    advance()
    keys = verify.parse_jwks(jwks)
    return Evidence(
        audit_checks=len(audit.checks),
        audit_findings=audit.found,
        proofs=len(files),
        proofs_verified=sum(verify.verify(file, keys, files["checkpoint"]).ok for file in files.values()),
    )
