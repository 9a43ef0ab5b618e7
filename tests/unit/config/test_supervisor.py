from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from config.environment import CHECKOUT
from config.supervisor import Backoff, InvalidProcfile, ProcessSpec, Supervisor, parse_procfile

QUICK = Backoff(first_seconds=0.05, limit_seconds=0.2, healthy_seconds=60)
SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
PARENT = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print('child', child.pid, flush=True)\n"
    "time.sleep(600)"
)
SUPERVISING = (
    "import os, sys, time\n"
    "from config.supervisor import ProcessSpec, Supervisor\n"
    "python, (parent, stubborn, witness) = sys.executable, sys.argv[1:]\n"
    "specs = [ProcessSpec('parent', (python, '-c', parent)), ProcessSpec('stubborn', (python, '-c', stubborn))]\n"
    "after = (python, '-c', 'import sys; open(sys.argv[1], \"w\").close()', witness)\n"
    "with Supervisor(specs, os.environ, grace_seconds=0.5, after_death=after) as supervisor:\n"
    "    while len(supervisor.pids) < 2: time.sleep(0.02)\n"
    "    print('pids', *supervisor.pids.values(), flush=True)\n"
    "    time.sleep(600)\n"
)


def spec(name: str, code: str) -> ProcessSpec:
    return ProcessSpec(name, (sys.executable, "-c", code))


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def child_pid(output: io.StringIO) -> int:
    return int(output.getvalue().split("child ")[1].split()[0])


def test_output_is_relayed_with_the_process_name() -> None:
    output = io.StringIO()
    with Supervisor([spec("one", SLEEPER), spec("other", SLEEPER)], os.environ, output=output):
        eventually(lambda: output.getvalue().count("| up\n") == 2)
    assert {line.split()[1] for line in output.getvalue().splitlines()} == {"one", "other"}
    assert "\033" not in output.getvalue()


def test_a_process_that_dies_is_started_again_and_the_others_stay() -> None:
    output = io.StringIO()
    with Supervisor([spec("one", SLEEPER), spec("two", SLEEPER)], os.environ, output=output, backoff=QUICK) as both:
        eventually(lambda: len(both.pids) == 2)
        before = both.pids
        os.kill(before["one"], signal.SIGKILL)
        eventually(lambda: both.pids.get("one", before["one"]) != before["one"])
        assert both.pids["two"] == before["two"]
        assert both.restarts == {"one": 1, "two": 0}
    assert "was ended by signal 9; starting it again in 0.05 s" in output.getvalue()


def test_the_pause_doubles_up_to_a_limit() -> None:
    output = io.StringIO()
    with Supervisor([spec("failing", "raise SystemExit(3)")], os.environ, output=output, backoff=QUICK) as failing:
        eventually(lambda: failing.restarts["failing"] >= 4)
    pauses = [line.split(" in ")[1] for line in output.getvalue().splitlines() if "ended with status 3" in line]
    assert pauses[:4] == ["0.05 s", "0.1 s", "0.2 s", "0.2 s"]


def test_a_healthy_life_forgives_earlier_failures() -> None:
    output = io.StringIO()
    backoff = Backoff(first_seconds=0.05, limit_seconds=9, healthy_seconds=0)
    with Supervisor([spec("lively", "pass")], os.environ, output=output, backoff=backoff) as lively:
        eventually(lambda: lively.restarts["lively"] >= 3)
    assert {line.split(" in ")[1] for line in output.getvalue().splitlines()} == {"0.05 s"}


def test_a_command_that_does_not_exist_is_reported_and_tried_again() -> None:
    output = io.StringIO()
    missing = ProcessSpec("missing", ("/no/such/program",))
    with Supervisor([missing], os.environ, output=output, backoff=QUICK) as supervisor:
        eventually(lambda: supervisor.restarts["missing"] >= 1)
    assert "cannot be started" in output.getvalue()


def test_stop_kills_what_does_not_listen_and_its_children() -> None:
    output = io.StringIO()
    processes = [spec("stubborn", STUBBORN), spec("parent", PARENT)]
    supervisor = Supervisor(processes, os.environ, output=output, grace_seconds=0.5)
    supervisor.start()
    eventually(lambda: "up" in output.getvalue() and "child" in output.getvalue())
    pids = [*supervisor.pids.values(), child_pid(output)]
    supervisor.stop()
    assert all(is_gone(pid) for pid in pids)
    assert "did not end within 0.5 s: killed" in output.getvalue()
    supervisor.stop()  # again, without harm


def test_what_a_dead_process_leaves_behind_goes_before_it_starts_again() -> None:
    output = io.StringIO()
    with Supervisor([spec("parent", PARENT)], os.environ, output=output, backoff=QUICK) as supervisor:
        eventually(lambda: "child" in output.getvalue())
        orphan = child_pid(output)
        os.kill(supervisor.pids["parent"], signal.SIGKILL)
        eventually(lambda: supervisor.restarts["parent"] == 1)
        assert is_gone(orphan)


def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    witness = tmp_path / "after"
    command = [sys.executable, "-c", SUPERVISING, PARENT, STUBBORN, str(witness)]
    pids: set[int] = set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as supervisor:
        assert supervisor.stdout
        for line in supervisor.stdout:
            if "child" in line or "pids" in line:
                pids |= {int(word) for word in line.split() if word.isdecimal()}
            if len(pids) == 3:
                break
        assert not any(is_gone(pid) for pid in pids)
        supervisor.kill()
    eventually(lambda: all(is_gone(pid) for pid in pids))
    eventually(witness.exists)


def test_procfile_values_may_hold_spaces() -> None:
    text = "# comment\nweb: python -m server --port $PORT --state '${HOME_DIR}/x y'\n\nworker: sleep 1\n"
    specs = parse_procfile(text, {"PORT": "8001", "HOME_DIR": "/a b"})
    assert specs == (
        ProcessSpec("web", (sys.executable, "-m", "server", "--port", "8001", "--state", "/a b/x y")),
        ProcessSpec("worker", ("sleep", "1")),
    )


@pytest.mark.parametrize(
    ("line", "message"), [("web: run $PORT", "web: the variable PORT is not set"), ("web: run 'x", "web: No closing")]
)
def test_procfile_lines_that_cannot_run(line: str, message: str) -> None:
    with pytest.raises(InvalidProcfile, match=message):
        parse_procfile(line, {})
