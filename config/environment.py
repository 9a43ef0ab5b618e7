"""The one reader of environment variables: typed, and complaining about everything that is wrong at once."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from config.private_files import keep_secret

CHECKOUT = Path(__file__).resolve().parent.parent
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
SECRET_LENGTH_MIN = 32
MINUTES_A_DAY = 24 * 60
# Where nothing listens: left out, the driver would try a PostgreSQL of this machine. Its error shows this text.
NO_SERVER = "/DATABASE_URL is not set and make run is not going in this checkout"
LOCAL_ORIGIN = "tokenbourse.localhost/ledger"
FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}

Clock = Literal["system", "simulated"]


class InvalidEnvironment(Exception):
    """Environment variables are missing or wrong; `problems` names every one of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n  - ".join(["The environment is not usable:", *problems]))
        self.problems = tuple(problems)


class InvalidDatabaseUrl(ValueError):
    """Not a PostgreSQL URL. The message never repeats the URL, which may hold a password."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What this process was told from outside. Without `database_url` the embedded PostgreSQL is used."""

    debug: bool
    production: bool
    secret_key: str = field(repr=False)
    database_url: str | None = field(repr=False)  # the application's role
    database_owner_url: str | None = field(repr=False)  # the role that migrates; only migrations need it
    broker_url: str | None = field(repr=False)  # None only as long as no database is known
    clock: Clock
    allowed_hosts: tuple[str, ...]
    port: int
    local_dir: Path  # state of this checkout: secrets, locks, the embedded database of a normal user
    key_encryption_secret: str | None = field(repr=False)
    settlement_minutes: int  # length of a settlement period
    ledger_origin: str  # what the checkpoints of this ledger's log are named by, for ever
    pkcs11_module: str  # library of the token that keeps signing keys; "": the database keeps them, encrypted
    pkcs11_token: str
    pkcs11_pin: str = field(repr=False)
    time_stamp_url: str  # the RFC 3161 authority; "": statements get no time tokens
    time_stamp_roots: str  # PEM file of the authority's certificates
    statement_contact: str

    @property
    def uses_embedded_database(self) -> bool:
        return self.database_url is None


def database_settings(url: str | None) -> dict[str, Any]:
    """Django's DATABASES entry for a PostgreSQL URL; parameters other than host and port become OPTIONS.

    A unix socket is `postgresql://user:password@/name?host=%2Ffolder&port=5432`. Without a URL the entry names a
    server that cannot be there: enough for commands that need no database. Raises InvalidDatabaseUrl.
    """
    engine = "django.db.backends.postgresql"
    if url is None:
        return {"ENGINE": engine, "NAME": "tokenbourse", "HOST": NO_SERVER}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidDatabaseUrl("the host or port is malformed") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise InvalidDatabaseUrl("it must start with postgresql://")
    options = dict(parse_qsl(parts.query))
    name = unquote(parts.path.removeprefix("/"))
    if not name or "/" in name:
        raise InvalidDatabaseUrl("it must end with /DATABASE")
    host, query_port = options.pop("host", ""), options.pop("port", "")
    return {
        "ENGINE": engine,
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": _host(parts.netloc) or host,
        "PORT": str(port) if port is not None else query_port,
        "OPTIONS": options,
    }


def _host(netloc: str) -> str:
    """The host with its case kept, since it may be a percent-encoded folder."""
    host_and_port = netloc.rpartition("@")[2]
    if host_and_port.startswith("["):
        return host_and_port[1:].partition("]")[0]
    return unquote(host_and_port.partition(":")[0])


def embedded_broker_url(database_url: str) -> str:
    """The Celery broker inside the database itself, for machines that have no message broker."""
    return f"sqla+postgresql+psycopg://{database_url.split('://', 1)[1]}"


def read_environment(environ: Mapping[str, str] = os.environ) -> Environment:
    """Read and check every variable of the product.

    Raises InvalidEnvironment with the full list of what is missing or wrong. On the embedded database an unset
    secret key is made once and kept in the local folder.
    """
    reader = _Reader(environ)
    production = reader.flag("TOKENBOURSE_PRODUCTION")
    database_url = reader.database_url("DATABASE_URL")
    owner_url = reader.database_url("DATABASE_OWNER_URL")
    environment = Environment(
        debug=reader.flag("TOKENBOURSE_DEBUG"),
        production=production,
        secret_key=reader.text("TOKENBOURSE_SECRET_KEY"),
        database_url=database_url,
        database_owner_url=owner_url,
        broker_url=reader.text("CELERY_BROKER_URL") or (embedded_broker_url(database_url) if database_url else None),
        clock=reader.clock("TOKENBOURSE_CLOCK"),
        allowed_hosts=reader.words("TOKENBOURSE_ALLOWED_HOSTS") or LOCAL_HOSTS,
        port=reader.port("PORT", 8000),
        local_dir=Path(reader.text("TOKENBOURSE_HOME") or CHECKOUT / ".local").absolute(),
        key_encryption_secret=reader.text("TOKENBOURSE_KEY_SECRET") or None,
        settlement_minutes=reader.minutes_of_day("TOKENBOURSE_SETTLEMENT_MINUTES", 60),
        ledger_origin=reader.origin("TOKENBOURSE_ORIGIN", LOCAL_ORIGIN),
        pkcs11_module=reader.text("TOKENBOURSE_PKCS11_MODULE"),
        pkcs11_token=reader.text("TOKENBOURSE_PKCS11_TOKEN"),
        pkcs11_pin=reader.text("TOKENBOURSE_PKCS11_PIN"),
        time_stamp_url=reader.text("TOKENBOURSE_TIME_STAMP_URL"),
        time_stamp_roots=reader.text("TOKENBOURSE_TIME_STAMP_ROOTS"),
        statement_contact=reader.text("TOKENBOURSE_CONTACT"),
    )
    embedded = not reader.text("DATABASE_URL")  # an unreadable URL does not count as none
    _check_together(environment, embedded, reader.problems)
    if embedded and not environment.secret_key and not reader.problems:
        environment = _with_kept_secret_key(environment, reader.problems)
    if reader.problems:
        raise InvalidEnvironment(reader.problems)
    return environment


