"""A bank's file taken in by several processes at once counts once; so do nettings and payments made at once.

The control shows the race that the lock of payments keeps out: without it both would find the file new.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.db import connections

from config.environment import CHECKOUT
from ledger.models import Transaction
from settlement.models import ConfirmationImport, PaymentInstruction
from settlement.payments import confirmations
from settlement.payments.confirmations import import_confirmation
from tests.audits import findings
from tests.conftest import DatabaseUrls
from tests.integration.settlement.line_rows import audit_but_lines
from tests.integration.settlement.payment_day import PaymentDay
from tests.integration.settlement.trading_day import NOW
from tests.two_operators import FIRST
from tests.unit.settlement.bank_files import camt054, entry

OPENING = 100_000_000
PROCESSES = 3


@pytest.fixture
def sent(database: DatabaseUrls) -> PaymentDay:
    paying = PaymentDay()
    paying.sent(("provider-1", 3_000_000), ("provider-2", 2_000_000), ("buyer-1", 1_000_000))
    return paying


def bank_file() -> bytes:
    payments = PaymentInstruction.objects.order_by("id")
    return camt054(*(entry((each.end_to_end_id, f"{each.micros // 1_000_000}.00")) for each in payments))


def test_processes_that_take_the_same_file_take_it_once(
    sent: PaymentDay, database: DatabaseUrls, tmp_path: Path
) -> None:
    file = tmp_path / "camt.xml"
    file.write_bytes(bank_file())
    command = [sys.executable, "manage.py", "import_confirmation", str(file)]
    environment = database.environment()
    running = [
        subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(PROCESSES)
    ]
    told = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * PROCESSES, told
    assert {output.decode().splitlines()[-1] for output, _ in told} == {"import 1: 3 confirmed, 0 returned"}
    assert ConfirmationImport.objects.count() == 1
    assert Transaction.objects.filter(kind="payout").count() == 3
    assert sent.day.balance("provider-1") == OPENING - 3_000_000
    assert findings(audit_but_lines()) == {}


def test_without_the_lock_both_find_the_file_new(sent: PaymentDay, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the database still lets only one of them through, the other fails instead of being answered."""
    content = bank_file()
    both = threading.Barrier(2)
    monkeypatch.setattr(confirmations, "lock_payments", lambda: None)
    original = confirmations._each_payment

    def meet(advices: object) -> object:
        both.wait(30)  # neither has written yet, and each has seen that the file is new
        return original(advices)  # type: ignore[arg-type]

    monkeypatch.setattr(confirmations, "_each_payment", meet)
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            import_confirmation(content, actor=FIRST, now=NOW)
            outcomes.append("taken")
        except Exception as error:
            outcomes.append(type(error).__name__)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("taken") == 1
    assert set(outcomes) - {"taken"} <= {"WrongInstructionState", "IntegrityError"}
    assert Transaction.objects.filter(kind="payout").count() == 3


def test_payments_made_at_once_are_made_once(database: DatabaseUrls) -> None:
    paying = PaymentDay()
    paying.accounts()
    paying.run(("provider-1", 3_000_000), ("provider-2", 2_000_000))
    netting = paying.net()

    def attempt() -> None:
        try:
            paying.instruct(netting)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert PaymentInstruction.objects.count() == 2
    assert [paying.day.held(code) for code in ("provider-1", "provider-2")] == [3_000_000, 2_000_000]
    assert findings(audit_but_lines()) == {}
