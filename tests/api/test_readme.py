"""The README's worked example, run as a reader would paste it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connection

from config.environment import CHECKOUT
from ledger.keys.ring import ensure_current_key
from ledger.log.checkpoints import publish_checkpoint
from ledger.models import Party
from ledger.parties.keys import Scope, issue_key
from tests.api.live_market import LiveMarket
from tests.integration.exchange.market import ACTOR, NOW

EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n```sh\n(.*?)```", re.DOTALL)


class ThreadingServer(ThreadingMixIn, WSGIServer):
    """Each request in a thread that closes its database connection."""

    daemon_threads = True

    def process_request_thread(self, request: object, client_address: object) -> None:
        super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        connection.close()


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is enough."""


@contextmanager
def served() -> Iterator[str]:
    """The product over HTTP on a free port."""
    with make_server("127.0.0.1", 0, get_wsgi_application(), ThreadingServer, QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run_example(name: str, reader: Party, folder: Path) -> str:
    """Paste an example into a shell, with a key of that party; what it printed."""
    if shutil.which("curl") is None:
        pytest.skip("the README's examples need curl, which is not on this machine")
    key = issue_key(reader, "readme", [Scope.READ, Scope.TRADE], actor=ACTOR, now=NOW).text
    example = dict(EXAMPLE.findall((CHECKOUT / "README.md").read_text()))[name]
    verify = f"'{sys.executable}' '{CHECKOUT / 'ledger' / 'verify.py'}'"
    with served() as host:
        ran = subprocess.run(
            ["sh", "-e", "-c", example if name == "rest" else example.replace("$VERIFY", verify)],
            env=os.environ | {"HOST": host, "KEY": key},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_the_worked_example_works_pasted(live: LiveMarket, tmp_path: Path) -> None:
    live.offer(5, 420)
    told = run_example("rest", live.party("reader"), tmp_path)
    order, fills, balances = (json.loads(text) for text in re.split(r"(?<=^\})\n", told, flags=re.MULTILINE)[:3])
    assert (order["status"], order["fills"][0]["price"]) == ("filled", "4.200000")
    assert fills["items"][0]["order_id"] == order["order_id"]
    assert {item["role"] for item in balances["items"]} == {"cash", "entitlement"}


def test_the_example_on_the_ledger_works_pasted(live: LiveMarket, tmp_path: Path) -> None:
    ensure_current_key(actor=ACTOR, now=NOW)
    publish_checkpoint(now=NOW)
    reader = live.party("reader")
    publish_checkpoint(now=NOW)
    told = run_example("ledger", reader, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "checkpoint", "keys.json", "proof.json", "consistent.json",
    }  # fmt: skip
    assert told.splitlines().count("VERIFIED") == 3, told
