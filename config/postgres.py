"""The embedded PostgreSQL: clusters of this checkout, each with a name (`run`, `test`, `demo`).

A cluster has a private unix socket and loopback TCP, both with scram-sha-256, and three roles: a superuser that only
makes the cluster, `tokenbourse_owner` that owns the database and migrates it, and `tokenbourse_app` that may do what
the migrations grant. Passwords are made once and kept 0600 in the local folder.

    python -m config.postgres start|stop|url|status|remove NAME
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from config.environment import Environment, InvalidEnvironment, embedded_broker_url, read_environment
from config.postgres_host import PostgresFailed, cluster_folder, prepare_host
from config.postgres_server import APP, DATABASE, OWNER, Credentials, Postmaster, Server, find_postmaster
from config.private_files import keep_secret, locked

FIRST_PORTS = {"run": 54330, "test": 54430, "demo": 54530}
OTHER_FIRST_PORT = 54630


class Status(StrEnum):
    ABSENT = "absent"
    STOPPED = "stopped"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class ClusterUrls:
    """Connection URLs of a running cluster, over its unix socket."""

    app_url: str
    owner_url: str


def _say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr)


class Cluster:
    """One embedded database cluster of the checkout whose local folder is `home`.

    A cluster that is not `durable` may lose its data with the machine, never syncs, and lets the owner create
    databases (to clone a migrated template); by default only `test` is one. As a context manager it starts the
    cluster, and stops it when the last process that uses it leaves. Every method may raise PostgresFailed.
    """

    def __init__(
        self, name: str, home: Path, *, durable: bool | None = None, say: Callable[[str], None] = _say_on_stderr
    ) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]{0,19}", name):
            raise PostgresFailed(f"{name!r} is no name for a cluster: a small letter, then letters and digits")
        kept = home.resolve() / "postgres"
        self._name, self._home, self._say = name, home, say
        self._durable = name != "test" if durable is None else durable
        self._data = cluster_folder(name, home) / "data"
        self._lock = kept / f".{name}.lock"
        self._users_lock = kept / f".{name}.users"
        self._credentials_path = kept / f"{name}-{os.geteuid()}.json"
        self._use: int | None = None

    @property
    def status(self) -> Status:
        if find_postmaster(self._data):
            return Status.RUNNING
        return Status.STOPPED if self._data.exists() else Status.ABSENT

    @property
    def pid(self) -> int | None:
        """The server's process, if it runs."""
        postmaster = find_postmaster(self._data)
        return postmaster.pid if postmaster else None

    def urls(self) -> ClusterUrls | None:
        """Where the cluster answers, or None when it does not."""
        postmaster = find_postmaster(self._data)
        return self._urls(postmaster) if postmaster and postmaster.answers() else None

    def start(self) -> ClusterUrls:
        """Make the cluster if there is none, start it if it does not run, and tell where it answers."""
        with locked(self._lock):
            return self._start()

    def stop(self) -> None:
        """Stop the server, whoever uses it: open transactions are rolled back, connections closed."""
        with locked(self._lock):
            self._stop()

    def stop_if_unused(self) -> bool:
        """Stop the server unless a process holds it as a context manager; tells whether it is stopped now."""
        with locked(self._lock):
            users = self._open_users_lock()
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._stop()
            except BlockingIOError:
                return False
            finally:
                os.close(users)
        return True

    def remove(self) -> None:
        """Stop the server and delete the cluster with all its data."""
        with locked(self._lock):
            self._stop()
            self._credentials_path.unlink(missing_ok=True)
            if self._data.parent.exists():
                host = self._server.host
                shutil.rmtree(host.sockets, ignore_errors=True)
                shutil.rmtree(host.folder)
                with suppress(OSError):
                    host.folder.parent.rmdir()  # empty after the last cluster

    def __enter__(self) -> ClusterUrls:
        with locked(self._lock):
            urls = self._start()
            self._use = self._open_users_lock()
            fcntl.flock(self._use, fcntl.LOCK_SH)
        return urls

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._use is not None:
            os.close(self._use)
            self._use = None
        self.stop_if_unused()

    @cached_property
    def _server(self) -> Server:
        host = prepare_host(self._name, self._home)
        first_port = FIRST_PORTS.get(self._name, OTHER_FIRST_PORT)
        return Server(host, durable=self._durable, first_port=first_port, say=self._say)

    def _start(self) -> ClusterUrls:
        if self._data.exists() and not self._credentials_path.exists():
            self._stop()
            self._server.set_data_aside()
        if not self._data.exists():
            self._server.initialise(self._credentials())
        postmaster = find_postmaster(self._data)
        if postmaster and not postmaster.answers():
            self._stop()
            postmaster = None
        return self._urls(postmaster or self._server.launch())

    def _stop(self) -> None:
        if find_postmaster(self._data):
            self._server.halt()

    def _credentials(self) -> Credentials:
        def create() -> str:
            return json.dumps(asdict(Credentials(*(secrets.token_urlsafe(24) for _ in range(3)))))

        return Credentials(**json.loads(keep_secret(self._credentials_path, create)))

    def _urls(self, postmaster: Postmaster) -> ClusterUrls:
        passwords = self._credentials()
        place = f"/{DATABASE}?host={quote(str(postmaster.sockets), safe='')}&port={postmaster.port}"
        return ClusterUrls(
            app_url=f"postgresql://{APP}:{passwords.app}@{place}",
            owner_url=f"postgresql://{OWNER}:{passwords.owner}@{place}",
        )

    def _open_users_lock(self) -> int:
        return os.open(self._users_lock, os.O_RDWR | os.O_CREAT, 0o600)


def connected_to_embedded(environment: Environment) -> Environment:
    """`environment` with the addresses of the `run` cluster filled in, if no database was given and it runs."""
    if not environment.uses_embedded_database:
        return environment
    urls = Cluster("run", environment.local_dir).urls()
    if urls is None:
        return environment
    return replace(
        environment,
        database_url=urls.app_url,
        database_owner_url=urls.owner_url,
        broker_url=environment.broker_url or embedded_broker_url(urls.app_url),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; `url` prints shell assignments that can be evaluated."""
    parser = argparse.ArgumentParser(prog="python -m config.postgres", description="The embedded PostgreSQL.")
    parser.add_argument("action", choices=("start", "stop", "url", "status", "remove"))
    parser.add_argument("name", metavar="NAME", help="run, test or demo")
    parser.add_argument("--if-unused", action="store_true", help="stop only when no process uses the cluster")
    chosen = parser.parse_args(arguments)
    try:
        cluster = Cluster(chosen.name, read_environment().local_dir)
        _act(cluster, chosen.action, chosen.if_unused)
    except (InvalidEnvironment, PostgresFailed) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _act(cluster: Cluster, action: str, if_unused: bool) -> None:
    match action:
        case "start":
            _print_urls(cluster.start())
        case "url":
            urls = cluster.urls()
            if urls is None:
                raise PostgresFailed("the cluster does not answer")
            _print_urls(urls)
        case "status":
            print(cluster.status)
        case "stop" if if_unused:
            cluster.stop_if_unused()
        case "stop":
            cluster.stop()
        case "remove":
            cluster.remove()


def _print_urls(urls: ClusterUrls) -> None:
    print(f"DATABASE_URL='{urls.app_url}'\nDATABASE_OWNER_URL='{urls.owner_url}'")


if __name__ == "__main__":
    sys.exit(main())
