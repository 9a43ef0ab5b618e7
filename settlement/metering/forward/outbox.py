"""What was read and not answered yet, in an SQLite file of the state folder.

How far a file was read and the events made of it are written in one transaction, and an event leaves the outbox only
with its answer. So a forwarder that is killed at any instant goes on where it was: nothing is lost, and what was sent
without an answer goes out again under the same id, of which the exchange keeps one.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from exchange.errors import InvalidSymbol
from exchange.windows import parse_symbol
from settlement.metering.forward.envelopes import Prepared, micros
from settlement.metering.forward.schema import SCHEMA
from settlement.metering.results import ItemResult, ItemStatus

GOOD = (ItemStatus.ACCEPTED, ItemStatus.DUPLICATE)
VERSION = "1"


class StateFault(Exception):
    """The state folder cannot be used; the message says why."""


class FileRow(NamedTuple):
    """A log file that is known, by its contents: see `reading`. `name` begins the ids of its events."""

    id: int
    name: str
    path: str
    device: int
    inode: int
    head: bytes
    tail: bytes
    offset: int


class Waiting(NamedTuple):
    place: int
    event_id: str
    body: bytes


class Outbox:
    """For one process at a time, which holds the folder's lock. Raises `StateFault` when there is another one, or when
    the folder was begun for another meter or address."""

    def __init__(self, folder: Path, *, meter: str, address: str, new_address: bool = False) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise StateFault(f"Another forwarder works with {folder}.") from None
        self._database = sqlite3.connect(folder / "outbox.sqlite3", isolation_level=None)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")  # power may fail as well
            self._begin(meter, address, new_address=new_address)
        except (sqlite3.DatabaseError, StateFault) as error:
            self.close()
            raise StateFault(str(error)) from error

    def _begin(self, meter: str, address: str, *, new_address: bool) -> None:
        if self._database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            self._database.executescript(f"BEGIN IMMEDIATE;{SCHEMA}COMMIT;")
        said = {"version": VERSION, "meter": meter} | ({} if new_address else {"address": address})
        with self._transaction() as database:
            for name, value in said.items():
                database.execute("INSERT OR IGNORE INTO about VALUES (?, ?)", [name, value])
                (begun,) = database.execute("SELECT value FROM about WHERE name = ?", [name]).fetchone()
                if begun != value:
                    raise StateFault(f"{self.folder} was begun for {name} {begun}, not {value}: take another folder.")
            if new_address:
                database.execute("INSERT OR REPLACE INTO about VALUES ('address', ?)", [address])
            database.execute("INSERT OR IGNORE INTO about VALUES ('rejects_bytes', '0'), ('unreadable', '0')")

    def files(self) -> list[FileRow]:
        """All files ever read, the latest first."""
        rows = self._database.execute(
            "SELECT id, name, path, device, inode, head, tail, offset FROM file ORDER BY id DESC"
        )
        return [FileRow(*row) for row in rows]

    def add_file(self, path: Path, stat: os.stat_result, head: bytes) -> FileRow:
        """A new file, of which nothing was read. Its name comes from its head, so that it is the same in every outbox;
        another file with this head gets a number to it."""
        with self._transaction() as database:
            (before,) = database.execute("SELECT count(*) FROM file WHERE head = ?", [head]).fetchone()
            name = head.hex()[:16] + (f".{before + 1}" if before else "")
            values = (name, str(path), stat.st_dev, stat.st_ino, head, b"", 0)
            added = database.execute(
                "INSERT INTO file (name, path, device, inode, head, tail, offset) VALUES (?, ?, ?, ?, ?, ?, ?)", values
            )
        return FileRow(int(added.lastrowid or 0), *values)

    def record(self, file: FileRow, events: Iterable[Prepared], faults: Iterable[dict[str, Any]]) -> None:
        """That a file was read as far as `file` says, and what was in it."""
        with self._transaction() as database:
            database.execute(
                "UPDATE file SET path = ?, device = ?, inode = ?, tail = ?, offset = ? WHERE id = ?",
                [file.path, file.device, file.inode, file.tail, file.offset, file.id],
            )
            _add(database, list(events))
            unreadable = list(faults)
            _keep_rejects(database, unreadable)
            database.execute("UPDATE about SET value = value + ? WHERE name = 'unreadable'", [len(unreadable)])

    def waiting(self, *, limit: int, bytes_max: int) -> list[Waiting]:
        """The next events to send, in order: at least one if there is any."""
        batch: list[Waiting] = []
        size = 0
        for row in self._database.execute(
            "SELECT place, event_id, body FROM event JOIN body USING (place) WHERE answer IS NULL"
            " ORDER BY place LIMIT ?",
            [limit],
        ):
            size += len(row[2]) + 1
            if batch and size > bytes_max:
                break
            batch.append(Waiting(*row))
        return batch

    def answer(self, batch: Sequence[Waiting], results: Sequence[ItemResult]) -> None:
        """What became of each event of a batch. What is not good is kept, told in rejects.jsonl as well."""
        answered = list(zip(batch, results, strict=True))
        with self._transaction() as database:
            database.executemany(
                "UPDATE event SET answer = ? WHERE place = ?",
                [(str(result.status), event.place) for event, result in answered],
            )
            database.executemany(
                "DELETE FROM body WHERE place = ?",
                [(event.place,) for event, result in answered if result.status is not ItemStatus.REJECTED],
            )
            _keep_rejects(
                database,
                (
                    {**msgspec.to_builtins(result), "id": event.event_id, "event": Raw(event.body)}
                    for event, result in answered
                    if result.status not in GOOD
                ),
            )

    def retry_rejected(self) -> int:
        """Send again what was rejected: the exchange has kept nothing of it. How many events that are."""
        with self._transaction() as database:
            _tell_of_rejected(database)
            return database.execute("UPDATE event SET answer = NULL WHERE answer = 'rejected'").rowcount

    def drop_rejected(self) -> int:
        """Give up what was rejected, so that watermarks no longer count it, and lines that made no event. How many."""
        with self._transaction() as database:
            _tell_of_rejected(database)
            database.execute(
                "DELETE FROM body WHERE place IN"
                " (SELECT place FROM event WHERE answer = 'rejected' AND accepted_at IS NOT NULL)"
            )
            (lines,) = database.execute("SELECT value FROM about WHERE name = 'unreadable'").fetchone()
            database.execute("UPDATE about SET value = '0' WHERE name = 'unreadable'")
            # Watermarks stay, as their numbers leave no gap.
            events = "DELETE FROM event WHERE answer = 'rejected' AND accepted_at IS NOT NULL"
            return int(lines) + database.execute(events).rowcount

    def ended(self, *, since: int, until: int, told_until: int) -> list[tuple[str, int]]:
        """Contracts whose window ended in [since, until] and of which a watermark has something new to tell, all of it
        answered, none told of later than `told_until`; with that end. Microseconds since 1970."""
        return self._database.execute(
            "SELECT symbol, delivery_end FROM contract WHERE changed AND delivery_end BETWEEN ? AND ? AND NOT EXISTS "
            "(SELECT 1 FROM event WHERE contract = symbol AND answer IS NULL) AND NOT EXISTS"
            " (SELECT 1 FROM watermark WHERE contract = symbol AND made_at > ?) ORDER BY delivery_end, symbol",
            [since, until, told_until],
        ).fetchall()

    def told_ids(self, contract: str, up_to: int) -> Iterator[bytes]:
        """The ids of all events of a contract accepted before `up_to`, by bytes. Of a conflict another one stands."""
        rows = self._database.execute(
            "SELECT DISTINCT event_id FROM event WHERE contract = ? AND accepted_at < ? AND answer <> 'conflict'"
            " ORDER BY event_id",
            [contract, up_to],
        )
        return (event_id.encode() for (event_id,) in rows)

    def last_sequence(self, contract: str) -> int:
        """Of the watermarks of a contract; 0 if there is none."""
        query = "SELECT coalesce(max(sequence), 0) FROM watermark WHERE contract = ?"
        return int(self._database.execute(query, [contract]).fetchone()[0])

    def add_watermark(self, sequence: int, watermark: Prepared, *, made_at: int) -> None:
        with self._transaction() as database:
            database.execute("INSERT INTO watermark VALUES (?, ?, ?)", [watermark.contract, sequence, made_at])
            database.execute("UPDATE contract SET changed = 0 WHERE symbol = ?", [watermark.contract])
            _add(database, [watermark])

    def tell_again(self, contract: str) -> None:
        """A further watermark is needed."""
        with self._transaction() as database:
            database.execute("UPDATE contract SET changed = 1 WHERE symbol = ?", [contract])

    def contract_of(self, place: int) -> str | None:
        """The contract of a watermark that is in this place; None for any other event."""
        row = self._database.execute(
            "SELECT contract FROM event WHERE place = ? AND accepted_at IS NULL", [place]
        ).fetchone()
        return None if row is None else str(row[0])

    def forget(self, before: int) -> None:
        """Drop what was answered well of contracts whose window ended before an instant, in microseconds since 1970:
        the exchange takes nothing of them any more, so no watermark will tell of it."""
        with self._transaction() as database:
            database.execute(
                "DELETE FROM event WHERE contract IN (SELECT symbol FROM contract WHERE delivery_end < ?)"
                " AND answer IN ('accepted', 'duplicate')",
                [before],
            )
            database.execute("DELETE FROM contract WHERE delivery_end < ?", [before])

    def count_waiting(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM event WHERE answer IS NULL").fetchone()[0])

    def count_open(self) -> int:
        """Rejected events and lines that made no event, of this run and all before, which nobody has given up."""
        lines = "(SELECT value FROM about WHERE name = 'unreadable')"
        query = f"SELECT count(*) + {lines} FROM event WHERE answer = 'rejected'"  # noqa: S608  # all of it is here
        return int(self._database.execute(query).fetchone()[0])

    def write_rejects(self) -> None:
        """Append to rejects.jsonl what is not there yet. Killed half way, it begins again where it began."""
        rows = self._database.execute("SELECT place, line FROM reject ORDER BY place").fetchall()
        if not rows:
            return
        (known,) = self._database.execute("SELECT value FROM about WHERE name = 'rejects_bytes'").fetchone()
        path = self.folder / "rejects.jsonl"
        with path.open("ab") as file:
            if file.tell() > int(known):
                file.truncate(int(known))
            file.writelines(line + b"\n" for _, line in rows)
            file.flush()
            os.fsync(file.fileno())
            size = path.stat().st_size
        with self._transaction() as database:
            database.execute("DELETE FROM reject WHERE place <= ?", [rows[-1][0]])
            database.execute("INSERT OR REPLACE INTO about VALUES ('rejects_bytes', ?)", [str(size)])

    def close(self) -> None:
        self._database.close()
        os.close(self._lock)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _add(database: sqlite3.Connection, events: Sequence[Prepared]) -> None:
    (last,) = database.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'event'").fetchone()
    placed = list(enumerate(events, last + 1))
    database.executemany(
        "INSERT INTO event (place, event_id, contract, accepted_at) VALUES (?, ?, ?, ?)",
        [(place, each.event_id, each.contract, each.accepted_at) for place, each in placed],
    )
    database.executemany("INSERT INTO body VALUES (?, ?)", [(place, each.body) for place, each in placed])
    for symbol in {event.contract for event in events if event.accepted_at is not None}:
        try:
            _, window = parse_symbol(symbol)
        except InvalidSymbol:
            continue  # the exchange has no such contract, and will say so
        database.execute(
            "INSERT INTO contract VALUES (?, ?, 1) ON CONFLICT (symbol) DO UPDATE SET changed = 1",
            [symbol, micros(window.end)],
        )


def _tell_of_rejected(database: sqlite3.Connection) -> None:
    database.execute(
        "UPDATE contract SET changed = 1 WHERE symbol IN"
        " (SELECT contract FROM event WHERE answer = 'rejected' AND accepted_at IS NOT NULL)"
    )


def _keep_rejects(database: sqlite3.Connection, rejects: Iterable[dict[str, Any]]) -> None:
    database.executemany("INSERT INTO reject (line) VALUES (?)", [(msgspec.json.encode(each),) for each in rejects])
