"""What all tests stand on.

Tests that need a database get a fresh clone of a migrated template on the embedded `test` cluster, as the application
role and with real commits: nothing is rolled back, nothing flushed (the product's tables refuse TRUNCATE). A clone is
dropped after its test. Several pytest processes may share the cluster and the template: `make test` starts some.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import django
import psutil
import psycopg
import pytest
from hypothesis import settings as hypothesis_settings
from psycopg import sql

from config.environment import CHECKOUT, database_settings, embedded_broker_url, read_environment
from config.postgres import Cluster, ClusterUrls
from config.postgres_host import cluster_folder
from config.postgres_server import OWNER

hypothesis_settings.register_profile("tokenbourse", print_blob=True, deadline=None)
hypothesis_settings.load_profile("tokenbourse")

os.environ.setdefault("TOKENBOURSE_SECRET_KEY", "only-for-tests-" + secrets.token_hex(16))
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # playwright's event loop lives in the test's thread
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()

TEMPLATE_SOURCES = ("*/migrations/*.py", "*/sql/*.sql")
WORKERS_MAX = 6  # of the test cluster's 100 connections some tests take more than ten
STARTS_SERVERS = {  # on ports they look for, so one after another
    "tests/integration/test_embedded_postgres.py",
    "tests/integration/test_live_market.py",
    "tests/integration/test_run.py",
    "tests/scenarios/test_demo.py",
}
MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 2_000_000_000  # free; in containers it is often only 64 MB


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than processors, since tests also wait for processes and for the database."""
    return min(WORKERS_MAX, len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else 3)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.partition("::")[0] in STARTS_SERVERS:
            item.add_marker(pytest.mark.xdist_group("servers"))


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """A test's own database, for processes that it starts."""

    app_url: str
    owner_url: str

    def environment(self) -> dict[str, str]:
        """The environment of a process that works on this database."""
        return os.environ | {
            "DATABASE_URL": self.app_url,
            "DATABASE_OWNER_URL": self.owner_url,
            "CELERY_BROKER_URL": embedded_broker_url(self.app_url),
        }


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _connect_django(app_url: str, owner_url: str) -> None:
    """Point Django's connections at another database."""
    from django.db import connections

    for alias, url in (("default", app_url), ("owner", owner_url)):
        settings = database_settings(url)
        if alias not in connections.databases:
            connections.databases[alias] = connections.databases["default"].copy()
        connections[alias].close()
        for known in (connections.databases[alias], connections[alias].settings_dict):
            known.update(settings)


@pytest.fixture(scope="session")
def cluster() -> Iterator[ClusterUrls]:
    """The embedded `test` cluster, running."""
    with Cluster("test", read_environment().local_dir) as urls:
        yield urls


@pytest.fixture(scope="session")
def tablespace(cluster: ClusterUrls) -> Iterator[str]:
    """Where databases are made: in memory where there is room, for a clone is 650 files, which disks make slowly."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_BYTES_MIN:
        yield "pg_default"
        return
    local_dir = read_environment().local_dir
    server = cluster_folder("test", local_dir).stat()
    name = f"memory_{os.getpid()}"
    with (
        tempfile.TemporaryDirectory(prefix="tokenbourse-test-", dir=MEMORY) as folder,
        psycopg.connect(
            cluster.owner_url,
            user="postgres",
            password=Cluster("test", local_dir)._credentials().superuser,
            autocommit=True,
        ) as superuser,
    ):
        os.chown(folder, server.st_uid, server.st_gid)
        _forget_tablespaces_of_the_dead(superuser)
        superuser.execute(
            sql.SQL("CREATE TABLESPACE {} OWNER {} LOCATION {}").format(
                sql.Identifier(name), sql.Identifier(OWNER), sql.Literal(folder)
            )
        )
        yield name
        _forget_tablespace(superuser, name)


def _forget_tablespaces_of_the_dead(superuser: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Remove what killed test runs left in memory."""
    superuser.execute("SELECT pg_advisory_lock(2)")
    found = superuser.execute(
        "SELECT spcname, pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname ~ '^memory_[0-9]+$'"
    ).fetchall()
    for name, folder in found:
        if not psutil.pid_exists(int(name.removeprefix("memory_"))):
            _forget_tablespace(superuser, name)
            shutil.rmtree(folder, ignore_errors=True)
    superuser.execute("SELECT pg_advisory_unlock(2)")


