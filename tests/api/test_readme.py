"""The README's worked examples, run as a reader would paste them, and what it names."""

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
from datetime import datetime, timedelta
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.core.management import get_commands
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.urls import resolve

from config.environment import CHECKOUT
from config.first_market import FEE_TIERS
from exchange.commands.set_fee_schedule import SetFeeSchedule, set_fee_schedule
from exchange.fee_schedule import Basis, FeeSchedule
from exchange.models import Order
from ledger.keys.ring import ensure_current_key
from ledger.log.checkpoints import publish_checkpoint
from ledger.models import Party
from ledger.parties.keys import Scope, issue_key
from tests.api.live_market import LiveMarket
from tests.integration.exchange.market import ACTOR, NOW

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
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
    """Paste an example into a shell, with a key of that party; what it printed.

    Those on trading continue the one that begins them.
    """
    if shutil.which("curl") is None:
        pytest.skip("the README's examples need curl, which is not on this machine")
    key = issue_key(reader, "readme", [Scope.READ, Scope.TRADE], actor=ACTOR, now=NOW).text
    examples = dict(EXAMPLE.findall(README))
    example = examples[name] if name in ("rest", "ledger") else examples["begin"] + examples[name]
    verify = f"'{sys.executable}' '{CHECKOUT / 'ledger' / 'verify.py'}'"
    with served() as host:
        ran = subprocess.run(
            ["sh", "-e", "-c", example.replace("$VERIFY", verify)],
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


def answers(name: str, live: LiveMarket, folder: Path) -> list[Any]:
    """What an example on trading printed, a document a line."""
    live.offer(5, 420)
    return [json.loads(line) for line in run_example(name, live.party("reader"), folder).splitlines()]


def test_every_example_is_run() -> None:
    assert set(dict(EXAMPLE.findall(README))) == {
        "rest", "ledger", "begin", "amend", "dry_run", "batch", "switch", "book", "fees",
    }  # fmt: skip


def test_an_order_is_amended_and_cancelled(live: LiveMarket, tmp_path: Path) -> None:
    amended, cancelled = answers("amend", live, tmp_path)
    assert (amended["lots"], amended["kept_place"]) == ("2", True)
    assert (cancelled["status"], cancelled["cancelled_lots"]) == ("cancelled", "2")


def test_a_dry_run_tells_and_leaves_nothing(live: LiveMarket, tmp_path: Path) -> None:
    (expected,) = answers("dry_run", live, tmp_path)
    assert [(fill["price"], fill["lots"]) for fill in expected["fills"]] == [("4.200000", "2")]
    assert expected["required_hold"] != "0.000000"
    assert not Order.objects.filter(side="buy").exists()


def test_each_item_of_a_batch_has_its_outcome(live: LiveMarket, tmp_path: Path) -> None:
    ((placed, refused),) = [each["items"] for each in answers("batch", live, tmp_path)]
    assert (placed["status"], placed["result"]["status"]) == (201, "open")
    assert (refused["status"], refused["problem"]["code"]) == (422, "budget_too_small")


def test_the_dead_man_switch_is_set_and_switched_off(live: LiveMarket, tmp_path: Path) -> None:
    on, off = answers("switch", live, tmp_path)
    assert datetime.fromisoformat(on["due_at"]) == live.clock.at + timedelta(seconds=60)
    assert off == {"due_at": None}


def test_a_copy_of_the_book_is_kept(live: LiveMarket, tmp_path: Path) -> None:
    (deltas,) = answers("book", live, tmp_path)
    (delta,) = deltas["items"]
    assert (delta["sequence"], delta["bids"][0]["lots"], delta["trades"]) == (deltas["sequence"], "3", [])


def test_fees_and_the_own_tier_are_told(live: LiveMarket, tmp_path: Path) -> None:
    schedule = FeeSchedule(Basis.CONTRACT, FEE_TIERS)
    set_fee_schedule(SetFeeSchedule(live.currency.code, None, schedule, NOW, "first"), actor=ACTOR, now=NOW)
    schedules, own = answers("fees", live, tmp_path)
    assert len(schedules["items"][0]["tiers"]) == 3
    assert own["items"][0]["tier"] == 1


def test_what_the_readme_names_is_there() -> None:
    files = set(re.findall(r"\]\((?!http)([^)#]+)\)", README))
    commands = set(re.findall(r"manage\.py ([a-z_]+)", README)) - {"migrate"}
    assert (len(files), len(commands)) > (2, 5)
    assert not {name for name in files if not (CHECKOUT / name).is_file()}
    assert not {name for name in commands if name not in get_commands()}
    examples = "".join(text for _, text in EXAMPLE.findall(README))
    paths = {f"/api/v1{path}" for path in re.findall(r"ask [A-Z]+ \"?(/[\w/-]+)(?=[ ?\"\n])", examples)}
    paths |= set(re.findall(r"`(/api/v1/[\w/-]+)`", README))
    assert len(paths) > 8
    for path in paths:
        resolve(path)
