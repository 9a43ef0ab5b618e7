"""What a demo's day runs on: a database of its own that starts empty and is thrown away, and the real processes.

Every process takes the time from the simulated clock. Nothing of the environment's own database or broker is touched.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from subprocess import run

import requests

from config.environment import CHECKOUT, read_environment
from config.postgres import Cluster
from config.private_files import private_folder
from config.run import RunFailed, free_port, only_one
from config.supervisor import ProcessSpec, Supervisor, parse_procfile

CLUSTER = "demo"
FIRST_PORT = 8_100
PROCESSES = ("web", "sequencer", "worker")  # under a simulated clock the driver rings what beat would
READY_SECONDS = 60.0
GRACE_SECONDS = 1.0  # nothing of the demo's database outlives it, so nobody needs to finish anything
# Of the caller's environment these would lead somewhere else.
_NOT_INHERITED = (
    "DATABASE_URL", "DATABASE_OWNER_URL", "CELERY_BROKER_URL", "TOKENBOURSE_PRODUCTION", "TOKENBOURSE_ALLOWED_HOSTS",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stage:
    """A running exchange. `log` is where its processes write."""

    base_url: str
    log: Path
    supervisor: Supervisor

    def check(self) -> None:
        """Raise `RunFailed` when a process has died: a day must not go on with half of its processes."""
        died = [name for name, times in self.supervisor.restarts.items() if times]
        if died:
            raise RunFailed(f"{', '.join(died)} died; {self.log} tells why")


@contextmanager
def open_stage(starts_at: datetime, out: Path) -> Iterator[Stage]:
    """Set everything up, with the clock at `starts_at`; take it down at the end, whatever happens.

    Points this process's own settings at the demo's database, so it works once in a process. Raises `RunFailed`,
    `PostgresFailed` and `InvalidEnvironment`.
    """
    home = private_folder(read_environment(_cleaned(os.environ)).local_dir)
    with ExitStack() as stack:
        stack.enter_context(only_one(home, CLUSTER))
        cluster = Cluster(CLUSTER, home, durable=False)
        cluster.remove()
        stack.callback(cluster.remove)
        urls = stack.enter_context(cluster)
        port = free_port(FIRST_PORT)
        env = _process_environment(urls.app_url, home, port)
        _migrate({**env, "DATABASE_OWNER_URL": urls.owner_url})
        _become_django(env, starts_at)
        log = stack.enter_context((out / "processes.log").open("w", encoding="utf-8"))
        remove = (sys.executable, "-m", "config.postgres", "remove", CLUSTER)
        supervisor = Supervisor(_processes(env), env, output=log, grace_seconds=GRACE_SECONDS, after_death=remove)
        stage = Stage(f"http://127.0.0.1:{port}", Path(log.name), stack.enter_context(supervisor))
        _await_web(stage)
        yield stage


def _cleaned(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in _NOT_INHERITED}


def _process_environment(app_url: str, home: Path, port: int) -> dict[str, str]:
    return _cleaned(os.environ) | {
        "DATABASE_URL": app_url,
        "TOKENBOURSE_CLOCK": "simulated",
        "TOKENBOURSE_HOME": str(home),
        "TOKENBOURSE_SECRET_KEY": secrets.token_hex(32),
        "TOKENBOURSE_KEY_SECRET": secrets.token_hex(32),
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }


def _processes(env: Mapping[str, str]) -> list[ProcessSpec]:
    specs = parse_procfile((CHECKOUT / "Procfile").read_text(encoding="utf-8"), env)
    return [spec for spec in specs if spec.name in PROCESSES]


def _migrate(env: Mapping[str, str]) -> None:
    done = run(
        [sys.executable, "manage.py", "migrate", "--database", "owner", "--verbosity", "0"],
        cwd=CHECKOUT,
        env=env,
        check=False,
    )
    if done.returncode != 0:
        raise RunFailed("the database cannot be migrated")


def _become_django(env: Mapping[str, str], starts_at: datetime) -> None:
    """The driver takes part as operator and provider staff do inside the web process: through commands."""
    for name in _NOT_INHERITED:
        os.environ.pop(name, None)
    os.environ.update(env, DJANGO_SETTINGS_MODULE="config.settings")
    import django  # reads the settings, which read the environment: not before now

    django.setup()
    from config.clock import SimulatedClock

    SimulatedClock().set(starts_at)


def _await_web(stage: Stage) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        stage.check()
        try:
            if requests.get(f"{stage.base_url}/api/v1/time", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise RunFailed(f"the web process did not answer within {READY_SECONDS:g} s; {stage.log} tells why")