def _forget_tablespace(superuser: psycopg.Connection[tuple[Any, ...]], name: str) -> None:
    left = superuser.execute(
        "SELECT datname FROM pg_database JOIN pg_tablespace ON pg_tablespace.oid = dattablespace WHERE spcname = %s",
        [name],
    ).fetchall()
    for (database,) in left:
        superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
    superuser.execute(sql.SQL("DROP TABLESPACE {}").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def template(cluster: ClusterUrls) -> str:
    """The name of a migrated, empty database; made anew whenever a migration changes."""
    from django.core.management import call_command

    digest = hashlib.sha256()
    for pattern in TEMPLATE_SOURCES:
        for path in sorted(Path(CHECKOUT).glob(pattern)):
            digest.update(path.read_bytes())
    name = f"template_{digest.hexdigest()[:16]}"
    with psycopg.connect(cluster.owner_url, autocommit=True) as owner:
        owner.execute("SELECT pg_advisory_lock(1)")  # two test runs at once share the template
        if owner.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            unfinished = f"{name}_new"
            owner.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(unfinished)))
            owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(unfinished)))
            app_url, owner_url = (_with_database(url, unfinished) for url in (cluster.app_url, cluster.owner_url))
            _connect_django(app_url, owner_url)
            call_command("migrate", database="owner", verbosity=0)
            _close_connections()
            owner.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(unfinished), sql.Identifier(name))
            )
            _forget_old_templates(owner, name)
        owner.execute("SELECT pg_advisory_unlock(1)")
    return name


def _forget_old_templates(owner: psycopg.Connection[tuple[Any, ...]], current: str) -> None:
    """Drop templates of earlier migrations that nobody clones right now."""
    found = owner.execute("SELECT datname FROM pg_database WHERE datname ~ '^template_[0-9a-f]{16}$'").fetchall()
    for (name,) in found:
        if name != current:
            with suppress(psycopg.errors.ObjectInUse):
                owner.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def _close_connections() -> None:
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        connection.close()


@dataclass(frozen=True, slots=True)
class Databases:
    """Makes and drops the databases of tests."""

    cluster: ClusterUrls
    tablespace: str
    owner: psycopg.Connection[tuple[Any, ...]]
    application: psycopg.Connection[tuple[Any, ...]]

    def make(self, template: str = "template1") -> str:
        """The name of a new database. Its files are copied whole, which needs no write-ahead log."""
        name = f"test_{secrets.token_hex(6)}"
        self.owner.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy TABLESPACE {}").format(
                *map(sql.Identifier, (name, template, self.tablespace))
            )
        )
        return name

    @contextmanager
    def connected(self, name: str) -> Iterator[DatabaseUrls]:
        """Django is connected to that database, which is dropped at the end."""
        urls = DatabaseUrls(_with_database(self.cluster.app_url, name), _with_database(self.cluster.owner_url, name))
        _connect_django(urls.app_url, urls.owner_url)
        yield urls
        _close_connections()
        self.application.execute(  # what a test's process left behind
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user",
            [name],
        )
        self.drop(name)

    def drop(self, name: str) -> None:
        self.owner.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))  # waits for the last to go


@contextmanager
def _databases(cluster: ClusterUrls, tablespace: str) -> Iterator[Databases]:
    with (
        psycopg.connect(cluster.owner_url, autocommit=True) as owner,
        psycopg.connect(cluster.app_url, autocommit=True) as application,
    ):
        yield Databases(cluster, tablespace, owner, application)


@pytest.fixture(scope="session")
def databases(cluster: ClusterUrls, tablespace: str) -> Iterator[Databases]:
    with _databases(cluster, tablespace) as databases:
        yield databases


@pytest.fixture(scope="session")
def take_clone(cluster: ClusterUrls, tablespace: str, template: str) -> Iterator[Callable[[], str]]:
    """Gives the name of a fresh clone; the next one is made while a test works on this one."""
    with _databases(cluster, tablespace) as ahead, ThreadPoolExecutor(1) as maker:
        waiting = [maker.submit(ahead.make, template)]

        def take() -> str:
            name = waiting.pop().result()
            waiting.append(maker.submit(ahead.make, template))
            return name

        yield take
        ahead.drop(waiting.pop().result())


@pytest.fixture
def database(databases: Databases, take_clone: Callable[[], str]) -> Iterator[DatabaseUrls]:
    """A fresh migrated database that Django's `default` connection uses as the application role."""
    with databases.connected(take_clone()) as urls:
        yield urls


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[DatabaseUrls]:
    """A database without a table, that Django is connected to: for tests of migrations."""
    with databases.connected(databases.make()) as urls:
        yield urls
