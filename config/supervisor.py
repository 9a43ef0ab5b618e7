"""Runs several processes as one: relays their output, restarts what dies, stops all of them together.

Every process leads a group of its own, so that a terminal's Ctrl-C reaches only the supervisor, and whatever a
process leaves behind goes with it. A guard outside (`config.guard`) ends them all if the supervisor is killed.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from types import TracebackType
from typing import IO, TextIO

from honcho.colour import get_colours
from honcho.environ import parse_procfile as split_procfile
from honcho.printer import Message, Printer

from config.environment import CHECKOUT
from config.guard import signal_group

KILL_SECONDS = 5.0
RELAY_SECONDS = 2.0  # for the last lines; somebody outside the group may hold the pipe for ever


class InvalidProcfile(ValueError):
    """A line of the Procfile cannot be run; the message names it."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process to keep running; `argv[0]` is looked up on the PATH, no shell is involved."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a process that died is started again: doubling, up to a limit.

    A process that lived for `healthy_seconds` starts from the beginning.
    """

    first_seconds: float = 0.5
    limit_seconds: float = 30.0
    healthy_seconds: float = 10.0

    def delay_seconds(self, failures: int) -> float:
        """The wait after so many failures in a row, counted from 1."""
        return min(self.limit_seconds, self.first_seconds * 2.0 ** min(failures - 1, 30))


def parse_procfile(text: str, env: Mapping[str, str]) -> tuple[ProcessSpec, ...]:
    """The processes of a Procfile, with `$NAME` taken from `env` and `python` being this interpreter.

    A value is never split, so it may hold spaces. Raises InvalidProcfile.
    """
    specs = []
    for name, command in split_procfile(text).processes.items():
        try:
            argv = [Template(word).substitute(env) for word in shlex.split(command)]
        except KeyError as error:
            raise InvalidProcfile(f"{name}: the variable {error.args[0]} is not set") from None
        except ValueError as error:
            raise InvalidProcfile(f"{name}: {error}") from None
        if argv[0] == "python":
            argv[0] = sys.executable
        specs.append(ProcessSpec(name, tuple(argv)))
    return tuple(specs)


class Supervisor:
    """Keeps the processes running from `start` to `stop`; a context manager.

    `env` is their whole environment. After SIGTERM a process has `grace_seconds` to end. `after_death` is a command
    that the guard runs when this process was killed and all others are gone. Output goes line by line to `output`
    (standard output if None), with time and name in front, coloured on a terminal.
    """

    def __init__(
        self,
        processes: Sequence[ProcessSpec],
        env: Mapping[str, str],
        *,
        output: TextIO | None = None,
        grace_seconds: float = 10.0,
        backoff: Backoff | None = None,
        after_death: Sequence[str] = (),
        cwd: Path = CHECKOUT,
    ) -> None:
        self._processes, self._env, self._cwd = tuple(processes), dict(env), cwd
        self._grace_seconds, self._backoff, self._after_death = grace_seconds, backoff or Backoff(), after_death
        self._printer = Printer(output or sys.stdout, width=max((len(spec.name) for spec in processes), default=0))
        self._colours = dict(zip((spec.name for spec in processes), get_colours(), strict=False))
        self._printing = threading.Lock()
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._restarts = {spec.name: 0 for spec in processes}
        self._threads: list[threading.Thread] = []
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run at the moment, by name."""
        with self._changing:
            return {name: process.pid for name, process in self._running.items()}

    @property
    def restarts(self) -> dict[str, int]:
        """How often each process has been started again."""
        return dict(self._restarts)

    def start(self) -> None:
        """Start the guard and all processes."""
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "config.guard", str(self._grace_seconds), *self._after_death],
            stdin=subprocess.PIPE,
            cwd=CHECKOUT,
            start_new_session=True,
        )
        for spec in self._processes:
            thread = threading.Thread(target=self._keep_running, args=(spec,), name=spec.name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ask every process to end, kill what does not in time, and return when all are gone."""
        self._stopping.set()
        with self._changing:
            for process in self._running.values():
                process.terminate()
        ended = self._all_ended(self._grace_seconds)
        if not ended:
            with self._changing:
                for name, process in self._running.items():
                    self._say(name, f"did not end within {self._grace_seconds:g} s: killed")
                    signal_group(process.pid, signal.SIGKILL)
            ended = self._all_ended(KILL_SECONDS)
        if ended:
            self._tell_guard("done")
        if self._guard and self._guard.stdin:
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None

    def __enter__(self) -> Supervisor:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _all_ended(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _keep_running(self, spec: ProcessSpec) -> None:
        failures = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            outcome = self._run_once(spec)
            if self._stopping.is_set():
                return
            lived = time.monotonic() - started
            failures = 1 if lived >= self._backoff.healthy_seconds else failures + 1
            delay = self._backoff.delay_seconds(failures)
            self._say(spec.name, f"{outcome}; starting it again in {delay:g} s")
            self._stopping.wait(delay)
            self._restarts[spec.name] += 1

    def _run_once(self, spec: ProcessSpec) -> str:
        """Run one life of a process, and say how it ended."""
        with self._changing:
            if self._stopping.is_set():
                return "not started"
            try:
                process = subprocess.Popen(
                    spec.argv,
                    env=self._env,
                    cwd=self._cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                return f"cannot be started: {error}"
            self._running[spec.name] = process
            self._tell_guard(f"+{process.pid}")
        relay = threading.Thread(target=self._relay, args=(spec.name, process.stdout), daemon=True)
        relay.start()
        code = process.wait()
        signal_group(process.pid, signal.SIGKILL)  # children it left would keep its port or its place in the queue
        relay.join(RELAY_SECONDS)
        with self._changing:
            del self._running[spec.name]
            self._tell_guard(f"-{process.pid}")
        return f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"

    def _relay(self, name: str, lines: IO[bytes]) -> None:
        with lines:
            for line in lines:
                self._say(name, line)

    def _say(self, name: str, line: str | bytes) -> None:
        message = Message("line", line, datetime.now(UTC).astimezone(), name, self._colours[name])
        with self._printing, suppress(OSError, ValueError):  # a closed terminal must not stop the work
            self._printer.write(message)

    def _tell_guard(self, line: str) -> None:
        if self._guard and self._guard.stdin:
            with suppress(OSError):
                os.write(self._guard.stdin.fileno(), f"{line}\n".encode())
