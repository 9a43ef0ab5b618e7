"""Small files of this checkout: secrets only their owner may read, and locks between processes."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def private_folder(path: Path) -> Path:
    """Make `path`, and what is missing above it, readable by this user alone; existing folders stay as they are."""
    if not path.exists():
        private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path` as an exclusive lock between processes; it goes with the process, however that ends."""
    descriptor = os.open(private_folder(path.parent) / path.name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_private(path: Path, text: str, *, owner: tuple[int, int] | None = None) -> None:
    """Replace `path` in one step by a file with mode 0600, belonging to `owner` (uid, gid) if given.

    The old file is never opened, so a link put there by somebody else leads nowhere.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
            if owner is not None:
                os.fchown(descriptor, *owner)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def keep_secret(path: Path, create: Callable[[], str]) -> str:
    """The text kept in `path`, created by the first caller; processes that ask at once get the same."""
    if not path.exists():
        with locked(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                write_private(path, create())
    return path.read_text(encoding="utf-8")
