"""After the day: an initial and a final settlement run by the worker, and every statement downloaded and verified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from config.catalogue import CURRENCY
from config.demo.bots import Bots
from config.demo.clockwork import SETTLEMENT_TASK, Clockwork
from config.demo.failure import DemoFailed
from config.demo.report import Statements
from config.demo.trading import OPERATOR
from config.market_setup import AUDITOR
from exchange.models import Contract, ContractState
from exchange.windows import Window
from settlement.models import JobState, RunKind, RunState, SettlementJob, SettlementRun
from settlement.runs.create import create_run
from settlement.runs.jobs import MAX_ATTEMPTS
from settlement.statements.verify import verify

INITIAL_AFTER = timedelta(hours=1)  # the last late event has come by then
FINAL_AFTER = timedelta(days=7)
LIFE_OVER = (ContractState.DELIVERED, ContractState.SETTLED)


class SettlementFailed(DemoFailed):
    """A job of the settlement run failed for good; the message has its error."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The day's two runs."""

    initial: int
    final: int


def settle(windows: list[Window], *, clockwork: Clockwork, advance: Callable[[], object]) -> Settled:
    """Settle all windows as one period; calls `advance` after each run. Raises `SettlementFailed`."""
    clockwork.ring_until(_all_delivered, "all deliveries end")
    start, end = windows[0].start, windows[-1].end
    run_ids = []
    for kind, after in ((RunKind.INITIAL, INITIAL_AFTER), (RunKind.FINAL, FINAL_AFTER)):
        now = end + after
        clockwork.go_to(now)
        run = create_run(CURRENCY, start, end, kind, actor=OPERATOR, now=now)
        clockwork.ring_until(_published(run.id), f"the {kind.value} run is published", task=SETTLEMENT_TASK)
        run_ids.append(run.id)
        advance()
    return Settled(*run_ids)


def collect_statements(out: Path, *, bots: Bots, advance: Callable[[], object]) -> Statements:
    """Download all statements and the public keys as an auditor does, and verify the files with nothing else."""
    auditor = bots.of(AUDITOR)
    folder = out / "statements"
    folder.mkdir(exist_ok=True)
    jwks = auditor.get_bytes("/.well-known/jwks.json")
    (folder / "jwks.json").write_bytes(jwks)
    previous: dict[str, bytes] = {}
    verified = 0
    listed = sorted(auditor.list("/api/v1/statements", limit="500"), key=lambda each: (each["party"], each["sequence"]))
    for each in listed:
        file = auditor.get_bytes(each["download"])
        (folder / f"{each['party']}-{each['currency']}-{each['sequence']:06d}.jws.json").write_bytes(file)
        verified += verify(file, jwks, previous.get(each["party"])).ok
        previous[each["party"]] = file
        advance()
    return Statements(issued=len(listed), verified=verified)


def _all_delivered() -> bool:
    return not Contract.objects.exclude(state__in=LIFE_OVER).exists()


def _published(run_id: int) -> Callable[[], bool]:
    def published() -> bool:
        failed = SettlementJob.objects.filter(run_id=run_id, state=JobState.FAILED, attempt__gte=MAX_ATTEMPTS).first()
        if failed is not None:
            raise SettlementFailed(f"{failed.step} of {failed.subject_id}: {failed.error}")
        return SettlementRun.objects.filter(id=run_id, state=RunState.PUBLISHED).exists()

    return published
