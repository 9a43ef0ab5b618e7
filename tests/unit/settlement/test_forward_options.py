"""The forwarder's command line."""

from __future__ import annotations

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from rich.console import Console

from settlement.metering.forward.__main__ import main
from settlement.metering.forward.options import BadOptions, read_credentials, read_options
from settlement.metering.forward.progress import LINE_EVERY_MS, Display, Standing

SYMBOL = "QWEN3-235B.CN-EAST.STD@20261201T14/1H"


@pytest.fixture
def told(tmp_path: Path) -> list[str]:
    """A command line that may be run, against an exchange that does not answer."""
    (tmp_path / "log").write_text("")
    (tmp_path / "key").write_text("tb_x\n")
    files = [str(tmp_path / "log"), "--key-file", str(tmp_path / "key"), "--state", str(tmp_path / "state")]
    return [*files, "--url", "http://127.0.0.1:1", "--meter", "meter/p"]


def test_options_are_read(told: list[str], tmp_path: Path) -> None:
    (tmp_path / "map").write_text(json.dumps({"qwen3": SYMBOL, "other": "OTHER/1H"}))
    options = read_options([*told, "--contract-map", str(tmp_path / "map"), "--grace", "60", "--buyer", "@user"])
    assert options.form.contracts == {"qwen3": SYMBOL, "other": "OTHER/1H"}
    assert options.form.buyer == "@user"
    assert options.grace is not None
    assert options.grace.total_seconds() == 60
    assert read_options([*told, "--no-watermarks"]).grace is None
    options.address.close()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--contract", "no symbol"],
        ["--contract", "PRODUCT/61MIN"],
        ["--url", "http://exchange.example"],
        ["--meter", ""],
        ["--contract-map", "/dev/null"],
        ["/nowhere/log"],
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_done(told: list[str], wrong: list[str], tmp_path: Path) -> None:
    with pytest.raises(BadOptions):
        read_options([*told, *wrong])
    assert main(Event(), [*told, *wrong]) == 2
    assert not (tmp_path / "state").exists()


def test_a_log_that_is_followed_may_come_later(told: list[str]) -> None:
    assert len(read_options([*told, "/nowhere/log", "--follow"]).files) == 2


def test_keys_are_read_or_refused(tmp_path: Path) -> None:
    key, pem = tmp_path / "key", tmp_path / "pem"
    private = Ed25519PrivateKey.generate()
    key.write_text("tb_x\n")
    pem.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    read = read_credentials(key, pem)
    assert read.api_key == "tb_x"
    assert read.private_key is not None
    assert read.private_key.private_bytes_raw() == private.private_bytes_raw()
    for wrong in (
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
        X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        b"-----BEGIN",
    ):
        pem.write_bytes(wrong)
        with pytest.raises(BadOptions, match="Ed25519"):
            read_credentials(key, pem)
    for text in ("", "two words", "line\nline"):
        key.write_text(text)
        with pytest.raises(BadOptions, match="API key"):
            read_credentials(key, None)


def test_an_empty_log_is_all_taken(told: list[str]) -> None:
    assert main(Event(), told) == 0


def test_lines_that_make_no_event_are_told(told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_text("bad\n")
    assert main(Event(), told) == 1
    assert "0 taken, 1 unreadable" in capsys.readouterr().err
    assert json.loads((tmp_path / "state" / "rejects.jsonl").read_text())["line"] == "bad"


def test_what_was_set_aside_is_told_again_until_it_is_given_up(
    told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").write_text("bad\nworse\n")
    for _ in range(2):
        assert main(Event(), told) == 1
        assert f"2 still set aside, see {tmp_path / 'state' / 'rejects.jsonl'}" in capsys.readouterr().err
    assert main(Event(), [*told, "--rejected", "drop"]) == 0
    assert "2 rejected events and unreadable lines are given up" in capsys.readouterr().err
    assert main(Event(), told) == 0


def test_a_refusal_of_the_whole_call_stops(told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_error(404)

        do_GET = do_POST  # noqa: N815  # the name is the server's

        def log_message(self, format: str, *_: object) -> None:
            pass

    line = {"id": "r", "created": 1_796_133_600, "usage": {}}
    (tmp_path / "log").write_text(json.dumps(line) + "\nbad\n")
    form = ["--contract", SYMBOL, "--buyer", "b", "--provider", "p"]
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        assert main(Event(), [*told, *form, "--url", f"http://127.0.0.1:{server.server_port}"]) == 2
        server.shutdown()
    said = capsys.readouterr().err
    assert "Stopped: 404" in said
    assert "1 still set aside" in said


def test_a_terminal_sees_bars_and_a_file_a_line_now_and_then() -> None:
    standing = Standing(5, 10, {"accepted": 3, "duplicate": 1, "rejected": 2}, 7, 1, "503 busy")
    assert standing.text() == "4 taken, 2 rejected, 1 unreadable, 7 waiting (503 busy)"
    ticks = [0]
    for terminal in (False, True):
        output = io.StringIO()
        with Display(Console(file=output, force_terminal=terminal, width=150), lambda: ticks[0]) as display:
            display.show(standing)
            ticks[0] += LINE_EVERY_MS
            display.show(standing)
            display.show(standing)
        text = output.getvalue()
        assert "4 taken, 2 rejected" in text
        assert ("sent" in text) is terminal
        if not terminal:
            assert text.count("\n") == 1
