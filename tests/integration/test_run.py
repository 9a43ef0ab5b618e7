"""`make run` with processes of our own in place of the product's: start, restart, and nothing left at the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from config.environment import CHECKOUT
from config.postgres import Cluster, Status

MANAGE = """
import os, sys
assert sys.argv[1:4] == ["migrate", "--database", "owner"], sys.argv
assert "tokenbourse_owner" in os.environ["DATABASE_OWNER_URL"] and "tokenbourse_app" in os.environ["DATABASE_URL"]
"""
SEED = """
import os
assert "DATABASE_OWNER_URL" not in os.environ and len(os.environ["TOKENBOURSE_SECRET_KEY"]) >= 50
print("the logins", flush=True)
"""
PROCFILE = """
web: python -m http.server --bind 127.0.0.1 $PORT
worker: python worker.py
"""
WORKER = """
import os, time
print("worker", os.getpid(), os.environ["DATABASE_URL"], flush=True)
time.sleep(600)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A checkout with the real supervision and a stand-in for the product, at a path with a space."""
    checkout = tmp_path / "a checkout"
    shutil.copytree(CHECKOUT / "config", checkout / "config", ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / "manage.py").write_text(MANAGE)
    (checkout / "config" / "seed.py").write_text(SEED)
    (checkout / "Procfile").write_text(PROCFILE)
    (checkout / "worker.py").write_text(WORKER)
    yield checkout
    Cluster("run", checkout / ".local").remove()


class Running:
    """A started `config.run` and what it has printed so far."""

    def __init__(self, checkout: Path, output: Path, process: subprocess.Popen[bytes]) -> None:
        self.cluster = Cluster("run", checkout / ".local")
        self.output, self.process = output, process

    @property
    def printed(self) -> str:
        return self.output.read_text()

    def workers(self) -> list[int]:
        lines = [line.split() for line in self.printed.splitlines() if " worker " in line and "postgresql://" in line]
        return [int(words[words.index("|") + 2]) for words in lines]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"did not happen in time; printed so far:\n{self.printed}"
            time.sleep(0.05)

    def is_all_gone(self) -> bool:
        return self.cluster.status is Status.STOPPED and not any(psutil.pid_exists(pid) for pid in self.workers())


@contextmanager
def started(checkout: Path, **environment: str) -> Iterator[Running]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "TOKENBOURSE_"))}
    output = checkout / "output"
    with (
        output.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "config.run"],
            cwd=checkout,
            env=kept | environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Running(checkout, output, process)
        finally:
            process.terminate()


def test_everything_starts_is_kept_running_and_stops_on_ctrl_c(checkout: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(checkout, PORT=str(port)) as run:
            run.wait_for(lambda: "Ctrl-C stops everything" in run.printed)
            assert "the logins\n" in run.printed
            assert f"Port {port} is taken." in run.printed
            assert f"http://127.0.0.1:{port}\n" not in run.printed
            urls = run.cluster.urls()
            run.wait_for(lambda: len(run.workers()) == 1)
            os.kill(run.workers()[0], signal.SIGKILL)
            run.wait_for(lambda: len(run.workers()) == 2)
            postmaster = run.cluster.pid
            assert postmaster
            os.kill(postmaster, signal.SIGKILL)
            run.wait_for(lambda: run.cluster.pid not in (None, postmaster) and run.cluster.urls() == urls)
            second = subprocess.run(
                [sys.executable, "-m", "config.run"], cwd=checkout, capture_output=True, text=True, check=False
            )
            assert (second.returncode, "running already" in second.stderr) == (1, True)
            os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does
            assert run.process.wait(20) == 0
            assert run.is_all_gone()
            assert "\033" not in run.printed


def test_a_kill_9_of_the_supervisor_leaves_nothing(checkout: Path) -> None:
    with started(checkout) as run:
        run.wait_for(lambda: len(run.workers()) == 1 and "Ctrl-C stops everything" in run.printed)
        run.process.kill()
        run.process.wait()
        run.wait_for(run.is_all_gone)


def test_a_failing_migration_is_told_and_stops_the_database(checkout: Path) -> None:
    (checkout / "manage.py").write_text("raise SystemExit(7)")
    with started(checkout) as run:
        assert run.process.wait(30) == 1
        assert "make run: `manage.py migrate --database owner --verbosity 0` failed with status 7" in run.printed
        assert run.cluster.status is Status.STOPPED


def test_sigterm_while_it_starts_stops_the_database(checkout: Path) -> None:
    (checkout / "manage.py").write_text("import time\nprint('migrating', flush=True)\ntime.sleep(600)")
    with started(checkout) as run:
        run.wait_for(lambda: "migrating" in run.printed)
        run.process.terminate()
        assert run.process.wait(20) == 0
        assert run.cluster.status is Status.STOPPED
