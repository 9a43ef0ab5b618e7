"""Making, starting and stopping the server of one cluster with PostgreSQL's own programs.

Nothing here locks: `config.postgres.Cluster` sees to it that one process at a time calls in.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from config.postgres_host import Host, PostgresFailed
from config.private_files import write_private

DATABASE, OWNER, APP = "tokenbourse", "tokenbourse_owner", "tokenbourse_app"
MAJOR_VERSION = "18"
PORTS_TRIED = 100
START_SECONDS = 60
ORPHANS_SECONDS = 30  # how long the backends of a killed server may take to go away
CRASH_SECONDS = 3  # how long its port may take to become free
LOG_BYTES_MAX = 10_000_000
ANSWER_SECONDS = 5
SSL_REQUEST = bytes.fromhex("00000008 04d2162f")  # the shortest question every server answers
NO_SUCH_PID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Credentials:
    """The passwords of the three roles."""

    superuser: str
    owner: str
    app: str


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A live server, as its pid file tells."""

    pid: int
    port: int
    sockets: Path

    def answers(self) -> bool:
        """Whether it takes connections: it may be dying, or a cleaner of temporary folders took its socket away."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(ANSWER_SECONDS)
            try:
                client.connect(str(self.sockets / f".s.PGSQL.{self.port}"))
                client.sendall(SSL_REQUEST)
                return client.recv(1) in (b"N", b"S")
            except OSError:
                return False


def find_postmaster(data: Path) -> Postmaster | None:
    """The server running on a data folder. A stale pid file does not count, even if its number was used again."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        found = Postmaster(pid=int(lines[0]), port=int(lines[3]), sockets=Path(lines[4]))
        return found if str(data) in psutil.Process(found.pid).cmdline() else None
    except (FileNotFoundError, IndexError, ValueError, psutil.Error):
        return None


