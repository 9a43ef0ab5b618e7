"""One web process with one worker, as `make run` starts it, and clients that send it bodies made before."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress

import psutil

from config.environment import CHECKOUT
from config.postgres_server import port_is_free
from config.supervisor import parse_procfile
from tests.bench.parts import BenchFailed, Database
from tests.bench.process import running
from tests.ports import first_port

FIRST_PORT = 9_400
PATH = "/api/v1/usage-events"
PATIENCE_SECONDS = 60
MEDIA_TYPE = "application/cloudevents-batch+json"


@contextmanager
def running_web(database: Database) -> Iterator[tuple[int, psutil.Process]]:
    """Its port and the process that started it, once it answers."""
    port = next(port for port in range(first_port(FIRST_PORT), 65_536) if port_is_free(port))
    lines = (CHECKOUT / "Procfile").read_text(encoding="utf-8").splitlines()
    web = next(line for line in lines if line.startswith("web:"))
    (spec,) = parse_procfile(web, os.environ | {"PORT": str(port)})
    with running(database, *spec.argv[1:]) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _answers(port):
            if time.monotonic() > deadline:
                raise BenchFailed("the web process does not answer")
            time.sleep(0.05)
        yield port, process


def send_all(port: int, clients: Sequence[tuple[str, Sequence[bytes]]]) -> tuple[float, list[bytes]]:
    """Each client, by its API key, sends its bodies on a connection of its own, one after the other; all at once.

    The seconds from the first call to the last answer, and the answers, client by client. Raises `BenchFailed`.
    """
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(_connection(port))) for _ in clients]
        pool = stack.enter_context(ThreadPoolExecutor(len(clients)))
        for connection in connections:
            connection.connect()
        started = time.perf_counter()
        sent = [pool.submit(_send, *each) for each in zip(connections, clients, strict=True)]
        answers = [answer for client in sent for answer in client.result()]
        return time.perf_counter() - started, answers


def _connection(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)


def _send(connection: http.client.HTTPConnection, client: tuple[str, Sequence[bytes]]) -> list[bytes]:
    key, bodies = client
    headers = {"Authorization": f"Bearer {key}", "Content-Type": MEDIA_TYPE}
    answers = []
    for body in bodies:
        connection.request("POST", PATH, body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise BenchFailed(f"the call was refused: {answer[:500]!r}")
        answers.append(answer)
    return answers


def _answers(port: int) -> bool:
    with suppress(OSError), closing(_connection(port)) as connection:
        connection.request("GET", "/api/v1/problems")
        return connection.getresponse().status < 500
    return False
