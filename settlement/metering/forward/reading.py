"""Reading log files that grow and rotate, into the outbox.

A file is known by what it holds, not by its name: its first line, and the last bytes that were read of it, at the place
where they were read. So it is found again after a rename or a copy, and what is put in its place is another file. Its
events are called after its first line and the place of their own, the same whoever reads it.

Only lines that have ended are read, and the last one of a file that is not followed if it is whole. An empty line is
none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from settlement.metering.forward.envelopes import BadLine, LogForm, Prepared, prepare
from settlement.metering.forward.outbox import FileRow, Outbox

LINES_AT_ONCE = 1_000
LINE_BYTES_MAX = 1024 * 1024
TAIL_BYTES = 1024
CHUNK_BYTES = 4 * LINE_BYTES_MAX
IDLE_ROUNDS = 60  # a file that was put aside is watched so long: its writer may not have noticed


class Lines(NamedTuple):
    """What a round of reading took in."""

    events: int
    faults: int
    bytes: int


class _Source:
    """An open log file, known to the outbox."""

    def __init__(self, file: IO[bytes], row: FileRow, first_line: int) -> None:
        self.file = file
        self.row = row
        self.idle = 0
        self.put_aside = False  # nothing has its name any more, or something else
        self._first_line = first_line

    @property
    def size(self) -> int:
        return os.fstat(self.file.fileno()).st_size

    @property
    def key(self) -> tuple[int, int]:
        return _key(os.fstat(self.file.fileno()))

    def is_same(self) -> bool:
        """Not emptied and begun anew meanwhile."""
        return self.size >= self.row.offset and _head_of(self.file, self._first_line) == self.row.head


class Reader:
    """Reads files from where the outbox knows them to be read. `say` is for what a person should know."""

    def __init__(
        self, paths: Sequence[Path], outbox: Outbox, form: LogForm, *, follow: bool, say: Callable[[str], None]
    ) -> None:
        self._paths = paths
        self._outbox = outbox
        self._form = form
        self._follow = follow
        self._say = say
        self._sources: list[_Source] = []
        self._begun = False
        self._said: set[str] = set()
        self._replaced: list[FileRow] = []

    def read_some(self) -> Lines | None:
        """The next lines of one file, recorded; None when all files are read to their ends for now."""
        self._find()
        begun_anew = [source for source in self._sources if not source.is_same()]
        for source in begun_anew:
            self._close(source)
        if begun_anew:
            self._find()
        for source in list(self._sources):
            lines = self._read(source)
            if lines is not None:
                source.idle = 0
                return lines
            source.idle += 1
            if source.put_aside and (source.idle > IDLE_ROUNDS or not self._follow):
                self._close(source)
        return None

    def size(self) -> tuple[int, int]:
        """How many bytes of the open files are read, and of how many."""
        return sum(source.row.offset for source in self._sources), sum(source.size for source in self._sources)

    def close(self) -> None:
        for source in list(self._sources):
            self._close(source)

    def _close(self, source: _Source) -> None:
        source.file.close()
        self._sources.remove(source)

    def _find(self) -> None:
        """Open what has come under the names to read, and note which files have lost them."""
        present = set()
        for path in self._paths:
            with suppress(FileNotFoundError):
                stat = path.stat()
                present.add(_key(stat))
                if not any(source.key == _key(stat) for source in self._sources):
                    self._open(path, aside=False)
        for source in self._sources:
            source.put_aside = source.key not in present
        if not self._begun or self._replaced:
            self._begun = True
            for path in self._paths:
                self._find_moved(path)
        for row in self._replaced:
            if all(source.row.id != row.id for source in self._sources):
                self._say(f"{row.path} is a new file; of the one before, {row.offset} bytes were read.")
        self._replaced.clear()

    def _find_moved(self, path: Path) -> None:
        """Files that were put aside under a longer name while nobody watched: the rest of those that are known, and
        whole ones that came after them. What was there before the first start is left alone."""
        files = []
        for file in path.parent.iterdir():
            if file.name.startswith(path.name) and (file == path or file not in self._paths) and file.is_file():
                with suppress(FileNotFoundError):
                    files.append((file.stat().st_mtime_ns, file))
        files.sort()
        known = [file for _, file in files if file != path and self._is_known(file)]
        open_now = {source.row.id for source in self._sources}
        earlier = any(_is_beside(row, path) and row.id not in open_now for row in self._outbox.files())
        since = min([at for at, file in files if file in known], default=0 if earlier else None)
        for at, file in files:
            if file != path:
                self._open(file, aside=True, new=since is not None and at >= since)

    def _is_known(self, path: Path) -> bool:
        with suppress(FileNotFoundError), path.open("rb") as file:
            stat = os.fstat(file.fileno())
            line = self._first_line(file)
            read = any(source.key == _key(stat) for source in self._sources)
            return read or (line is not None and self._known(file, stat, sha256(line).digest()) is not None)
        return False

    def _open(self, path: Path, *, aside: bool, new: bool = True) -> None:
        """Unless it is open, or not known and not `new` either."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        stat = os.fstat(file.fileno())
        line = self._first_line(file)
        if line is None or any(source.key == _key(stat) for source in self._sources):
            file.close()
            return
        head = sha256(line).digest()
        row = self._known(file, stat, head)
        copied = aside and any(_begin_alike(source.file, file) for source in self._sources)
        if row is None and (copied or not new):
            file.close()
            return
        if row is None:
            before = next((old for old in self._outbox.files() if old.path == str(path)), None)
            row = self._outbox.add_file(path, stat, head)
            if before is not None:
                self._replaced.append(before)
        source = _Source(file, row._replace(path=str(path), device=stat.st_dev, inode=stat.st_ino), len(line))
        source.put_aside = aside
        self._sources.append(source)

    def _first_line(self, file: IO[bytes]) -> bytes | None:
        """Without its end; None while it has not ended and more may come."""
        line = file.readline(LINE_BYTES_MAX)
        ended = line.endswith(b"\n") or len(line) == LINE_BYTES_MAX
        return line.removesuffix(b"\n") if ended or (line and not self._follow) else None

    def _known(self, file: IO[bytes], stat: os.stat_result, head: bytes) -> FileRow | None:
        """The row of this very file or of what it is a copy of. Another open file, with the same first line, is not."""
        rows = [row for row in self._outbox.files() if row.head == head and row.offset <= stat.st_size]
        rows.sort(key=lambda row: (row.device, row.inode) != _key(stat))
        for row in rows:
            if any(source.row.id == row.id for source in self._sources):
                continue
            if row.tail == _tail_of(file, row.offset):
                return row
        return None

    def _read(self, source: _Source) -> Lines | None:
        source.file.seek(source.row.offset)
        chunk = source.file.read(CHUNK_BYTES)
        lines = list(_lines_in(chunk))
        if not lines and chunk and not self._follow:
            if not _is_object(chunk):
                self._say_once(f"{source.row.path} ends within a line, which is left for the next time.")
                return None
            lines = [chunk]
        if not lines:
            return None
        events, faults = self._prepared(source.row, lines)
        read = sum(map(len, lines))
        row = source.row._replace(offset=source.row.offset + read)
        row = row._replace(tail=_tail_of(source.file, row.offset))
        self._outbox.record(row, events, faults)
        source.row = row
        return Lines(len(events), len(faults), read)

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)

    def _prepared(self, row: FileRow, lines: Iterable[bytes]) -> tuple[list[Prepared], list[dict[str, Any]]]:
        events, faults, offset = [], [], row.offset
        for line in lines:
            try:
                if len(line) > LINE_BYTES_MAX:
                    raise BadLine("line_too_long", f"A line has at most {LINE_BYTES_MAX} bytes.")
                if text := line.strip():
                    events.append(prepare(text, f"{row.name}-{offset:012d}", self._form))
            except BadLine as bad:
                faults.append(
                    {
                        "status": "unreadable",
                        "code": bad.code,
                        "message": bad.message,
                        "file": row.path,
                        "offset": offset,
                        "line": line[:CHUNK_BYTES].decode(errors="replace").rstrip("\n"),
                    }
                )
            offset += len(line)
        return events, faults


