from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import psycopg
import pytest

from config.environment import InvalidDatabaseUrl, InvalidEnvironment, database_settings, read_environment
from config.private_files import keep_secret

URL = "postgresql://app:pw@db.example/tokenbourse"
GIVEN = {"DATABASE_URL": URL, "TOKENBOURSE_SECRET_KEY": "k" * 40}


def test_defaults_are_the_embedded_database_and_the_systems_clock(tmp_path: Path) -> None:
    environment = read_environment({"TOKENBOURSE_HOME": str(tmp_path)})
    assert environment.uses_embedded_database
    assert (environment.debug, environment.production, environment.clock) == (False, False, "system")
    assert (environment.port, environment.broker_url, environment.key_encryption_secret) == (8000, None, None)
    assert environment.allowed_hosts == ("localhost", "127.0.0.1", "[::1]")


def test_the_secret_key_is_made_once_and_private(tmp_path: Path) -> None:
    home = tmp_path / "not there yet" / "local"
    keys = {read_environment({"TOKENBOURSE_HOME": str(home)}).secret_key for _ in range(2)}
    assert len(keys) == 1
    assert len(keys.pop()) >= 50
    assert stat.S_IMODE((home / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_processes_that_ask_at_once_get_the_same_secret(tmp_path: Path) -> None:
    answers: list[str] = []
    barrier = threading.Barrier(8)

    def ask(number: int) -> None:
        barrier.wait()
        answers.append(keep_secret(tmp_path / "secret", lambda: f"secret {number}"))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1


def test_everything_wrong_is_told_at_once() -> None:
    wrong = {
        "TOKENBOURSE_DEBUG": "perhaps",
        "TOKENBOURSE_CLOCK": "sundial",
        "PORT": "70000",
        "DATABASE_URL": "mysql://root:hunter2@db/x",
        "DATABASE_OWNER_URL": "postgresql://db",
    }
    with pytest.raises(InvalidEnvironment) as raised:
        read_environment(wrong)
    named = {problem.split()[0] for problem in raised.value.problems}
    assert named == {*wrong, "TOKENBOURSE_SECRET_KEY"}
    assert "hunter2" not in str(raised.value)


def test_a_database_of_ones_own_needs_a_secret_key() -> None:
    with pytest.raises(InvalidEnvironment, match="TOKENBOURSE_SECRET_KEY is missing"):
        read_environment({"DATABASE_URL": URL})
    environment = read_environment(GIVEN)
    assert environment.database_url == URL
    assert environment.broker_url == "sqla+postgresql+psycopg://app:pw@db.example/tokenbourse"


@pytest.mark.parametrize("minutes", ["0", "7", "1441", "-10", "ten"])
def test_a_settlement_period_divides_a_day(minutes: str) -> None:
    with pytest.raises(InvalidEnvironment, match="TOKENBOURSE_SETTLEMENT_MINUTES"):
        read_environment({**GIVEN, "TOKENBOURSE_SETTLEMENT_MINUTES": minutes})
    assert read_environment({**GIVEN, "TOKENBOURSE_SETTLEMENT_MINUTES": "15"}).settlement_minutes == 15


def test_a_given_broker_wins() -> None:
    assert read_environment({**GIVEN, "CELERY_BROKER_URL": "amqp://mq"}).broker_url == "amqp://mq"


def test_an_owner_alone_is_refused() -> None:
    with pytest.raises(InvalidEnvironment, match="DATABASE_OWNER_URL is set without DATABASE_URL"):
        read_environment({"DATABASE_OWNER_URL": URL})


def test_production_refuses_what_is_unsafe() -> None:
    production = {
        **GIVEN,
        "TOKENBOURSE_PRODUCTION": "1",
        "TOKENBOURSE_ALLOWED_HOSTS": "bourse.example, api.example",
        "TOKENBOURSE_ORIGIN": "bourse.example/ledger",
    }
    assert read_environment(production).allowed_hosts == ("bourse.example", "api.example")
    unsafe = {
        "TOKENBOURSE_CLOCK": "simulated",
        "TOKENBOURSE_DEBUG": "1",
        "TOKENBOURSE_ALLOWED_HOSTS": "",
        "TOKENBOURSE_SECRET_KEY": "short",
        "TOKENBOURSE_ORIGIN": "",
    }
    with pytest.raises(InvalidEnvironment) as raised:
        read_environment({**production, **unsafe})
    assert {problem.split("=")[0].split()[0] for problem in raised.value.problems} == set(unsafe)


@pytest.mark.parametrize("origin", ["with a space", "with+plus", "x" * 201, "two\nlines"])
def test_an_origin_fits_into_a_checkpoint(origin: str) -> None:
    with pytest.raises(InvalidEnvironment, match="TOKENBOURSE_ORIGIN"):
        read_environment({**GIVEN, "TOKENBOURSE_ORIGIN": origin})


def test_secrets_do_not_show() -> None:
    environment = read_environment({**GIVEN, "TOKENBOURSE_KEY_SECRET": "seal"})
    assert environment.key_encryption_secret == "seal"
    assert not any(secret in repr(environment) for secret in ("pw", "kkkk", "seal"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_a_problem_not_a_traceback(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InvalidEnvironment, match="TOKENBOURSE_HOME"):
        read_environment({"TOKENBOURSE_HOME": str(tmp_path / "local")})


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgresql://u:p%40ss@h/n", "h", ""),
        ("postgres://u:p%40ss@h:5433/n", "h", "5433"),
        ("postgresql://u:p%40ss@[::1]:5433/n", "::1", "5433"),
        ("postgresql://u:p%40ss@/n?host=%2Ftmp%2FA%20b&port=54330", "/tmp/A b", "54330"),
        ("postgresql://u:p%40ss@%2Ftmp%2FA%20b:54330/n", "/tmp/A b", "54330"),
    ],
)
def test_database_urls(url: str, host: str, port: str) -> None:
    settings = database_settings(url)
    assert (settings["HOST"], settings["PORT"]) == (host, port)
    assert (settings["USER"], settings["PASSWORD"], settings["NAME"], settings["OPTIONS"]) == ("u", "p@ss", "n", {})


def test_other_parameters_are_options() -> None:
    assert database_settings(f"{URL}?sslmode=require&connect_timeout=3")["OPTIONS"] == {
        "sslmode": "require",
        "connect_timeout": "3",
    }


@pytest.mark.parametrize("url", ["", "sqlite:///x", "postgresql://h", "postgresql://h/a/b", "postgresql://h:x/n"])
def test_malformed_database_urls(url: str) -> None:
    with pytest.raises(InvalidDatabaseUrl):
        database_settings(url)


def test_without_a_url_no_server_of_the_machine_is_meant() -> None:
    settings = database_settings(None)
    assert "make run is not going" in settings["HOST"]  # and not the machine's own PostgreSQL, which no host would mean
    with pytest.raises(psycopg.OperationalError, match="DATABASE_URL is not set"):
        psycopg.connect(host=settings["HOST"], dbname=settings["NAME"])
