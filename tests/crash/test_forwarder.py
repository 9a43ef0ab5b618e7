"""kill -9 of a forwarder and of the exchange's web process, while a log grows and rotates: every line becomes one
event, and the watermark shows it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config.environment import CHECKOUT
from ledger.models import SimulatedClock
from ledger.parties.keys import Scope, issue_key
from settlement.commands.register_meter import RegisterMeter, register_meter
from settlement.commands.register_meter_key import RegisterMeterKey, register_meter_key
from settlement.metering.completeness import read_completeness
from settlement.metering.completeness_rules import CompletenessState
from settlement.models import (
    Meter,
    MeterSide,
    SignedBatch,
    UsageBatch,
    UsageConflict,
    UsageDedup,
    UsageEvent,
    UsageWatermark,
)
from tests.conftest import DatabaseUrls
from tests.crash.rest import Web, web_process
from tests.crash.sequencers import LONGER, seeded, wait_until
from tests.integration.settlement.trading_day import ACTOR, CODE, END, NOW, START, TradingDay

KILLS = 8 * LONGER
LINES_A_STEP = 150
LINES_A_FILE = 4_000
METER = "meter/provider-1"
pytestmark = pytest.mark.xdist_group("servers")


@dataclass
class Log:
    """A provider's log that grows, a rotated file before it every few thousand lines."""

    path: Path
    lines: int = 0

    def grow(self, lines: int, *, torn: bool = False) -> None:
        """`torn`: half of a line is written, the rest a while later."""
        with self.path.open("ab", buffering=0) as file:
            for _ in range(lines):
                line = self._line()
                if torn:
                    file.write(line[:40])
                    time.sleep(0.02)
                    line = line[40:]
                file.write(line)
        if self.lines % LINES_A_FILE < lines:
            self.path.rename(self.path.with_name(f"{self.path.name}.{self.lines}"))

    def _line(self) -> bytes:
        self.lines += 1
        tokens = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
        line = {
            "id": f"chatcmpl-{self.lines}",
            "object": "chat.completion",
            "created": int(START.timestamp()) + self.lines % 3_600,
            "model": "qwen3-235b",
            "usage": tokens,
        }
        return json.dumps(line).encode() + b"\n"


@dataclass
class Meterer:
    """The command of a provider, as it would be typed."""

    folder: Path
    url: str
    meter: str = METER
    signs: bool = True
    log: Log = field(init=False)

    def __post_init__(self) -> None:
        self.log = Log(self.folder / "served.jsonl")

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        told: list[str | Path] = ["--url", self.url, "--meter", self.meter, "--state", self.folder / "state"]
        told += ["--contract", f"{CODE}/1H", "--buyer", "buyer-1", "--provider", "provider-1"]
        keys: list[str | Path] = ["--key-file", self.folder / "key"]
        if self.signs:
            keys += ["--private-key", self.folder / "private.pem"]
        return subprocess.Popen(
            [sys.executable, "-m", "settlement.metering.forward", self.log.path, *told, *keys, *more],
            cwd=CHECKOUT,
        )

    def finish(self) -> None:
        assert self.start().wait(120) == 0

    @contextmanager
    def growing(self) -> Iterator[None]:
        """The log grows all the while."""
        stop = threading.Event()

        def grow() -> None:
            while not stop.wait(0.05):
                self.log.grow(LINES_A_STEP)
                self.log.grow(1, torn=True)

        thread = threading.Thread(target=grow)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextmanager
def lossy_wire(url: str, lost: int) -> Iterator[str]:
    """The address of a server before the exchange that passes calls on and loses the first so many answers."""
    left = [lost]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = requests.post(url + self.path, data=body, headers=dict(self.headers.items()), timeout=60)
            if left[0]:
                left[0] -= 1
                self.close_connection = True
            else:
                self._pass_on(answer)

        def do_GET(self) -> None:
            self._pass_on(requests.get(url + self.path, timeout=60))

        def _pass_on(self, answer: requests.Response) -> None:
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def day(database: DatabaseUrls) -> TradingDay:
    return TradingDay()


@pytest.fixture
def web(database: DatabaseUrls, day: TradingDay) -> Iterator[Web]:
    SimulatedClock.objects.create(id=1, now=END)
    with web_process(database) as web:
        wait_until(lambda: is_up(web), "the web process")
        yield web


def is_up(web: Web) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"{web.address}/time", timeout=5).ok
    return False


@pytest.fixture
def meterer(day: TradingDay, web: Web, tmp_path: Path) -> Meterer:
    key = issue_key(day.parties["provider-1"], "tests", [Scope.METER], actor=ACTOR, now=NOW)
    (tmp_path / "key").write_text(key.text + "\n")
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "private.pem").write_bytes(pem)
    public = private.public_key().public_bytes_raw()
    register_meter_key(RegisterMeterKey(Meter.objects.get(code=METER).pk, public), actor=ACTOR, now=NOW)
    return Meterer(tmp_path, web.address.removesuffix("/api/v1"))


