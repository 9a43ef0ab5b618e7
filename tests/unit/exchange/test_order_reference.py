"""The order reference does what it says: every example of `exchange/ORDERS.md` is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import exchange
from exchange.matching.events import CloseReason
from exchange.matching.lifecycle import STATUS_AFTER_CLOSE
from exchange.matching.types import OrderType, PostOnly, SelfTrade, TimeInForce
from exchange.trading_rules import MAX_OPEN_ORDERS
from tests.unit.exchange.order_texts import book_of, parse_range, run, standing

REFERENCE = (Path(exchange.__path__[0]) / "ORDERS.md").read_text()
CHAPTERS = re.split(r"^## ", REFERENCE, flags=re.M)[1:]
EXAMPLES = [
    pytest.param(example, id=f"{chapter.splitlines()[0]} {number}")
    for chapter in CHAPTERS
    for number, example in enumerate(re.findall(r"```text\n(.*?)```", chapter, flags=re.S), start=1)
]


def sections(example: str) -> dict[str, list[str]]:
    """The lines below each heading of an example; `(empty)` stands for none."""
    found: dict[str, list[str]] = {}
    for line in example.splitlines():
        if line.startswith("  "):
            found[list(found)[-1]] += [line.strip()] if line.strip() != "(empty)" else []
        else:
            name, _, value = line.partition(" ")
            found[name] = [value] if value else []
    return found


def test_it_says_how_many_open_orders_a_party_may_have() -> None:
    assert f"{MAX_OPEN_ORDERS:,} open orders in the contracts of one shard" in " ".join(REFERENCE.split())


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_does_what_it_says(example: str) -> None:
    parts = sections(example)
    collar, band = (parse_range(parts[name][0]) if name in parts else None for name in ("collar", "band"))
    assert parts.keys() - {"collar", "band"} == {"before", "command", "answer", "after"}
    book = book_of(*parts["before"], band=band)
    (command,) = parts["command"]
    assert run(book, command, collar) == parts["answer"]
    assert standing(book) == parts["after"]


def test_every_kind_of_order_and_every_wish_has_an_example() -> None:
    commands = " ".join(sections(example.values[0])["command"][0] for example in EXAMPLES)  # type: ignore[arg-type]
    for choices in (TimeInForce, SelfTrade, OrderType):
        defaults = {TimeInForce.GTC, SelfTrade.CANCEL_NEWEST, OrderType.LIMIT}
        assert not [choice for choice in choices if choice not in defaults and f" {choice}" not in commands]
    assert all(f"post_only {choice}" in commands for choice in PostOnly if choice is not PostOnly.NO)
    assert {"amend", "cancel"} <= set(commands.split())


def test_every_reason_is_in_the_table_with_its_status() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", REFERENCE, flags=re.M))
    assert told == {reason.value: STATUS_AFTER_CLOSE[reason].value for reason in CloseReason}
