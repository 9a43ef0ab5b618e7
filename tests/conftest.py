"""What all tests stand on.

Tests that need a database get a fresh clone of a migrated template on the embedded `test` cluster, as the application
role and with real commits: nothing is rolled back, nothing flushed (the product's tables refuse TRUNCATE). A clone is
dropped after its test.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import django
import psycopg
import pytest
from hypothesis import settings as hypothesis_settings
from psycopg import sql

from config.environment import CHECKOUT, database_settings, embedded_broker_url, read_environment
from config.postgres import Cluster, ClusterUrls

hypothesis_settings.register_profile("tokenbourse", print_blob=True, deadline=None)
hypothesis_settings.load_profile("tokenbourse")

os.environ.setdefault("TOKENBOURSE_SECRET_KEY", "only-for-tests-" + secrets.token_hex(16))
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # playwright's event loop lives in the test's thread
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()

TEMPLATE_SOURCES = ("*/migrations/*.py", "*/sql/*.sql")


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


@pytest.fixture(scope="session")
def take_clone(cluster: ClusterUrls, template: str) -> Iterator[Callable[[], str]]:
    """Gives the name of a fresh clone; the next one is made while a test works on this one."""

    def make() -> str:
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(cluster.owner_url, autocommit=True) as owner:
            owner.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
        return name

    with ThreadPoolExecutor(1) as maker:
        waiting = [maker.submit(make)]

        def take() -> str:
            name = waiting.pop().result()
            waiting.append(maker.submit(make))
            return name

        yield take
        _drop(cluster, waiting.pop().result())


@pytest.fixture
def database(cluster: ClusterUrls, take_clone: Callable[[], str]) -> Iterator[DatabaseUrls]:
    """A fresh migrated database that Django's `default` connection uses as the application role."""
    name = take_clone()
    urls = DatabaseUrls(_with_database(cluster.app_url, name), _with_database(cluster.owner_url, name))
    _connect_django(urls.app_url, urls.owner_url)
    yield urls
    _close_connections()
    _drop(cluster, name)


@pytest.fixture
def empty_database(cluster: ClusterUrls) -> Iterator[DatabaseUrls]:
    """A database without a table, that Django is connected to: for tests of migrations."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(cluster.owner_url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    urls = DatabaseUrls(_with_database(cluster.app_url, name), _with_database(cluster.owner_url, name))
    _connect_django(urls.app_url, urls.owner_url)
    yield urls
    _close_connections()
    _drop(cluster, name)


def _drop(cluster: ClusterUrls, name: str) -> None:
    with psycopg.connect(cluster.app_url, autocommit=True) as application:  # what a test's process left behind
        application.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user",
            [name],
        )
    with psycopg.connect(cluster.owner_url, autocommit=True) as owner:
        owner.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))  # waits for the last to go
