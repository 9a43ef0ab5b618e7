"""A buyer disputes the largest line it has: opened over the REST interface, decided by two operators."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config.catalogue import BUYERS
from config.demo.bots import Bots
from config.demo.failure import DemoFailed
from config.demo.trading import OPERATOR
from config.rest_client import RestClient
from ledger.money import parse_micros
from settlement.commands.decide_dispute import decide_dispute
from settlement.commands.propose_dispute import propose_dispute
from settlement.models import Dispute

SECOND_OPERATOR = "user:operator2"
DISPUTED_KIND = "delivered"
PART = 2  # of what is disputed one in so many is decided for the buyer


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a buyer's statement by its number."""

    buyer: str
    statement: str
    number: int
    micros: int


def open_dispute(run_id: int, *, bots: Bots) -> int:
    """Dispute a tenth of the largest delivery of a run; the dispute's id. Raises `DemoFailed` if nothing was."""
    found = [line for buyer in BUYERS for line in _lines(bots.of(buyer.code), buyer.code, run_id)]
    if not found:
        raise DemoFailed("nothing was delivered that a buyer could dispute")
    line = max(found, key=lambda each: each.micros)
    answer = bots.of(line.buyer).post(
        "/api/v1/disputes",
        {
            "statement": line.statement,
            "line": str(line.number),
            "amount": f"{line.micros // 1_000_000}.{line.micros % 1_000_000:06d}",
            "reason": "quality",
            "text": "Answers were cut off in the middle; our logs of the hour are at your disposal.",
        },
        idempotency_key=f"dispute-{line.statement}",
    )
    return int(answer["id"])


def decide(dispute_id: int, *, now: datetime) -> None:
    """Half of it is the buyer's: proposed by one operator, confirmed by another."""
    decided = Dispute.objects.get(id=dispute_id).disputed_micros // PART
    text = "Half of the requests that were named ended early."
    propose_dispute(dispute_id, decided, text, actor=OPERATOR, now=now)
    decide_dispute(dispute_id, decided, "As proposed.", actor=SECOND_OPERATOR, now=now)


def _lines(client: RestClient, buyer: str, run_id: int) -> Iterator[_Line]:
    """What a buyer was delivered in a run, by its own statement."""
    for statement in client.list("/api/v1/statements", limit="500"):
        if statement["run"] != str(run_id) or statement["party"] != buyer:
            continue
        for record in _records(client.get_bytes(statement["forms"]["jsonl"])):
            if record["record"] == "line" and record["body"]["kind"] == DISPUTED_KIND:
                micros = parse_micros(record["body"]["value"], field="value")
                yield _Line(buyer, statement["id"], record["number"], micros)


def _records(content: bytes) -> Iterable[dict[str, Any]]:
    return map(json.loads, content.splitlines())
