"""`manage.py audit_ledger` and the nightly task: what they say, and how they end."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from config.environment import CHECKOUT
from ledger import tasks
from ledger.models import AuditRun
from tests.audits import tamper
from tests.conftest import DatabaseUrls
from tests.integration.ledger.audited import Audited


@pytest.fixture
def audited(database: DatabaseUrls) -> Audited:
    return Audited.build()


def spoil(database: DatabaseUrls, audited: Audited) -> None:
    tamper(database, "UPDATE ledger_entry SET ref = 'x' WHERE transaction_id = %s", [audited.payment])


def run(*arguments: str, **options: Any) -> tuple[int, str]:
    """(exit status, standard output) of the command."""
    output = io.StringIO()
    try:
        call_command("audit_ledger", *arguments, stdout=output, **options)
    except SystemExit as ended:
        return int(str(ended.code)), output.getvalue()
    except CommandError as refused:
        return refused.returncode, str(refused)
    return 0, output.getvalue()


def test_a_clean_ledger_ends_with_0_and_a_table(audited: Audited) -> None:
    status, said = run(actor="arun")
    assert status == 0
    assert re.search(r"^zero_sum +Every transaction sums to zero in each asset +\d+ +\d+ +none$", said, re.MULTILINE)
    assert "Full audit of 28 entries in transactions 1 to 16, batches to 14, in 0." in said
    assert said.endswith("Clean: nothing was found.\n")
    assert AuditRun.objects.get().actor == "arun"


def test_findings_end_with_1_and_say_what_to_do(audited: Audited, database: DatabaseUrls) -> None:
    spoil(database, audited)
    status, said = run()
    assert status == 1
    assert f"  transaction {audited.payment}: its rows give the leaf " in said
    assert "  What to do: The transaction, its entries or its hold entries were changed." in said
    assert said.endswith("NOT CLEAN: 1 finding.\n")
    assert AuditRun.objects.get().findings == 1


def test_json_alone_is_all_there_is_on_standard_output(audited: Audited, database: DatabaseUrls) -> None:
    spoil(database, audited)
    status, said = run("--json", "-")
    report = json.loads(said)
    assert status == 1
    assert list(report) == [
        "format",
        "scope",
        "actor",
        "started_at",
        "finished_at",
        "milliseconds",
        "from_transaction",
        "through_transaction",
        "through_batch",
        "entries",
        "findings",
        "checks",
    ]
    assert (report["format"], report["scope"], report["findings"]) == ("tokenbourse-audit/1", "full", 1)
    (leaves,) = [check for check in report["checks"] if check["found"]]
    assert list(leaves) == ["check", "title", "rows", "milliseconds", "findings", "found"]
    assert leaves["findings"][0]["subject"] == f"transaction {audited.payment}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", report["started_at"])


def test_json_goes_to_a_file_beside_the_table(audited: Audited, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    status, said = run("--json", str(target))
    assert (status, json.loads(target.read_text())["findings"]) == (0, 0)
    assert "Clean" in said
    status, said = run("--json", str(tmp_path / "nowhere" / "report.json"))
    assert status == 2
    assert "cannot be written: No such file" in said


def test_incremental_and_single_checks_are_chosen_by_options(audited: Audited) -> None:
    assert run()[0] == 0
    audited.pay(10)
    status, said = run("--incremental")
    assert status == 0
    assert "Incremental audit of 4 entries in transactions 17 to 17" in said
    status, said = run("--check", "zero_sum", "head")
    assert status == 0
    assert [line.split()[0] for line in said.splitlines()[1:3]] == ["zero_sum", "head"]
    assert AuditRun.objects.count() == 2
    status, said = run("--check", "nothing")
    assert status == 2
    assert "There is no check 'nothing'" in said


def test_a_database_that_is_away_ends_with_2(audited: Audited, database: DatabaseUrls) -> None:
    away = database.environment() | {"DATABASE_URL": database.app_url.replace("test_", "gone_")}
    ended = subprocess.run(
        [sys.executable, "manage.py", "audit_ledger"],
        cwd=CHECKOUT,
        env=away,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "does not exist" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_progress_is_shown_on_a_terminal_and_nowhere_else(audited: Audited, database: DatabaseUrls) -> None:
    seen = {}
    for terminal in (True, False):
        parent, child = pty.openpty() if terminal else os.pipe()
        command = [sys.executable, "manage.py", "audit_ledger", "--json", "-"]
        environment = database.environment() | {"TERM": "xterm"}
        with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=child) as process:
            os.close(child)
            output, _ = process.communicate(timeout=60)
        assert json.loads(output)["findings"] == 0
        seen[terminal] = _read_all(parent)
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", seen[True])
    assert re.search(r"\b([1-9]\d*)/\1\b", shown)  # all ranges of work are done
    assert seen[False] == ""


def _read_all(descriptor: int) -> str:
    data = b""
    try:
        while chunk := os.read(descriptor, 65_536):
            data += chunk
    except OSError:  # a terminal whose other end is closed
        pass
    os.close(descriptor)
    return data.decode()


def test_the_nightly_task_puts_a_full_audit_on_record_and_cries_out(
    audited: Audited, database: DatabaseUrls, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        tasks.audit()
    assert caplog.messages == []
    spoil(database, audited)
    with caplog.at_level(logging.ERROR):
        tasks.audit()
    assert caplog.messages[0].startswith(f"audit: leaves: transaction {audited.payment}: its rows give the leaf")
    assert caplog.messages[1] == "audit: 1 findings; manage.py audit_ledger says what to do about them"
    assert {record.levelname for record in caplog.records} == {"ERROR"}
    assert list(AuditRun.objects.order_by("id").values_list("scope", "actor", "findings")) == [
        ("full", "ledger", 0),
        ("full", "ledger", 1),
    ]