class Server:
    """The server of the cluster at `host`. `say` receives what the user should know."""

    def __init__(self, host: Host, *, durable: bool, first_port: int, say: Callable[[str], None]) -> None:
        self.host = host
        self._durable = durable
        self._first_port = first_port
        self._say = say
        self.data = host.folder / "data"
        self._log = host.folder / "server.log"

    def postmaster(self) -> Postmaster | None:
        return find_postmaster(self.data)

    def initialise(self, credentials: Credentials) -> None:
        """Make the data folder, roles and database. It appears complete or not at all, and never on the network."""
        fresh, password = self.host.folder / "data.new", self.host.folder / "password"
        shutil.rmtree(fresh, ignore_errors=True)
        write_private(password, credentials.superuser, owner=self.host.account)
        try:
            self._must_run(
                *("initdb", "--pgdata", str(fresh), "--username", "postgres", "--pwfile", str(password)),
                *("--auth", "scram-sha-256", "--data-checksums", "--no-instructions", "--encoding", "UTF8"),
                *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
                *(() if self._durable else ("--no-sync",)),
            )
        finally:
            password.unlink()
        self._single_user(
            fresh,
            "postgres",
            f"CREATE ROLE {OWNER} LOGIN CREATEDB PASSWORD '{credentials.owner}'",  # for replay
            f"CREATE ROLE {APP} LOGIN PASSWORD '{credentials.app}'",
            f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
            f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
            f"GRANT CONNECT, TEMPORARY ON DATABASE {DATABASE} TO {APP}",
        )
        self._single_user(
            fresh, DATABASE, f"ALTER SCHEMA public OWNER TO {OWNER}", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        )
        fresh.rename(self.data)

    def launch(self) -> Postmaster:
        """Start the server on its last port, or the next free one, and wait until it answers.

        After a crash the old backends need a moment to go away; until then the start is repeated.
        """
        self._check_version()
        self._make_log()
        last_port = self._last_port() or self._first_port
        if self._disown_stale_pid():
            _wait_until(lambda: port_is_free(last_port), CRASH_SECONDS)  # the killed server may just be going away
        port = self._free_port(last_port)
        deadline = time.monotonic() + ORPHANS_SECONDS
        while True:
            self._configure(port)
            for leftover in self.host.sockets.glob(".s.PGSQL.*"):
                leftover.unlink()
            said_before = self._log.stat().st_size
            done = self.host.run("pg_ctl", "start", *self._pg_ctl_options(), "--log", str(self._log))
            if done.returncode == 0 and (postmaster := self.postmaster()):
                return postmaster
            said = self._log.read_bytes()[said_before:].decode(errors="replace")
            if "Address already in use" in said:
                port = self._free_port(port)
            elif "is still in use" not in said:
                raise PostgresFailed(f"PostgreSQL does not start; {self._log} says:\n{said.strip() or done.stdout}")
            if time.monotonic() > deadline:
                raise PostgresFailed(f"PostgreSQL does not start: processes of a killed server remain\n{said.strip()}")
            time.sleep(0.1)

    def halt(self) -> None:
        """Stop the server if it runs: fast, and at once if that takes too long."""
        for mode in ("fast", "immediate"):
            if self.postmaster() is None:
                return
            done = self.host.run("pg_ctl", "stop", *self._pg_ctl_options(), "--mode", mode)
        if self.postmaster() is not None:
            raise PostgresFailed(f"PostgreSQL does not stop: {done.stdout}")

    def set_data_aside(self) -> None:
        """Make room for a new cluster when the passwords of the old one are lost; what is durable is kept."""
        if not self._durable:
            shutil.rmtree(self.data)
            return
        aside = self.data.with_name(f"data.{datetime.now(UTC):%Y%m%d%H%M%S}")
        self.data.rename(aside)
        self._say(
            f"the passwords of the embedded database are lost; starting a new one, the old one is kept in {aside}"
        )

    def _pg_ctl_options(self) -> tuple[str, ...]:
        return ("--pgdata", str(self.data), "--silent", "--wait", "--timeout", str(START_SECONDS))

    def _must_run(self, program: str, *arguments: str, stdin: str = "") -> None:
        done = self.host.run(program, *arguments, stdin=stdin)
        if done.returncode != 0:
            raise PostgresFailed(f"{program} failed:\n{done.stdout.strip()}")

    def _single_user(self, data: Path, database: str, *statements: str) -> None:
        options = ("--single", "-D", str(data), "-c", "exit_on_error=on", *(() if self._durable else ("-F",)))
        self._must_run("postgres", *options, database, stdin="".join(f"{statement}\n" for statement in statements))

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != MAJOR_VERSION:
            raise PostgresFailed(
                f"{self.data} was made by PostgreSQL {found}, the installed one is {MAJOR_VERSION}: "
                "dump it with the old version, remove the cluster and restore"
            )

    def _disown_stale_pid(self) -> bool:
        """Free a pid file whose number may belong to somebody else now, as after a restart of a container.

        Tells whether there was one, that is, whether the last server was not stopped. PostgreSQL would take that
        process for its server. The rest of the file stays: with it, PostgreSQL finds out whether backends of the old
        server are still at the data.
        """
        path = self.data / "postmaster.pid"
        if not path.exists():
            return False
        _, newline, rest = path.read_text().partition("\n")
        write_private(path, f"{NO_SUCH_PID}{newline}{rest}", owner=self.host.account)
        return True

    def _make_log(self) -> None:
        if not self._log.exists() or self._log.stat().st_size > LOG_BYTES_MAX:
            write_private(self._log, "", owner=self.host.account)

    def _last_port(self) -> int | None:
        for line in (self.data / "postgresql.conf").read_text().splitlines():
            if line.startswith("port = "):
                return int(line.removeprefix("port = "))
        return None

    def _free_port(self, wanted: int) -> int:
        for port in range(wanted, wanted + PORTS_TRIED):
            if port_is_free(port):
                if port != wanted:
                    self._say(f"port {wanted} is taken; PostgreSQL uses {port}")
                return port
        raise PostgresFailed(f"no free port from {wanted} to {wanted + PORTS_TRIED - 1}")

    def _configure(self, port: int) -> None:
        sockets = str(self.host.sockets).replace("'", "''")
        settings = [
            "# written at every start",
            "listen_addresses = '127.0.0.1'",
            f"port = {port}",
            f"unix_socket_directories = '\"{sockets}\"'",
            "unix_socket_permissions = 0700",
            "max_connections = 100",
            f"shared_buffers = {_shared_buffers_megabytes()}MB",
            "max_wal_size = 2GB",
            "wal_writer_delay = 20ms",  # what is written before a COMMIT need not be written by it
            "timezone = 'UTC'",
            "log_timezone = 'UTC'",
            "log_line_prefix = '%m [%p] %u '",
            "log_checkpoints = off",
            *(() if self._durable else ("fsync = off", "full_page_writes = off")),
        ]
        write_private(self.data / "postgresql.conf", "\n".join(settings) + "\n", owner=self.host.account)


def port_is_free(port: int) -> bool:
    """Whether a server could listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def _shared_buffers_megabytes() -> int:
    """256 MB, or a sixteenth of a small machine's memory."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(16, min(256, memory // 16 // 1_000_000))
