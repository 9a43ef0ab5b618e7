"""Processes that are measured: started beside this one, their memory, their garbage collector."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
from django.db import connection

from config.environment import CHECKOUT
from tests.bench.parts import BenchFailed, Database

MIB = 2**20
STOP_SECONDS = 20
LOOKS_SECONDS = 0.01


@contextmanager
def running(database: Database, *arguments: str) -> Iterator[psutil.Process]:
    """Run this Python with these arguments on a database until the end of the block."""
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=CHECKOUT, env=_on(database.url), stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def ask_module(module: str, database_url: str) -> Any:
    """Run a module on a database; the JSON of the last line it printed. Raises `CalledProcessError` when it fails."""
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, cwd=CHECKOUT, env=_on(database_url), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def watched_memory() -> Iterator[Callable[[], float]]:
    """A function that tells how many MiB this process has held at most since the block began."""
    process, ended = psutil.Process(), threading.Event()
    peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not ended.wait(LOOKS_SECONDS):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: peak / MIB
    finally:
        ended.set()
        watcher.join()


def postgres_process() -> psutil.Process:
    """The server that Django's connection is served by, which started all its processes and works in its data
    directory. Raises `BenchFailed` when it runs elsewhere."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        number = cursor.fetchone()[0]
    server = psutil.Process(number).parent() if psutil.pid_exists(number) else None
    if server is None:
        raise BenchFailed("PostgreSQL does not run on this machine")
    return server


def processor_seconds(process: psutil.Process) -> float:
    """What a process, those it started, and those of them that have ended have used of all processors."""
    own = process.cpu_times()
    seconds = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(child.cpu_times()[:4])
    return float(seconds)


@contextmanager
def collector_resting() -> Iterator[None]:
    """As in a process that switches it off, and for what is measured beside it."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _on(database_url: str) -> dict[str, str]:
    """The environment of a process that works on a database as the application role."""
    environment = os.environ | {"DATABASE_URL": database_url}
    environment.pop("DATABASE_OWNER_URL", None)
    return environment
