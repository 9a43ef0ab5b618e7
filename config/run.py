"""`make run`: the database, the migrations, the seed, and then every process of the Procfile until Ctrl-C.

Without DATABASE_URL the embedded PostgreSQL is started, restarted when it dies, and stopped at the end.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from config.environment import CHECKOUT, Environment, InvalidEnvironment, read_environment
from config.postgres import Cluster, ClusterUrls, Status
from config.postgres_host import PostgresFailed
from config.postgres_server import port_is_free
from config.private_files import private_folder
from config.supervisor import InvalidProcfile, Supervisor, parse_procfile

CLUSTER = "run"
PORTS_TRIED = 100
WEB_SECONDS = 60
LOOK_SECONDS = 1.0
GRACE_SECONDS = 15.0  # an idle Celery worker takes up to 7


class RunFailed(Exception):
    """`make run` cannot go on; the message says why."""


def free_port(wanted: int) -> int:
    """The wanted loopback port, or the next free one. Raises RunFailed."""
    ports = range(wanted, min(wanted + PORTS_TRIED, 65536))
    for port in ports:
        if port_is_free(port):
            return port
    raise RunFailed(f"no port from {wanted} to {ports[-1]} can be opened here; PORT names another")


def process_environment(environment: Environment, urls: ClusterUrls) -> dict[str, str]:
    """What every process is told: the database as the application's role, never as its owner."""
    told = {name: value for name, value in os.environ.items() if name != "DATABASE_OWNER_URL"}
    told.setdefault("TOKENBOURSE_SETTLEMENT_MINUTES", "10")  # a small market shows its first statements soon
    return told | {
        "DATABASE_URL": urls.app_url,
        "TOKENBOURSE_SECRET_KEY": environment.secret_key,
        "TOKENBOURSE_HOME": str(environment.local_dir),
        "PYTHONUNBUFFERED": "1",
    }


def prepare_database(env: Mapping[str, str], owner_url: str) -> None:
    """Migrate as the owner, then put the first products, parties and users there. Raises RunFailed."""
    migrate = ("manage.py", "migrate", "--database", "owner", "--verbosity", "0")
    steps = ((migrate, {**env, "DATABASE_OWNER_URL": owner_url}), (("-m", "config.seed"), env))
    for arguments, step_env in steps:
        done = subprocess.run([sys.executable, *arguments], cwd=CHECKOUT, env=step_env, check=False)
        if done.returncode != 0:
            raise RunFailed(f"`{' '.join(arguments)}` failed with status {done.returncode}")


@contextmanager
def only_one(local_dir: Path, cluster: str) -> Iterator[None]:
    """Refuse a second use of this checkout's cluster, which would fight over the book. Raises RunFailed."""
    descriptor = os.open(private_folder(local_dir) / f"{cluster}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise RunFailed("it is running already in this checkout") from None
    finally:
        os.close(descriptor)


@contextmanager
def signals_end_it(status: int = 0) -> Iterator[None]:
    """Let the first SIGINT, SIGTERM or SIGHUP unwind the block, and the following ones not disturb that.

    The process then ends with `status`, unless somebody catches it.
    """
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def unwind(signum: int, frame: FrameType | None) -> None:
        for each in ending:
            signal.signal(each, signal.SIG_IGN)
        with suppress(OSError):  # the terminal may be gone
            print("\nStopping everything …", file=sys.stderr)
        raise SystemExit(status)

    before = {each: signal.signal(each, unwind) for each in ending}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def run(environment: Environment) -> None:
    """Bring everything up and keep it up until a signal comes. Raises RunFailed and PostgresFailed."""
    with ExitStack() as stack:
        stack.enter_context(only_one(environment.local_dir, CLUSTER))
        cluster = Cluster(CLUSTER, environment.local_dir) if environment.uses_embedded_database else None
        urls = stack.enter_context(cluster) if cluster else _given_urls(environment)
        env = process_environment(environment, urls)
        prepare_database(env, urls.owner_url)
        port = free_port(environment.port)
        env["PORT"] = str(port)
        processes = parse_procfile((CHECKOUT / "Procfile").read_text(encoding="utf-8"), env)
        stop_cluster = (sys.executable, "-m", "config.postgres", "stop", CLUSTER, "--if-unused")
        after_death = stop_cluster if cluster else ()
        stack.enter_context(Supervisor(processes, env, grace_seconds=GRACE_SECONDS, after_death=after_death))
        _announce(port, environment.port)
        while True:
            time.sleep(LOOK_SECONDS)
            if cluster and cluster.status is not Status.RUNNING and cluster.start() != urls:
                raise RunFailed("the embedded PostgreSQL died, and could only be started at another address")


def _given_urls(environment: Environment) -> ClusterUrls:
    if not environment.database_url or not environment.database_owner_url:
        raise RunFailed("DATABASE_OWNER_URL is missing: migrations run as the owner of the database")
    return ClusterUrls(environment.database_url, environment.database_owner_url)


def _announce(port: int, wanted: int) -> None:
    """Print the address as soon as the web process answers."""
    deadline = time.monotonic() + WEB_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    else:
        print(f"The web process has not answered for {WEB_SECONDS} s; its lines above may say why.", flush=True)
    if port != wanted:
        print(f"Port {wanted} is taken.", flush=True)
    print(f"Tokenbourse: http://127.0.0.1:{port}  (Ctrl-C stops everything)", flush=True)


def main() -> int:
    try:
        with signals_end_it():
            run(read_environment())
    except (InvalidEnvironment, PostgresFailed, InvalidProcfile, RunFailed) as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