def _lines_in(chunk: bytes) -> Iterator[bytes]:
    """The first lines of a piece of a file, with their ends. A piece without any end is given whole if it is as long as
    pieces are: no line is so long."""
    start = 0
    for _ in range(LINES_AT_ONCE):
        end = chunk.find(b"\n", start) + 1
        if not end:
            if start == 0 and len(chunk) == CHUNK_BYTES:
                yield chunk
            return
        yield chunk[start:end]
        start = end


def _is_object(line: bytes) -> bool:
    """Whether this is all of a line: no object begins with another one."""
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _is_beside(row: FileRow, path: Path) -> bool:
    """Whether a file was found under this name, or a longer one."""
    found = Path(row.path)
    return found.parent == path.parent and found.name.startswith(path.name)


def _begin_alike(one: IO[bytes], other: IO[bytes]) -> bool:
    """Whether one of two files is a copy of the other, as far as it goes."""
    length = min(CHUNK_BYTES, os.fstat(one.fileno()).st_size, os.fstat(other.fileno()).st_size)
    return os.pread(one.fileno(), length, 0) == os.pread(other.fileno(), length, 0)


def _head_of(file: IO[bytes], length: int) -> bytes:
    return sha256(os.pread(file.fileno(), length, 0)).digest()


def _tail_of(file: IO[bytes], offset: int) -> bytes:
    """What tells that the bytes before an offset are those that were read."""
    start = max(0, offset - TAIL_BYTES)
    return sha256(os.pread(file.fileno(), offset - start, start)).digest() if offset else b""


def _key(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