def _check_together(environment: Environment, embedded: bool, problems: list[str]) -> None:
    """The rules between variables."""
    if embedded and environment.database_owner_url:
        problems.append("DATABASE_OWNER_URL is set without DATABASE_URL")
    if not embedded and not environment.secret_key:
        problems.append("TOKENBOURSE_SECRET_KEY is missing; it is required when DATABASE_URL is set")
    token = (environment.pkcs11_module, environment.pkcs11_token, environment.pkcs11_pin)
    if any(token) and not all(token):
        problems.append("TOKENBOURSE_PKCS11_MODULE, _TOKEN and _PIN are set together or not at all")
    if bool(environment.time_stamp_url) != bool(environment.time_stamp_roots):
        problems.append("TOKENBOURSE_TIME_STAMP_URL and TOKENBOURSE_TIME_STAMP_ROOTS are set together or not at all")
    if not environment.production:
        return
    if environment.clock == "simulated":
        problems.append("TOKENBOURSE_CLOCK=simulated is refused when TOKENBOURSE_PRODUCTION=1")
    if environment.debug:
        problems.append("TOKENBOURSE_DEBUG=1 is refused when TOKENBOURSE_PRODUCTION=1")
    if environment.ledger_origin == LOCAL_ORIGIN:
        problems.append("TOKENBOURSE_ORIGIN is missing; it is required when TOKENBOURSE_PRODUCTION=1")
    if environment.allowed_hosts == LOCAL_HOSTS:
        problems.append("TOKENBOURSE_ALLOWED_HOSTS is missing; it is required when TOKENBOURSE_PRODUCTION=1")
    if 0 < len(environment.secret_key) < SECRET_LENGTH_MIN:
        problems.append(f"TOKENBOURSE_SECRET_KEY is shorter than {SECRET_LENGTH_MIN} characters")


def _with_kept_secret_key(environment: Environment, problems: list[str]) -> Environment:
    try:
        key = keep_secret(environment.local_dir / "secret_key", lambda: secrets.token_urlsafe(48))
    except OSError as error:
        problems.append(
            f"TOKENBOURSE_HOME: cannot keep a secret key in {environment.local_dir} ({error.strerror}); "
            "point it to a folder of your own"
        )
        return environment
    return replace(environment, secret_key=key)


class _Reader:
    """Parses single variables, collecting problems instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def flag(self, name: str) -> bool:
        text = self.text(name).lower()
        if text not in FLAGS:
            self.problems.append(f"{name} must be 0 or 1")
        return FLAGS.get(text, False)

    def clock(self, name: str) -> Clock:
        match self.text(name) or "system":
            case "system":
                return "system"
            case "simulated":
                return "simulated"
        self.problems.append(f"{name} must be system or simulated")
        return "system"

    def port(self, name: str, default: int) -> int:
        text = self.text(name) or str(default)
        if text.isascii() and text.isdecimal() and 0 < int(text) < 65536:
            return int(text)
        self.problems.append(f"{name} must be a number from 1 to 65535")
        return default

    def minutes_of_day(self, name: str, default: int) -> int:
        text = self.text(name) or str(default)
        if text.isascii() and text.isdecimal() and 0 < int(text) <= MINUTES_A_DAY and MINUTES_A_DAY % int(text) == 0:
            return int(text)
        self.problems.append(f"{name} must be a number of minutes that divides a day, such as 10, 60 or 1440")
        return default

    def origin(self, name: str, default: str) -> str:
        """A name of a log as C2SP checkpoints take it: a URL without its scheme, without spaces and plus signs."""
        text = self.text(name) or default
        if text.isprintable() and len(text) <= 200 and not any(sign in text for sign in " +"):
            return text
        self.problems.append(f"{name} must be a name such as exchange.example/ledger, without spaces and plus signs")
        return default

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(word.strip() for word in self.text(name).split(",") if word.strip())

    def database_url(self, name: str) -> str | None:
        text = self.text(name)
        try:
            database_settings(text or None)
        except InvalidDatabaseUrl as error:
            self.problems.append(f"{name} is not a PostgreSQL URL: {error}")
            return None
        return text or None