def check_exactly_once(meterer: Meterer, day: TradingDay) -> None:
    """Every line of the log is one event, all in signed calls, and complete once the window is over."""
    meterer.finish()
    wanted = {f"chatcmpl-{number}" for number in range(1, meterer.log.lines + 1)}
    requests = list(UsageEvent.objects.filter(quarantine_reason=None).values_list("request_id", flat=True))
    assert len(requests) == len(wanted)
    assert set(requests) == wanted
    assert UsageDedup.objects.exclude(event_id__startswith="watermark/").count() == len(wanted)
    assert not UsageConflict.objects.exists()
    assert SignedBatch.objects.count() == UsageBatch.objects.count()  # every call was signed
    SimulatedClock.objects.update(now=END + timedelta(minutes=10))
    meterer.finish()
    (watermark,) = UsageWatermark.objects.all()
    assert (watermark.sequence, watermark.events, watermark.up_to) == (1, len(wanted), END)
    (meter,) = read_completeness(day.contract.id).meters
    assert meter.completeness.state is CompletenessState.COMPLETE


def _wait_for_events(before: int, forwarder: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: UsageEvent.objects.count() > before, "events to arrive", [forwarder])


def test_each_line_is_one_event_whatever_is_killed(meterer: Meterer, day: TradingDay, web: Web) -> None:
    draw = seeded()
    with meterer.growing():
        for kill in range(KILLS):
            forwarder = meterer.start("--follow")
            _wait_for_events(UsageEvent.objects.count(), forwarder)
            time.sleep(draw.uniform(0, 0.8))
            if kill % 3 == 1:
                web.kill_workers()
            elif kill % 3 == 2:
                web.kill()
                time.sleep(draw.uniform(0, 0.3))
                web.start()
            time.sleep(draw.uniform(0, 0.2))
            forwarder.kill()
            forwarder.wait()
    check_exactly_once(meterer, day)


def test_a_lost_answer_makes_duplicates_and_no_doubles(meterer: Meterer, day: TradingDay) -> None:
    meterer.log.grow(2_500)
    exchange = meterer.url
    with lossy_wire(exchange, lost=2) as meterer.url:
        meterer.finish()
        check_exactly_once(meterer, day)
    assert sum(UsageBatch.objects.values_list("duplicates", flat=True)) == 2_000


def test_a_lost_outbox_makes_duplicates_and_no_doubles(meterer: Meterer, day: TradingDay) -> None:
    meterer.log.grow(1_500)
    check_exactly_once(meterer, day)
    shutil.rmtree(meterer.folder / "state")
    check_exactly_once(meterer, day)
    assert sum(UsageBatch.objects.values_list("duplicates", flat=True)) == 1_501  # the watermark as well


def test_what_comes_late_is_told_in_another_watermark(meterer: Meterer, day: TradingDay) -> None:
    meterer.log.grow(10)
    check_exactly_once(meterer, day)
    meterer.log.grow(2)
    meterer.finish()
    told = UsageWatermark.objects.order_by("sequence").values_list("sequence", "events")
    assert list(told) == [(1, 10), (2, 12)]
    (meter,) = read_completeness(day.contract.id).meters
    assert meter.completeness.state is CompletenessState.COMPLETE


def test_what_the_exchange_does_not_take_is_kept_and_sent_again_if_told(meterer: Meterer, day: TradingDay) -> None:
    meterer.log.grow(3)
    meterer.meter, meterer.signs = "meter/late", False
    assert meterer.start().wait(60) == 1
    rejects = [json.loads(line) for line in (meterer.folder / "state" / "rejects.jsonl").read_text().splitlines()]
    assert [(each["status"], each["code"]) for each in rejects] == [("rejected", "unknown_meter")] * 3
    assert [each["event"]["data"]["request_id"] for each in rejects] == [f"chatcmpl-{n}" for n in (1, 2, 3)]
    assert meterer.start().wait(60) == 1  # nothing new, and still not taken
    party_id = day.parties["provider-1"].id
    register_meter(RegisterMeter(party_id, "meter/late", MeterSide.PROVIDER), actor=ACTOR, now=NOW)
    assert meterer.start("--rejected", "retry").wait(60) == 0
    assert UsageEvent.objects.count() == 3


def test_a_revoked_key_stops_and_nothing_is_lost(meterer: Meterer, day: TradingDay) -> None:
    meterer.log.grow(3)
    key = (meterer.folder / "key").read_text()
    (meterer.folder / "key").write_text("tb_" + "0" * 12 + "_" + "0" * 64)
    assert meterer.start().wait(60) == 2
    (meterer.folder / "key").write_text(key)
    check_exactly_once(meterer, day)
