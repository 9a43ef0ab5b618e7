"""A dry run tells what the real call then does, figure for figure, and leaves no trace."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from django.db import connection

from exchange.models import TradeGroup
from ledger.models import Party
from ledger.money import format_micros, parse_micros
from tests.api.client import Api
from tests.api.live_market import LiveMarket, api_of, order
from tests.integration.exchange.market import NOW, START, SYMBOL

DRY = "orders?dry_run=true"
ROUNDS = 70


def whole_database() -> dict[str, tuple[Any, ...]]:
    """Every table's rows as one digest, and every counter."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace AND has_table_privilege(oid, 'SELECT')"
        )
        tables = [name for (name,) in cursor.fetchall()]
        found = {}
        for table in tables:
            cursor.execute(f"SELECT count(*), md5(string_agg(r::text, '|' ORDER BY r::text)) FROM {table} AS r")
            found[table] = cursor.fetchone()
        cursor.execute("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")
        found["counters"] = tuple(cursor.fetchall())
    return found


def cash(live: LiveMarket, party: Party) -> tuple[int, int]:
    account = live.cash(party)
    return account.balance, account.held


def random_order(dice: random.Random, name: str) -> dict[str, Any]:
    """An order of any type, most of them good."""
    lots, price = str(dice.randint(1, 12)), format_micros(dice.randint(385, 415) * 10_000)
    body = order(name, lots=lots, price=price, time_in_force=None, overage_permille=dice.choice((0, 0, 250)))
    body["self_trade"] = dice.choice(("cancel_newest", "cancel_oldest", "cancel_both", "decrement"))
    kind = dice.randrange(8)
    if kind == 0:
        body |= {"time_in_force": dice.choice(("ioc", "fok"))}
    elif kind == 1:
        body |= {"time_in_force": "gtd", "expires_at": (NOW + timedelta(minutes=dice.randint(-1, 300))).isoformat()}
    elif kind == 2:
        body |= {"post_only": dice.choice(("reject", "reprice"))}
    elif kind == 3:
        body |= {"type": "market", "time_in_force": dice.choice(("ioc", "fok"))}
    elif kind == 4:
        body |= {"type": "market", "budget": format_micros(dice.randint(1, 6_000_000)), "overage_permille": 0}
        del body["lots"], body["price"]
    return body


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    fills = [{name: value for name, value in fill.items() if name not in names} for fill in body.get("fills", [])]
    return {name: value for name, value in body.items() if name not in names} | {"fills": fills}


def test_a_dry_run_equals_the_real_call_and_changes_nothing(live: LiveMarket) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    buyers = [live.party(f"buyer-{i}", micros=dice.choice((9_000_000, 100_000_000))) for i in range(3)]
    TradeGroup.objects.create(party=live.provider, group_id=buyers[0].id)
    TradeGroup.objects.create(party=buyers[0], group_id=buyers[0].id)
    callers = [api_of(buyer) for buyer in buyers]
    seen = set()
    for number in range(ROUNDS):
        if dice.random() < 0.4:
            live.offer(dice.randint(1, 9), dice.randint(392, 412))
        who = dice.randrange(len(buyers))
        if dice.random() < 0.1:
            callers[who].delete("orders").ok()
        body, api, before = random_order(dice, f"o-{number}"), callers[who], cash(live, buyers[who])
        untouched = whole_database()
        dry = api.post(DRY, body)
        assert whole_database() == untouched, body
        real = api.post("orders", body)
        seen.add((dry.status, dry.body.get("code"), dry.body.get("close_reason")))
        if dry.status != 200:
            assert without(dry.body, "order_id") == without(real.body, "order_id"), body
            continue
        fills = ("order_id", "fill_id", "trade_no", "required_hold", "hold")
        assert without(dry.body, *fills) == without(real.ok(201), *fills), body
        balance, held = cash(live, buyers[who])
        paid = sum(parse_micros(dry.body[name]) for name in ("notional", "fee"))
        assert before[0] - balance == paid, body
        assert held - before[1] == parse_micros(dry.body["hold"]), body
    assert len(seen) > 4, seen  # else the orders were too much alike


def test_the_required_hold_is_exactly_what_must_be_free(live: LiveMarket) -> None:
    live.offer(4, 400)
    rich = live.buyer("rich")
    changes: list[dict[str, Any]] = [
        {"lots": "6", "price": "4.200000", "overage_permille": 333},
        {"type": "market", "price": None, "lots": None, "budget": "1.234567"},
        {"type": "market", "price": "4.01", "lots": "7", "time_in_force": "ioc"},
        {"post_only": "reprice", "price": "4.100000"},
    ]
    for number, change in enumerate(changes):
        body = order(f"o-{number}", **{"time_in_force": None, **change})
        needed = parse_micros(rich.post(DRY, body).ok()["required_hold"])
        for missing in (1, 0):
            api = live.buyer(f"buyer-{number}-{missing}", micros=needed - missing)
            answers = (api.post(DRY, body), api.post("orders", body))
            if missing:
                for answer in answers:
                    figures = answer.problem(422, "insufficient_funds")
                    assert (figures["required"], figures["available"]) == (
                        format_micros(needed),
                        format_micros(needed - 1),
                    )
            else:
                assert [answer.status for answer in answers] == [200, 201]


def test_a_dry_run_claims_no_name_and_respects_those_claimed(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    assert "order_id" not in api.post(DRY, order()).ok()
    placed = api.post("orders", order(lots="2")).ok(201)
    assert api.post(DRY, order(lots="2")).ok() == placed
    assert api.post(DRY, order()).problem(409, "client_order_id_conflict")["field"] == "lots"
    assert api.post("orders?dry_run=false", order()).problem(409, "client_order_id_conflict")
    for query in ("dry_run=yes", "dry-run=true", "dry_run="):
        api.post(f"orders?{query}", order("o-2")).problem(400, "invalid_request")
    api.post("orders", order("o-2", dry_run=True)).problem(400, "invalid_request")
    assert len(api.get("orders").ok()["items"]) == 1


def test_a_dry_run_is_refused_as_the_real_call_is(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    poor = Api(api_of(live.party("buyer-2", micros=0)).key)
    later = live.list_window(START + timedelta(hours=1), gate_open=NOW + timedelta(hours=2))
    untouched = whole_database()
    for body in (
        order(contract="NOPE@20261201T14/1H"),
        order(contract=later.symbol),
        order(price="4.205"),
        order(price="10.01"),
        order(type="market"),
        order(time_in_force="gtd", expires_at="2026-12-01T09:00:00Z"),
    ):
        dry = api.post(DRY, body)
        assert dry.status >= 400
        assert dry.body == api.post("orders", body).body
    assert poor.post(DRY, order()).problem(422, "insufficient_funds")["available"] == "0.000000"
    assert whole_database() == untouched
    assert SYMBOL in {each["symbol"] for each in api.get("contracts").ok()["items"]}
