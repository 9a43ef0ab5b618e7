"""A RabbitMQ node of the test's own, on ports of its own, so that it may be killed: the machine's is left alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from config.postgres_server import port_is_free
from tests.crash.sequencers import Process
from tests.ports import first_port

FIRST_PORT = 9_300
START_SECONDS = 90.0
GREETING = b"AMQP\x00\x00\x09\x01"
# The scripts that start a node as whoever calls them; the one in the path of some systems insists on a user of its own.
SERVERS = ("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server")
NAME_DAEMONS = ("/usr/lib/erlang/erts-*/bin/epmd", "/usr/bin/epmd")


def _first(patterns: tuple[str, ...]) -> Path | None:
    found = (path for pattern in patterns for path in sorted(Path("/").glob(pattern.removeprefix("/"))))
    return next(found, None)


def why_not() -> str:
    """Why no node can be started here; empty if one can."""
    missing = [name for name, found in (("rabbitmq-server", SERVERS), ("epmd", NAME_DAEMONS)) if _first(found) is None]
    return f"RabbitMQ was not killed, since none can be started: no {' and no '.join(missing)}" if missing else ""


@dataclass
class Node:
    """A broker with its data in `home`, and the name daemon that it needs."""

    home: Path
    ports: tuple[int, int, int] = field(init=False)  # of the broker, of its distribution, of the name daemon
    running: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        free = (port for port in range(first_port(FIRST_PORT), 65_536) if port_is_free(port))
        self.ports = next(free), next(free), next(free)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.ports[0]}//"

    def start(self) -> None:
        """With what was on its disk when it died; returns once it answers."""
        server, daemon = _first(SERVERS), _first(NAME_DAEMONS)
        if not self.running:
            (self.home / "plugins").write_text("[].")
            self._run(str(daemon), "-port", str(self.ports[2]))
        self._run(str(server))
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.home / "said").read_text()[-2_000:]
            assert self.running[-1].poll() is None, (self.home / "said").read_text()[-2_000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """The whole of it, as a machine that goes dark."""
        _kill(self.running.pop())

    def end(self) -> None:
        for process in reversed(self.running):  # the name daemon last: a node would start another one
            _kill(process)

    def _run(self, *command: str) -> None:
        with (self.home / "said").open("ab") as said:
            started = subprocess.Popen(
                command,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.running.append(started)

    def _environment(self) -> dict[str, str]:
        port, distribution, daemon = (str(each) for each in self.ports)
        ours = {name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ_")}
        return ours | {
            "HOME": str(self.home),
            "ERL_EPMD_PORT": daemon,
            "RABBITMQ_NODENAME": f"tokenbourse{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": port,
            "RABBITMQ_DIST_PORT": distribution,
            "RABBITMQ_MNESIA_BASE": str(self.home / "data"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.home / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(self.home / "none.sh"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false",
        }

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[0]), timeout=2) as wire:
            wire.sendall(GREETING)
            return bool(wire.recv(1))
        return False


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def own_node(home: Path) -> Iterator[Node]:
    node = Node(home)
    try:
        node.start()
        yield node
    finally:
        node.end()
