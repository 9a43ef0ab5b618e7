"""Sending an outbox to a server that answers as told."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settlement.metering.forward.address import Address, BadAddress, MarketTime
from settlement.metering.forward.envelopes import LogForm
from settlement.metering.forward.outbox import Outbox
from settlement.metering.forward.reading import Reader
from settlement.metering.forward.sending import Credentials, Sender, Stopped, wait_ms
from settlement.metering.signatures import check, read_signature

NOW = datetime(2026, 12, 1, 14, 30, tzinfo=UTC)
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SYMBOL = "QWEN3-235B.CN-EAST.STD@20261201T14/1H"
FORM = LogForm(meter="meter/p", contract=SYMBOL, buyer="b", provider="p")
OK: dict[str, Any] = {"status": 200}


@dataclass
class Server:
    """Answers calls as told, in turn: with a status and headers, or with what became of the events."""

    url: str = ""
    answers: list[dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def events(self, call: int) -> list[Any]:
        events: list[Any] = json.loads(gzip.decompress(self.calls[call][1]))
        return events

    def answer(self, events: list[Any]) -> tuple[dict[str, Any], bytes]:
        told = self.answers.pop(0) if self.answers else OK
        status = told.get("event", "accepted")
        items = [{"id": event["id"], "status": status, "code": status, "message": ""} for event in events]
        body = told.get("body", json.dumps({"items": items} if told["status"] == 200 else {"code": "x", "detail": "y"}))
        return told, body.encode()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
            told, content = server.answer(json.loads(gzip.decompress(body)))
            if told["status"] == 0:
                self.close_connection = True
                return
            self.send_response(told["status"])
            for name, value in told.get("headers", {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        server.url = f"http://127.0.0.1:{http.server_port}/tb"
        yield server
        http.shutdown()


@dataclass
class Sending:
    """A sender over an outbox with so many events; its time stands unless moved."""

    outbox: Outbox
    address: Address
    ticks: int = 0
    patient: bool = False
    keys: list[str] = field(default_factory=lambda: ["key"])

    def __post_init__(self) -> None:
        self.sender = Sender(
            self.outbox,
            self.address,
            lambda: Credentials(self.keys[0], PRIVATE),
            MarketTime(lambda: NOW, lambda: NOW - timedelta(days=9), lambda: self.ticks),
            jitter=lambda: 0,
            ticks=lambda: self.ticks,
            patient=self.patient,
        )

    def wait(self) -> int:
        """Wait until the next attempt; how long that was."""
        waited = self.sender.wait()
        self.ticks += waited
        return waited


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path / "state", meter="meter/p", address="a")
    with (tmp_path / "log").open("w") as log:
        for number in range(2_500):
            log.write(json.dumps({"id": f"r{number}", "created": int(NOW.timestamp()), "usage": {}}) + "\n")
    reader = Reader([tmp_path / "log"], outbox, FORM, follow=False, say=print)
    while reader.read_some():
        pass
    reader.close()
    yield outbox
    outbox.close()


@pytest.fixture
def sending(outbox: Outbox, server: Server) -> Iterator[Sending]:
    address = Address(server.url)
    yield Sending(outbox, address)
    address.close()


def test_calls_are_signed_batches_in_order(sending: Sending, server: Server) -> None:
    while sending.sender.send_some():
        pass
    assert [len(server.events(call)) for call in range(3)] == [1_000, 1_000, 500]
    told = [event["data"]["request_id"] for call in range(3) for event in server.events(call)]
    assert told == [f"r{number}" for number in range(2_500)]
    assert sending.outbox.count_waiting() == 0
    assert sending.sender.count == {"accepted": 2_500}
    for headers, body in server.calls:
        assert headers["authorization"] == "Bearer key"
        signed = read_signature(headers)
        assert signed is not None
        public = PRIVATE.public_key().public_bytes_raw()
        now = int(NOW.timestamp())  # by the exchange's clock
        check(signed, public, headers=headers, path="/tb/api/v1/usage-events", body=body, now=now)


@pytest.mark.parametrize("status", [0, 408, 429, 500, 502, 503])
def test_without_an_answer_the_same_is_sent_again_later(sending: Sending, server: Server, status: int) -> None:
    server.answers = [{"status": status}] * 3
    waits = []
    for _ in range(3):
        assert not sending.sender.send_some()
        assert not sending.sender.send_some()  # too early
        assert sending.sender.trouble
        waits.append(sending.wait())
    assert waits == [1_000, 2_000, 4_000]
    assert sending.sender.send_some()
    assert server.events(0) == server.events(3)
    assert len(server.calls) == 4
    assert sending.sender.trouble == ""
    assert sending.outbox.count_waiting() == 1_500


@pytest.mark.parametrize("body", ["<html>", "{}", '{"items": []}', '{"items": [{"id": "x", "status": "odd"}]}'])
def test_an_answer_about_something_else_is_none(sending: Sending, server: Server, body: str) -> None:
    server.answers = [{"status": 200, "body": body}]
    assert not sending.sender.send_some()
    assert sending.outbox.count_waiting() == 2_500


def test_it_waits_as_long_as_it_is_told(sending: Sending, server: Server) -> None:
    date = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    server.answers = [{"status": 503, "headers": {"Retry-After": told}} for told in ("7", date, "soon", "1e9")]
    waits = []
    for _ in range(4):
        sending.sender.send_some()
        waits.append(sending.wait())
    assert waits == [7_000, 90_000, 4_000, 8_000]


def test_waits_double_to_a_minute_and_spread(sending: Sending) -> None:
    assert [wait_ms(failed, 0) // 1_000 for failed in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [wait_ms(3, jitter) for jitter in (0, 500, 999)] == [4_000, 3_000, 2_002]
    assert wait_ms(1, 999, told=10) == 10_000
    assert wait_ms(10_000, 0, told=10**9) == 3_600_000


def test_a_call_that_is_too_large_is_halved(sending: Sending, server: Server) -> None:
    server.answers = [{"status": 413}, {"status": 413}]
    for _ in range(3):
        assert sending.sender.send_some()
    assert [len(server.events(call)) for call in range(3)] == [1_000, 500, 250]
    while sending.sender.send_some():
        pass
    assert sending.outbox.count_waiting() == 0


@pytest.mark.parametrize("status", [301, 400, 404, 411, 415, 422])
def test_a_call_that_is_refused_for_good_stops(sending: Sending, server: Server, status: int) -> None:
    server.answers = [{"status": status, "headers": {"Location": server.url}}]
    with pytest.raises(Stopped, match=f"{status} x: y"):
        sending.sender.send_some()
    assert len(server.calls) == 1
    assert sending.outbox.count_waiting() == 2_500


def test_a_refused_key_is_tried_once_more_and_for_ever_when_following(sending: Sending, server: Server) -> None:
    server.answers = [{"status": 401}] * 2
    assert not sending.sender.send_some()
    sending.wait()
    with pytest.raises(Stopped):
        sending.sender.send_some()
    server.answers = [{"status": 403}] * 5
    following = Sending(sending.outbox, sending.address, patient=True)
    for _ in range(5):
        assert not following.sender.send_some()
        following.wait()
    following.keys[0] = "another"
    assert following.sender.send_some()
    assert server.calls[-1][0]["authorization"] == "Bearer another"


@pytest.mark.parametrize("status", ["conflict", "quarantined", "rejected"])
def test_what_is_not_taken_is_kept_with_its_reason(
    sending: Sending, server: Server, tmp_path: Path, status: str
) -> None:
    server.answers = [{"status": 200, "event": status}]
    sending.sender.send_some()
    sending.outbox.write_rejects()
    lines = (tmp_path / "state" / "rejects.jsonl").read_text().splitlines()
    assert len(lines) == 1_000
    first = json.loads(lines[0])
    assert (first["status"], first["event"]["data"]["request_id"]) == (status, "r0")
    assert sending.outbox.retry_rejected() == (1_000 if status == "rejected" else 0)


@pytest.mark.parametrize("url", ["", "exchange", "ftp://x", "http://exchange.example", "https://x?y", "https:///x"])
def test_an_address_is_https_or_this_machine(url: str) -> None:
    with pytest.raises(BadAddress):
        Address(url)


def test_an_address_may_be_that_of_the_events() -> None:
    for url in ("https://x.example", "https://x.example/", "https://x.example/api/v1/usage-events"):
        address = Address(url)
        assert (address.base, address.path) == ("https://x.example", "/api/v1/usage-events")
        address.close()


def test_time_is_asked_now_and_then_and_soon_if_there_was_no_answer() -> None:
    ticks, told = [0], [None, NOW, NOW + timedelta(seconds=1)]
    time = MarketTime(lambda: told.pop(0), lambda: NOW - timedelta(hours=1), lambda: ticks[0])
    assert time.now() == NOW - timedelta(hours=1)
    ticks[0] += 1_000
    assert time.now() == NOW
    ticks[0] += 59_999
    assert time.now() == NOW
    time.forget()
    assert time.now() == NOW + timedelta(seconds=1)
