"""What benchmarks run on: an embedded cluster of their own with the product's settings, removed afterwards."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from config.environment import database_settings, read_environment
from config.postgres import Cluster, ClusterUrls
from config.private_files import private_folder
from config.run import only_one
from tests.bench.parts import BenchFailed
from tests.bench.report import Machine, this_machine

CLUSTER = "bench"
TEMPLATE = "bench_template"
# Of the caller's environment these would lead somewhere else.
NOT_INHERITED = ("DATABASE_URL", "DATABASE_OWNER_URL", "CELERY_BROKER_URL", "TOKENBOURSE_PRODUCTION")
DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
REPORTED = (*DURABLE, "shared_buffers", "max_wal_size", "wal_sync_method", "data_checksums")


@dataclass(frozen=True, slots=True)
class ClonedDatabase:
    """A database of the cluster, by its URLs for the application role and the owner."""

    url: str
    owner_url: str

    @classmethod
    def of(cls, urls: ClusterUrls, name: str) -> ClonedDatabase:
        return cls(*(urlunsplit(urlsplit(url)._replace(path=f"/{name}")) for url in (urls.app_url, urls.owner_url)))

    def use(self) -> None:
        from django.db import connections

        for alias, url in (("default", self.url), ("owner", self.owner_url)):
            settings = database_settings(url)
            connections[alias].close()
            for known in (connections.databases[alias], connections[alias].settings_dict):
                known.update(settings)


@dataclass(frozen=True, slots=True)
class Stage:
    """A running cluster with a migrated, empty database to clone."""

    urls: ClusterUrls
    machine: Machine

    @contextmanager
    def fresh_database(self) -> Iterator[ClonedDatabase]:
        """A clone in use, dropped at the end of the block."""
        name = f"bench_{secrets.token_hex(6)}"
        identifier = sql.Identifier(name)
        with psycopg.connect(self.urls.owner_url, autocommit=True) as owner:
            owner.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(identifier, sql.Identifier(TEMPLATE)))
            try:
                database = ClonedDatabase.of(self.urls, name)
                database.use()
                yield database
            finally:
                _close_connections()
                with suppress(psycopg.errors.ObjectInUse):  # it waits for the last to go; the cluster goes anyway
                    owner.execute(sql.SQL("DROP DATABASE {}").format(identifier))


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Make the cluster, migrate its template, and set up Django; take everything down at the end.

    Points this process's own settings at the cluster, so it works once in a process. Raises `BenchFailed`,
    `RunFailed`, `PostgresFailed` and `InvalidEnvironment`.
    """
    for name in NOT_INHERITED:
        os.environ.pop(name, None)
    home = private_folder(read_environment().local_dir)
    with ExitStack() as stack:
        stack.enter_context(only_one(home, CLUSTER))
        # Made as a cluster whose owner may create databases, then run as one that keeps its data: the settings are
        # written at each start.
        made = Cluster(CLUSTER, home, durable=False)
        made.remove()
        stack.callback(made.remove)
        with made:
            pass
        urls = stack.enter_context(Cluster(CLUSTER, home, durable=True))
        machine = _look_around(urls)
        _become_django(urls)
        _make_template(urls)
        yield Stage(urls, machine)


def _look_around(urls: ClusterUrls) -> Machine:
    """The machine, with the settings in force. Raises `BenchFailed` when a commit would not be durable."""
    with psycopg.connect(urls.app_url) as application:
        settings = {
            name: str(value)
            for name in (*REPORTED, "server_version")
            for (value,) in application.execute("SELECT current_setting(%s)", [name])
        }
    for name in DURABLE:
        if settings[name] != "on":
            raise BenchFailed(f"{name} is {settings[name]}: figures of commits that may be lost would mean nothing")
    return this_machine(settings.pop("server_version"), settings)


def _become_django(urls: ClusterUrls) -> None:
    os.environ.update(
        DATABASE_URL=urls.app_url,
        DATABASE_OWNER_URL=urls.owner_url,
        TOKENBOURSE_SECRET_KEY=secrets.token_hex(32),
        TOKENBOURSE_KEY_SECRET=secrets.token_hex(32),
        DJANGO_SETTINGS_MODULE="config.settings",
    )
    import django  # reads the settings, which read the environment: not before now

    django.setup()


def _make_template(urls: ClusterUrls) -> None:
    from django.core.management import call_command

    with psycopg.connect(urls.owner_url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    ClonedDatabase.of(urls, TEMPLATE).use()
    call_command("migrate", database="owner", verbosity=0)
    _close_connections()


def _close_connections() -> None:
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        connection.close()
