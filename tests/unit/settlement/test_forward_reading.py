"""Logs that grow, rotate, break off and are read again, into an outbox."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from settlement.metering.completeness_rules import watermark_root
from settlement.metering.forward.envelopes import LogForm
from settlement.metering.forward.outbox import Outbox, StateFault
from settlement.metering.forward.reading import CHUNK_BYTES, LINES_AT_ONCE, Reader
from settlement.metering.forward.watermarks import queue_watermarks
from settlement.metering.results import ItemResult, ItemStatus

START = datetime(2026, 12, 1, 14, tzinfo=UTC)
END = START + timedelta(hours=1)
SYMBOL = "QWEN3-235B.CN-EAST.STD@20261201T14/1H"
FORM = LogForm(meter="meter/p", contract=SYMBOL, buyer="b", provider="p")
GRACE = timedelta(minutes=5)


class Home:
    """A folder with logs and the state of a forwarder that is killed whenever a method ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log.jsonl"
        self.said: list[str] = []
        self.number = 0

    def line(self) -> bytes:
        self.number += 1
        return json.dumps({"id": f"r{self.number}", "created": int(START.timestamp()), "usage": {}}).encode() + b"\n"

    def write(self, lines: int, path: Path | None = None) -> None:
        with (path or self.log).open("ab") as file:
            file.writelines(self.line() for _ in range(lines))

    def outbox(self, **told: str | bool) -> Outbox:
        new_address = bool(told.pop("new_address", False))
        names = {"meter": "meter/p", "address": "https://a"} | {name: str(value) for name, value in told.items()}
        return Outbox(self.folder / "state", meter=names["meter"], address=names["address"], new_address=new_address)

    def read(self, *paths: Path, follow: bool = False) -> None:
        outbox = self.outbox()
        reader = Reader(paths or [self.log], outbox, FORM, follow=follow, say=self.said.append)
        while reader.read_some():
            pass
        reader.close()
        outbox.write_rejects()
        outbox.close()

    def requests(self) -> list[str]:
        """The request ids of all events that are waiting, in order."""
        return [json.loads(each)["data"]["request_id"] for each in self.bodies()]

    def bodies(self) -> list[bytes]:
        outbox = self.outbox()
        waiting = outbox.waiting(limit=10**6, bytes_max=10**9)
        outbox.close()
        assert len({event.event_id for event in waiting}) == len(waiting)
        return [event.body for event in waiting]

    def wanted(self) -> list[str]:
        return [f"r{number + 1}" for number in range(self.number)]

    def rejects(self) -> list[dict[str, object]]:
        path = self.folder / "state" / "rejects.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def following(home: Home) -> Iterator[Callable[[], int]]:
    """A reader that goes on, step by step; gives how many events a round brought."""
    outbox = home.outbox()
    reader = Reader([home.log], outbox, FORM, follow=True, say=home.said.append)

    def step() -> int:
        events = 0
        while lines := reader.read_some():
            events += lines.events
        return events

    yield step
    reader.close()
    outbox.close()


def test_every_line_is_read_once(home: Home) -> None:
    home.write(2 * LINES_AT_ONCE + 7)
    home.read()
    home.read()
    home.write(3)
    home.read()
    assert home.requests() == home.wanted()


def test_an_event_is_called_after_the_log_and_its_place(home: Home, tmp_path: Path) -> None:
    home.write(3)
    home.read()
    elsewhere = Home(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    shutil.copy(home.log, elsewhere.folder / "other.jsonl")
    elsewhere.read(elsewhere.folder / "other.jsonl")
    assert elsewhere.bodies() == home.bodies()
    ids = [json.loads(body)["id"] for body in home.bodies()]
    assert ids == sorted(ids)


@pytest.mark.parametrize("copied", [False, True])
def test_a_file_that_was_put_aside_meanwhile_is_read_to_its_end(home: Home, copied: bool) -> None:
    home.write(5)
    home.read()
    home.write(2)
    if copied:  # as logrotate's copytruncate does
        shutil.copy(home.log, home.folder / "log.jsonl.1")
        home.log.write_bytes(b"")
    else:
        home.log.rename(home.folder / "log.jsonl.1")
    home.write(4)
    home.read()
    home.read(home.log, home.folder / "log.jsonl.1")
    assert sorted(home.requests()) == sorted(home.wanted())
    assert home.said == []


def rotate(home: Home, number: int) -> None:
    home.log.rename(home.folder / f"log.jsonl.{number}")


@pytest.mark.parametrize("kept", [True, False])
def test_files_that_came_and_went_while_nobody_watched_are_read(home: Home, kept: bool) -> None:
    """`kept`: the file that was being read is still there."""
    home.write(3)
    home.read()
    first = home.wanted()
    for number in range(1, 4):
        home.write(2)
        rotate(home, number)
    if not kept:
        (home.folder / "log.jsonl.1").unlink()
    home.write(2)
    home.read()
    home.read()
    lost = [] if kept else ["r4", "r5"]
    assert sorted(home.requests()) == sorted(set(home.wanted()) - set(lost))
    assert set(first) <= set(home.requests())


def test_files_that_come_and_go_between_two_looks_are_read(home: Home) -> None:
    outbox = home.outbox()
    reader = Reader([home.log], outbox, FORM, follow=True, say=home.said.append)
    for number in range(1, 4):
        home.write(2)
        while reader.read_some():
            pass
        for again in range(3):
            home.write(2)
            rotate(home, 10 * number + again)
    home.write(1)
    while reader.read_some():
        pass
    reader.close()
    outbox.close()
    assert sorted(home.requests()) == sorted(home.wanted())


def test_a_backup_beside_a_rotated_log_makes_no_doubles(home: Home) -> None:
    home.write(2)
    home.read()
    rotate(home, 1)
    home.write(2)
    home.read()
    shutil.copy(home.log, home.folder / "log.jsonl.bak")
    home.read()
    home.write(1)
    home.read()
    assert sorted(home.requests()) == sorted(home.wanted())


def test_what_was_never_asked_for_is_not_read(home: Home) -> None:
    home.write(2, home.folder / "log.jsonl.1")
    home.write(1)
    home.read()
    assert home.requests() == ["r3"]


def test_a_backup_beside_the_log_makes_no_doubles(home: Home) -> None:
    home.write(5)
    home.read()
    shutil.copy(home.log, home.folder / "log.jsonl.bak")
    home.write(2)
    home.read()
    assert home.requests() == home.wanted()


def test_another_file_with_the_same_first_line_is_another(home: Home) -> None:
    first = home.line()
    (home.folder / "a").write_bytes(first)
    (home.folder / "b").write_bytes(first)
    home.write(3, home.folder / "a")
    home.write(2, home.folder / "b")
    home.read(home.folder / "a", home.folder / "b")
    home.read(home.folder / "b", home.folder / "a")
    assert sorted(home.requests()) == ["r1", "r1", "r2", "r3", "r4", "r5", "r6"]


def test_the_rest_of_a_file_that_is_gone_is_told(home: Home) -> None:
    home.write(5)
    home.read()
    home.log.unlink()
    home.write(1)
    home.read()
    assert "is a new file" in home.said[0]


def test_a_followed_log_may_grow_rotate_and_be_emptied(home: Home, following: Callable[[], int]) -> None:
    assert following() == 0  # not there yet
    home.write(3)
    assert following() == 3
    with home.log.open("ab", buffering=0) as file:
        line = home.line()
        file.write(line[:20])
        assert following() == 0
        file.write(line[20:])
        assert following() == 1
        home.log.rename(home.folder / "log.jsonl.1")
        assert following() == 0
        home.write(2)
        file.write(home.line())  # its writer has not noticed
        assert following() == 3
    home.log.write_bytes(b"")
    home.write(1)
    assert following() == 1
    following_on = home.log.stat().st_size
    home.log.write_bytes(b"")
    home.write(50)  # longer than before at once
    assert home.log.stat().st_size > following_on
    assert following() == 50


def test_a_last_line_without_an_end_is_read_if_it_is_whole(home: Home) -> None:
    home.write(1)
    whole, torn = home.line().rstrip(b"\n"), home.line()
    with home.log.open("ab", buffering=0) as file:
        file.write(whole)
        home.read()
        assert home.requests() == ["r1", "r2"]
        file.write(b"\n" + torn[:30])
        home.read()
        assert home.requests() == ["r1", "r2"]
        assert "ends within a line" in home.said[0]
        file.write(torn[30:])
    home.read()
    assert home.requests() == home.wanted()
    assert home.rejects() == []


def test_bad_lines_are_kept_aside_with_their_place(home: Home) -> None:
    home.write(1)
    start = home.log.stat().st_size
    with home.log.open("ab") as file:
        file.write(b"\n  \nnot json \xff\n" + b'{"level":"info"}\n' + b"x" * (CHUNK_BYTES + 5) + b"\n")
    home.write(1)
    home.read()
    assert home.requests() == home.wanted()
    told = [(each["code"], each["offset"]) for each in home.rejects()]
    assert told == [
        ("unreadable_line", start + 4),
        ("not_usage", start + 15),
        ("line_too_long", start + 32),
        ("unreadable_line", start + 32 + CHUNK_BYTES),
    ]
    home.read()
    assert len(home.rejects()) == 4


def test_rejects_are_written_once_whenever_it_is_killed(home: Home) -> None:
    home.log.write_bytes(b"bad\nworse\n")
    home.read()
    before = (home.folder / "state" / "rejects.jsonl").read_bytes()
    with home.log.open("ab") as file:
        file.write(b"worst\n")
    outbox = home.outbox()
    reader = Reader([home.log], outbox, FORM, follow=False, say=home.said.append)
    assert reader.read_some()
    with (home.folder / "state" / "rejects.jsonl").open("ab") as torn:
        torn.write(b'{"half of a li')  # killed before it was written down
    outbox.write_rejects()
    reader.close()
    outbox.close()
    assert [each["line"] for each in home.rejects()] == ["bad", "worse", "worst"]
    assert (home.folder / "state" / "rejects.jsonl").read_bytes().startswith(before)


def test_a_state_folder_has_one_user_one_meter_and_one_address(home: Home) -> None:
    outbox = home.outbox()
    with pytest.raises(StateFault, match="Another forwarder"):
        home.outbox()
    outbox.close()
    with pytest.raises(StateFault, match="meter meter/p, not meter/q"):
        home.outbox(meter="meter/q")
    with pytest.raises(StateFault, match="address https://a, not https://b"):
        home.outbox(address="https://b")
    home.outbox(address="https://b", new_address=True).close()
    home.outbox(address="https://b").close()


def test_a_broken_outbox_is_told(home: Home) -> None:
    (home.folder / "state").mkdir()
    (home.folder / "state" / "outbox.sqlite3").write_bytes(b"nonsense" * 1_000)
    with pytest.raises(StateFault, match="database"):
        home.outbox()


def answer(outbox: Outbox, *statuses: ItemStatus) -> list[str]:
    batch = outbox.waiting(limit=len(statuses), bytes_max=10**6)
    outbox.answer(
        batch, [ItemResult(each.event_id, status, status) for each, status in zip(batch, statuses, strict=True)]
    )
    return [each.event_id for each in batch]


def queue(outbox: Outbox, now: datetime = END + GRACE, apart: timedelta = timedelta()) -> int:
    return queue_watermarks(outbox, meter="meter/p", now=now, grace=GRACE, apart=apart)


def test_a_watermark_tells_of_all_but_conflicts_once_all_is_answered(home: Home) -> None:
    home.write(5)
    home.read()
    outbox = home.outbox()
    sent = ItemStatus
    ids = answer(outbox, sent.ACCEPTED, sent.CONFLICT, sent.QUARANTINED, sent.REJECTED)
    assert queue(outbox) == 0
    ids += answer(outbox, sent.DUPLICATE)
    assert queue(outbox, END + GRACE - timedelta(microseconds=1)) == 0
    assert queue(outbox, END + timedelta(days=36)) == 0
    assert queue(outbox) == 1
    (waiting,) = outbox.waiting(limit=9, bytes_max=9)
    told = json.loads(waiting.body)
    counted = [id for place, id in enumerate(ids) if place != 1]
    assert told["id"] == f"watermark/{SYMBOL}/1"
    assert told["data"] == {
        "contract": SYMBOL,
        "up_to": "2026-12-01T15:00:00Z",
        "sequence": 1,
        "events": 4,
        "root": watermark_root(counted).hex(),
    }
    answer(outbox, sent.ACCEPTED)
    assert queue(outbox) == 0
    assert outbox.drop_rejected() == 1
    assert queue(outbox, apart=GRACE) == 0
    assert queue(outbox, END + 3 * GRACE, apart=GRACE) == 1
    (waiting,) = outbox.waiting(limit=9, bytes_max=9)
    assert json.loads(waiting.body)["data"]["events"] == 3
    outbox.close()


def test_what_is_too_old_to_be_told_of_is_forgotten(home: Home) -> None:
    home.write(2)
    home.read()
    outbox = home.outbox()
    answer(outbox, ItemStatus.ACCEPTED)
    outbox.forget(int(END.timestamp()) * 1_000_000)
    assert len(list(outbox.told_ids(SYMBOL, 2**62))) == 1
    outbox.forget(int(END.timestamp()) * 1_000_000 + 1)
    assert list(outbox.told_ids(SYMBOL, 2**62)) == []
    assert outbox.count_waiting() == 1
    outbox.close()
